"""Predicts an opened stimulus and writes its files, after those that an earlier run finished."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from salcli.errors import InputError
from salcli.files.atomic import reporting_os_errors
from salcli.media.images import Stills
from salcli.media.open import remaining
from salcli.models.model import Model
from salcli.output import writers
from salcli.output.segments import Kept
from salcli.plugins import loader
from salcli.prediction import loop
from salcli.prediction.claims import Claim
from salcli.prediction.finished import FinishedFrame, FinishedFrames, kept_in
from salcli.terminal.progress import Watcher
from salcli.types import Format, Frame, Scale, Size, Stimulus

__all__ = ["MapSettings", "Produced", "first_needed", "produce"]


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


def produce(
    model: Model,
    stimulus: Stimulus,
    folder: Path,
    *,
    wanted: MapSettings,
    settings: Mapping[str, Any],
    single: bool,
    claim: Claim,
    watcher: Watcher,
) -> Produced:
    """Predict and write whatever is not written yet.

    A clip whose end is damaged is predicted up to there; the damage becomes a problem.

    Args:
        model: Ready to run.
        stimulus: What to look at.
        folder: Where the files go.
        wanted: Which files.
        settings: All that determines their bytes; files of a run with others are not kept.
        single: Whether it is a single still, in a folder shared with others.
        claim: This process's claim on the input.
        watcher: Shows the progress.

    Raises:
        SalcliError: See `salcli.prediction.loop.run` and `salcli.output.writers.open_writer`.
    """
    rest = _Rest(stimulus)
    finished = None
    if not single:
        finished = FinishedFrames(
            folder, settings=settings, formats=wanted.formats, batch_size=model.batch_size
        )
        rest = _resumed(model, stimulus, folder, wanted=wanted, finished=finished)
    made = Produced()
    for frame in rest.done:
        made.add(frame)
    frames = _Frames(rest.stimulus, claim)
    expected = stimulus.expected
    watcher.start(stimulus.name, expected and max(0, expected - len(rest.done)))
    results = loop.run(
        model,
        replace(rest.stimulus, frames=frames),
        size=wanted.size,
        scale=wanted.scale,
        extras=wanted.extras,
        keep_frames="overlay" in wanted.formats or isinstance(stimulus.frames, Stills),
        skip=rest.skip,
        notice=watcher.note,
    )
    kept = Kept(kept_in(folder), len(rest.done), stimulus.time) if finished else None
    writing = writers.open_writer(
        wanted.formats,
        folder,
        stimulus=stimulus,
        rounding=model.spec.rounding,
        single=single,
        kept=kept,
    )
    try:
        with closing(results), writing as writer:
            for result in results:
                numbered = replace(result, index=len(made.labels))
                frame = FinishedFrame.of(numbered)
                if finished:
                    finished.add(frame)
                writer.write(numbered)
                made.add(frame)
                watcher.step()
    except KeyboardInterrupt:
        if finished:
            count = len(_finished_frames(stimulus, folder, wanted=wanted, finished=finished))
            watcher.note(
                f"{stimulus.source}: stopped; the first {count} maps are kept in {folder}, and the "
                "same command goes on after them"
            )
        raise
    made.problems = (*rest.stimulus.problems, *frames.problems)
    made.files = _sizes(made, wanted.formats, folder, single=single, clip=stimulus.is_clip)
    return made


@dataclass(frozen=True)
class _Rest:
    """What is left of a stimulus, in which `skip` frames only give the model its past."""

    stimulus: Stimulus
    done: list[FinishedFrame] = field(default_factory=list)
    skip: int = 0


def _resumed(
    model: Model,
    stimulus: Stimulus,
    folder: Path,
    *,
    wanted: MapSettings,
    finished: FinishedFrames,
) -> _Rest:
    """What an earlier run with the same settings left to do."""
    done = _finished_frames(stimulus, folder, wanted=wanted, finished=finished)
    finished.resume(len(done))
    if isinstance(stimulus.frames, Stills):
        return _Rest(remaining(stimulus, {frame.label for frame in done}.__contains__), done)
    first = first_needed(model, stimulus, len(done))
    return _Rest(replace(stimulus, first=first), done, len(done) - first)


def first_needed(model: Model, stimulus: Stimulus, index: int) -> int:
    """The first frame that a model must be shown, so that it predicts those from `index` on."""
    context = model.context if stimulus.is_clip else 0
    if context is None or model.filters or loader.load().altering():
        return 0  # nobody knows what these remember
    # whole batches: last bits may depend on what is in a batch
    return max(0, index - context) // model.batch_size * model.batch_size


def _finished_frames(
    stimulus: Stimulus, folder: Path, *, wanted: MapSettings, finished: FinishedFrames
) -> list[FinishedFrame]:
    """The first frames that need not be written again, in any format."""
    clip = stimulus.is_clip
    most = writers.count_kept(wanted.formats, folder, clip=clip, kept_in=kept_in(folder))
    if isinstance(stimulus.frames, Stills):
        return finished.whole_batches(most)
    found = finished.frames(most, clip=clip)
    return found[: writers.resumable(wanted.formats, len(found), clip=clip)]


class _Frames:
    """The frames of a stimulus from its `first` on, each of which says that the work goes on.

    A clip ends before the first frame that cannot be read; then `problems` says why.
    """

    def __init__(self, stimulus: Stimulus, claim: Claim) -> None:
        self._stimulus, self._claim = stimulus, claim
        self.problems: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[Frame]:
        count = 0
        try:
            for frame in self._stimulus.frames:
                self._claim.touch()
                count += 1
                if count > self._stimulus.first:
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
