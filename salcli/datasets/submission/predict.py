"""Predicts a split of a dataset into the layout of its benchmark's submissions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from salcli.errors import InputError, UsageError
from salcli.files import atomic
from salcli.media import images
from salcli.output import greyvideo
from salcli.prediction.job import Job, Outcome
from salcli.prediction.manifest import OutputPaths
from salcli.terminal.progress import Watcher
from salcli.types import Dataset, Recording

__all__ = ["PredictionTask", "tasks"]


@dataclass(frozen=True)
class PredictionTask:
    """One recording to predict.

    Attributes:
        recording: The recording.
        place: Folder of its maps.
        video: The grey video that a benchmark requires instead of maps.
    """

    recording: Recording
    place: OutputPaths
    video: Path | None = None

    def run(self, job: Job, watcher: Watcher) -> Outcome:
        """Predict it, unless its results exist.

        Raises:
            SalcliError: As `Job.run`.
        """
        recording = self.recording
        if self.video is not None and self.video.exists() and not job.overwrite:
            return Outcome(recording.source, self.video, "skipped", len(recording.annotations))
        own = self.settings(job)
        if self.video is None:
            return own.run(recording.source, self.place, watcher=watcher)
        outcome = own.run(recording.source, self.place, watcher=watcher, then=self._encoded)
        with suppress(OSError):  # somewhere else, someone is still at it
            self.place.folder.rmdir()
        return outcome

    def settings(self, job: Job) -> Job:
        """The job with what is known of the recording."""
        recording, labels = self.recording, None
        if recording.frames is not None:
            labels = [annotation.label for annotation in recording.annotations]
        kind: Literal["clip", "stills"] = "clip" if recording.is_clip else "stills"
        fps = recording.fps if recording.frames is not None else None
        return replace(job, kind=kind, fps=fps, labels=labels)

    def _encoded(self, outcome: Outcome) -> Outcome:
        """Encode the maps as one video, which replaces their folder."""
        assert self.video is not None
        assert self.recording.fps is not None
        files = sorted(self.place.folder.glob("*.png"))
        if not files:
            raise InputError(f"'{self.recording.source}' has no frames to make a video of")
        content = greyvideo.encode(
            files, size=images.size_of(files[0]), shown=self.video, fps=self.recording.fps
        )
        atomic.write(self.video, content)
        record = self.place.read(single=False)
        if record is not None:
            self.place.discard(record)
        return replace(outcome, results=self.video)


def tasks(dataset: Dataset, split: str, output: Path) -> Iterator[PredictionTask]:
    """One for each recording of a split.

    Raises:
        UnknownName: There is no such split.
        UsageError: The dataset has no submission format.
        InputError: No file of the split is found.
    """
    submission = dataset.submission
    if submission is None:
        raise UsageError(
            f"dataset '{dataset.name}' has no submission format; "
            "predict its images or videos by path"
        )
    for recording in dataset.recordings(split):
        if not len(recording.annotations):
            raise InputError(f"'{recording.source}' has no frames")
        path = output / submission.path(recording, recording.annotations[0])
        if submission.is_video:
            yield PredictionTask(recording, OutputPaths(path.parent, path.stem), path)
        elif recording.is_clip:
            yield PredictionTask(recording, OutputPaths(path.parent.parent, path.parent.name))
        else:
            yield PredictionTask(recording, OutputPaths(path.parent, path.stem))
