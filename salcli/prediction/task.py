"""One input to predict, as plain data that any process can run."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from salcli.errors import InputError
from salcli.files import atomic
from salcli.media import images
from salcli.output import greyvideo
from salcli.prediction.job import Job, Outcome
from salcli.prediction.manifest import OutputPaths
from salcli.prediction.parts import ClipPart
from salcli.terminal.progress import Watcher

__all__ = ["MapVideo", "PredictionTask"]


@dataclass(frozen=True)
class MapVideo:
    """A grey video that a benchmark requires instead of maps.

    Attributes:
        path: Its file.
        fps: Frames per second.
        frames: How many it has.
    """

    path: Path
    fps: float
    frames: int


@dataclass(frozen=True)
class PredictionTask:
    """One input to predict.

    Attributes:
        source: The input.
        place: Where its results go.
        overrides: What `Job` has otherwise for this input: `kind`, `fps`, `labels`.
        video: What replaces the maps of a clip.
        part: Which part of a clip, if not all of it.
    """

    source: Path
    place: OutputPaths
    overrides: Mapping[str, Any] = field(default_factory=dict)
    video: MapVideo | None = None
    part: ClipPart | None = None

    def run(self, job: Job, watcher: Watcher) -> Outcome:
        """Predict it, unless its results exist.

        Raises:
            SalcliError: As `Job.run`.
        """
        video = self.video
        if video is not None and video.path.exists() and not job.overwrite:
            return Outcome(self.source, video.path, "skipped", video.frames)
        own = self.settings(job)
        if self.part is not None:
            return own.run_part(self.source, self.place, self.part, watcher=watcher)
        if video is None:
            return own.run(self.source, self.place, watcher=watcher)
        outcome = own.run(self.source, self.place, watcher=watcher, then=self._encoded)
        with suppress(OSError):  # somewhere else, someone is still at it
            self.place.folder.rmdir()
        return outcome

    def claim_file(self, *, single: bool) -> Path:
        """Path of the claim of whoever works on it."""
        if self.part is not None:
            return self.part.claim_file(self.place.folder)
        return self.place.claim_file(single=single)

    def settings(self, job: Job) -> Job:
        """The job with what is known of the input."""
        return replace(job, **self.overrides)

    def _encoded(self, outcome: Outcome) -> Outcome:
        """Encode the maps as one video, which replaces their folder."""
        video = self.video
        assert video is not None
        files = sorted(self.place.folder.glob("*.png"))
        if not files:
            raise InputError(f"'{self.source}' has no frames to make a video of")
        size = images.size_of(files[0])
        atomic.write(
            video.path, greyvideo.encode(files, size=size, shown=video.path, fps=video.fps)
        )
        record = self.place.read(single=False)
        if record is not None:
            self.place.discard(record)
        return replace(outcome, results=video.path)
