"""Predicts an opened stimulus and writes its files, after those that an earlier run finished."""

from __future__ import annotations

import shutil
from collections.abc import Generator, Iterator, Mapping
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

from salcli.errors import InputError
from salcli.files.atomic import reporting_os_errors
from salcli.media.images import FrameFolder, Stills
from salcli.media.open import remaining
from salcli.media.video import Video
from salcli.models.model import Model
from salcli.output import writers
from salcli.output.segments import Kept
from salcli.plugins import loader
from salcli.prediction import loop, parts
from salcli.prediction.claims import Claim
from salcli.prediction.finished import FinishedFrame, FinishedFrames, kept_in
from salcli.prediction.parts import ClipPart
from salcli.terminal.progress import Watcher
from salcli.types import Format, Frame, Result, Scale, Size, Stimulus

__all__ = ["MapSettings", "Produced", "Production", "context_of", "first_needed"]


@dataclass(frozen=True)
class MapSettings:
    """Which maps are written, and how; see `salcli.prediction.job.Job`."""

    formats: tuple[Format, ...]
    size: Size
    scale: Scale
    extras: bool


@dataclass
class Produced:
    """What was written: labels of the maps, names of the extras, the files with their sizes."""

    labels: list[str] = field(default_factory=list)
    interpolated: list[str] = field(default_factory=list)
    extras: set[str] = field(default_factory=set)
    problems: tuple[str, ...] = ()
    files: dict[str, int] = field(default_factory=dict)

    def add(self, frame: FinishedFrame) -> None:
        """Add a frame whose files are written, or about to be."""
        self.labels.append(frame.label)
        self.extras.update(frame.extras)
        if frame.interpolated:
            self.interpolated.append(frame.label)


@dataclass(frozen=True)
class Production:
    """A stimulus that is predicted into files.

    A clip whose end is damaged is predicted up to there; the damage becomes a problem.

    Attributes:
        model: Ready to run.
        stimulus: What to look at.
        folder: Where the files go.
        wanted: Which files.
        settings: All that determines their bytes; files of a run with others are not kept.
        single: Whether it is a single still, in a folder shared with others.
        claim: This process's claim on the input.
        watcher: Shows the progress.
    """

    model: Model
    stimulus: Stimulus
    folder: Path
    wanted: MapSettings
    settings: Mapping[str, Any]
    single: bool
    claim: Claim
    watcher: Watcher

    def whole(self) -> Produced:
        """Predict and write whatever is not written yet.

        Raises:
            SalcliError: See `salcli.prediction.loop.run` and `salcli.output.writers.open_writer`.
        """
        stimulus, rest, finished, kept = self.stimulus, _Rest(self.stimulus), None, None
        if not self.single:
            finished = self._finished(self.folder)
            rest = self._resumed(finished)
            kept = Kept(kept_in(self.folder), len(rest.done), stimulus.time)
        made, frames = Produced(), _Frames(rest.stimulus, self.claim)
        for frame in rest.done:
            made.add(frame)
        expected = stimulus.expected
        self.watcher.start(stimulus.name, expected and max(0, expected - len(rest.done)))
        writing = self._writer(self.folder, kept)
        try:
            with closing(self._results(rest, frames)) as results, writing as writer:
                for result in results:
                    numbered = replace(result, index=len(made.labels))
                    frame = FinishedFrame.of(numbered)
                    if finished:
                        finished.add(frame)
                    writer.write(numbered)
                    made.add(frame)
                    self.watcher.step()
        except KeyboardInterrupt:
            if finished:
                count = len(self._done(finished))
                self.watcher.note(
                    f"{stimulus.source}: stopped; the first {count} maps are kept in "
                    f"{self.folder}, and the same command goes on after them"
                )
            raise
        made.problems = (*rest.stimulus.problems, *frames.problems)
        formats, clip = self.wanted.formats, stimulus.is_clip
        made.files = _sizes(made, formats, self.folder, single=self.single, clip=clip)
        return made

    def part(self, part: ClipPart) -> int:
        """Predict a part of a clip into its folder, unless it is there; gives its frames.

        Raises:
            SalcliError: As `whole`.
        """
        folder = part.folder(self.folder)
        finished = self._finished(folder)
        there = finished.all()
        if there is not None:
            return len(there)
        with reporting_os_errors(folder):
            shutil.rmtree(folder, ignore_errors=True)
        rest = self._after(part.start, [])
        length = None if part.stop is None else part.stop - part.start
        expected = self.stimulus.expected
        self.watcher.start(f"{self.stimulus.name} from {part.start}", length or expected)
        made: list[FinishedFrame] = []
        kept = Kept(kept_in(folder), part.start, self.stimulus.time)
        writing = self._writer(folder, kept, whole=False)
        frames = _Frames(rest.stimulus, self.claim)
        with closing(self._results(rest, frames)) as results, writing as writer:
            for result in islice(results, length):
                writer.write(replace(result, index=part.start + len(made)))
                made.append(FinishedFrame.of(result))
                self.watcher.step()
        finished.write(made)
        return len(made)

    def is_cut(self, part: ClipPart) -> bool:
        """Whether all parts of the clip are predicted."""
        folders = [each.folder(self.folder) for each in part.others()]
        return all(self._finished(folder).all() is not None for folder in folders)

    def _finished(self, folder: Path) -> FinishedFrames:
        return FinishedFrames(
            folder,
            settings=self.settings,
            formats=self.wanted.formats,
            batch_size=self.model.batch_size,
        )

    def _results(self, rest: _Rest, frames: _Frames) -> Generator[Result, None, None]:
        wanted = self.wanted
        return loop.run(
            self.model,
            replace(rest.stimulus, frames=frames),
            size=wanted.size,
            scale=wanted.scale,
            extras=wanted.extras,
            keep_frames="overlay" in wanted.formats or isinstance(self.stimulus.frames, Stills),
            rounding=self.model.spec.rounding if writers.are_8bit(wanted.formats) else None,
            skip=rest.skip,
            notice=self.watcher.note,
        )

    def _writer(
        self, folder: Path, kept: Kept | None, *, whole: bool = True
    ) -> AbstractContextManager[writers.Writer]:
        return writers.open_writer(
            self.wanted.formats,
            folder,
            stimulus=self.stimulus,
            rounding=self.model.spec.rounding,
            single=self.single,
            kept=kept,
            whole=whole,
        )

    def _resumed(self, finished: FinishedFrames) -> _Rest:
        """What an earlier run with the same settings left to do, and those that did parts."""
        done = self._done(finished)
        finished.resume(len(done))
        for start in parts.starts_in(self.folder):
            folder = ClipPart(start, None, ()).folder(self.folder)
            frames = self._finished(folder).all()
            if frames and start == len(done):
                formats = self.wanted.formats
                parts.move(folder, self.folder, frames=frames, formats=formats, start=start)
                for frame in frames:
                    finished.add(frame)
                done += frames
        if len(done) != len(found := self._done(finished)):
            finished.resume(len(found))
            done = found
        if isinstance(self.stimulus.frames, Stills):
            labels = {frame.label for frame in done}
            return _Rest(remaining(self.stimulus, labels.__contains__), done)
        return self._after(len(done), done)

    def _after(self, count: int, done: list[FinishedFrame]) -> _Rest:
        """What is left of a clip after so many frames."""
        first = first_needed(self.model, self.stimulus, count)
        return _Rest(replace(self.stimulus, first=first), done, count - first)

    def _done(self, finished: FinishedFrames) -> list[FinishedFrame]:
        """The first frames that need not be written again, in any format."""
        stimulus, formats, clip = self.stimulus, self.wanted.formats, self.stimulus.is_clip
        kept = kept_in(self.folder)
        most = writers.count_kept(formats, self.folder, clip=clip, kept_in=kept)
        if isinstance(stimulus.frames, Stills):
            return finished.whole_batches(most)
        found = finished.frames(most, clip=clip)
        return found[: writers.resumable(formats, len(found), clip=clip)]


