"""The frames that a run has finished so far, so that an interrupted run can be resumed."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice, takewhile
from pathlib import Path
from typing import Any

from salcli.files.atomic import reporting_os_errors
from salcli.files.jsonfile import parse_json
from salcli.output import writers
from salcli.prediction.journal import Journal
from salcli.prediction.manifest import is_plain_name
from salcli.types import Result

__all__ = ["FinishedFrame", "FinishedFrames", "count", "forget", "kept_in"]

NAME = "salcli.part.json"


@dataclass(frozen=True)
class FinishedFrame:
    """What is known about a frame whose files are written.

    Attributes:
        label: Its output name.
        shape: Of the frame, which decides about the batches of stills; empty if it was not kept.
        extras: Names of its extra maps.
        interpolated: Whether its map was interpolated.
    """

    label: str
    shape: tuple[int, ...] = ()
    extras: tuple[str, ...] = ()
    interpolated: bool = False

    @classmethod
    def of(cls, result: Result) -> FinishedFrame:
        """The frame of a result."""
        shape = () if result.frame is None else result.frame.shape
        return cls(result.label, shape, tuple(result.extras), result.interpolated)


def kept_in(folder: Path) -> Path:
    """Where the unfinished movies and tables of the results in a folder are kept."""
    return folder / ".salcli-parts"


def count(folder: Path) -> int:
    """How many frames of the results in a folder an unfinished run has written, or is about to."""
    _, entries = Journal(folder / NAME, None, _frame).read()
    return sum(1 for _ in entries)


def forget(folder: Path) -> None:
    """Delete the journal and what is kept: the run is finished, or will not be resumed.

    Raises:
        OutputError: The folder cannot be written.
    """
    Journal(folder / NAME, None, _frame).remove()
    with reporting_os_errors(folder):
        if kept_in(folder).is_dir():
            shutil.rmtree(kept_in(folder))


class FinishedFrames:
    """A journal with an entry for each frame, of stills and clips alike."""

    def __init__(
        self, folder: Path, *, settings: Mapping[str, Any], formats: Sequence[str], batch_size: int
    ) -> None:
        head = {"settings": settings, "formats": sorted(formats), "batch_size": batch_size}
        self._folder, self._formats, self._batch_size = folder, formats, batch_size
        self._journal = Journal(folder / NAME, head, _frame)

    def frames(self, most: int | None, *, clip: bool) -> list[FinishedFrame]:
        """The first frames, at most so many, whose own files are all there."""
        found = islice(self._journal.entries(), most)
        return list(takewhile(lambda frame: self._is_there(frame, clip=clip), found))

    def whole_batches(self, most: int | None) -> list[FinishedFrame]:
        """The first stills, at most so many, whose own files are all there, in whole batches.

        The last bits of a network's output may depend on the pictures in a batch: this way the
        bytes equal those of an uninterrupted run.
        """
        found = list(islice(self._journal.entries(), most))
        start = 0
        for index, frame in enumerate(found):
            if index - start == self._batch_size or frame.shape != found[start].shape:
                start = index
            if not self._is_there(frame, clip=False):
                return found[:start]
        full = len(found) - start == self._batch_size
        return found if full else found[:start]

    def resume(self, count: int) -> None:
        """Keep the first frames only; removes the results of a run with other settings.

        Raises:
            OutputError: The folder cannot be written.
        """
        head, entries = self._journal.read()
        if head != self._journal.head:
            if isinstance(head, dict) and head.keys() == self._journal.head.keys():
                self._remove_results(entries, head["formats"])
            forget(self._folder)
        self._journal.cut(count)

    def write(self, frames: Iterable[FinishedFrame]) -> None:
        """Say that exactly these frames are finished, and no more will be.

        Raises:
            OutputError: The journal cannot be written.
        """
        self._journal.write(map(asdict, frames))

    def all(self) -> list[FinishedFrame] | None:
        """All frames of a journal from `write`; `None` if there is none, or of other settings."""
        head, entries = self._journal.read()
        return list(entries) if head == self._journal.head else None

    def add(self, frame: FinishedFrame) -> None:
        """Add a frame whose files are about to be written.

        Raises:
            OutputError: The journal cannot be written.
        """
        self._journal.add(asdict(frame))

    def _is_there(self, frame: FinishedFrame, *, clip: bool) -> bool:
        return all(file.is_file() for file in self._files(frame, self._formats, clip=clip))

    def _remove_results(self, frames: Iterable[FinishedFrame], formats: object) -> None:
        known = [format_ for format_ in writers.FORMATS if format_ in _listed(formats)]
        with reporting_os_errors(self._folder):
            for frame in frames:
                for file in self._files(frame, known, clip=False):
                    file.unlink(missing_ok=True)
            for file in writers.shared_files(known, self._folder, single=False, clip=True):
                file.unlink(missing_ok=True)

    def _files(self, frame: FinishedFrame, formats: Sequence[str], *, clip: bool) -> list[Path]:
        return writers.files_of(
            frame.label, formats, self._folder, single=False, clip=clip, extras=frame.extras
        )


def _frame(line: bytes) -> FinishedFrame:
    """An entry of the journal.

    Raises:
        ValueError: It is not one of ours.
    """
    frame = parse_json(line, FinishedFrame)
    if not all(map(is_plain_name, (frame.label, *frame.extras))):
        raise ValueError(f"'{frame.label}' is no label")
    return frame


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else []