def context_of(model: Model, *, clip: bool) -> int | None:
    """How many earlier frames a map depends on; `None` if nobody knows, or on all of them."""
    if model.filters or loader.load().altering():
        return None  # nobody knows what these remember
    return model.context if clip else 0


def first_needed(model: Model, stimulus: Stimulus, index: int) -> int:
    """The first frame that a model must be shown, so that it predicts those from `index` on."""
    context = context_of(model, clip=stimulus.is_clip)
    if context is None:
        return 0
    # whole batches: last bits may depend on what is in a batch
    return max(0, index - context) // model.batch_size * model.batch_size


@dataclass(frozen=True)
class _Rest:
    """What is left of a stimulus, in which `skip` frames only give the model its past."""

    stimulus: Stimulus
    done: list[FinishedFrame] = field(default_factory=list)
    skip: int = 0


class _Frames:
    """The frames of a stimulus from its `first` on, each of which says that the work goes on.

    A clip ends before the first frame that cannot be read; then `problems` says why.
    """

    def __init__(self, stimulus: Stimulus, claim: Claim) -> None:
        self._stimulus, self._claim = stimulus, claim
        self.problems: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[Frame]:
        first, frames = self._stimulus.first, self._stimulus.frames
        count = 0
        if first and (
            isinstance(frames, FrameFolder) or (isinstance(frames, Video) and frames.index)
        ):
            count, frames = first, frames.after(first)
        try:
            for frame in frames:
                self._claim.touch()
                count += 1
                if count > first:
                    yield frame
        except InputError as error:
            if not count or not self._stimulus.is_clip:
                raise
            whole = replace(self._stimulus, first=0)
            self.problems = (
                f"{error} (everything before second {whole.time(count - 1):.2f} is done)",
            )


def _sizes(
    made: Produced, formats: tuple[Format, ...], folder: Path, *, single: bool, clip: bool
) -> dict[str, int]:
    """The files that were written, with their sizes in bytes."""
    files = writers.shared_files(formats, folder, single=single, clip=clip) if made.labels else []
    for label in made.labels:
        files += writers.files_of(
            label, formats, folder, single=single, clip=clip, extras=made.extras
        )
    with reporting_os_errors(folder):
        return {file.name: file.stat().st_size for file in files}
