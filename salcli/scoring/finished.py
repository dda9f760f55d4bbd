"""The recordings that a run has scored so far, so that a killed run can be continued."""

from __future__ import annotations

import hashlib
import json
import shutil
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any

from salcli.files.atomic import reporting_os_errors
from salcli.files.jsonfile import parse_json
from salcli.prediction import parts
from salcli.prediction.journal import Journal
from salcli.scoring.evaluate import FrameScores
from salcli.scoring.selection import Selection

__all__ = ["FinishedParts", "FinishedRecordings", "ScoredPart", "digest"]

NAME = "scores.part.jsonl"


@dataclass(frozen=True)
class _Entry:
    """The frames of one recording."""

    rows: list[FrameScores]


class FinishedRecordings:
    """A journal whose entries are the rows of the frames of each recording.

    It counts only for a run with the same settings and the same files, by names, sizes and times;
    another run starts its own.

    Attributes:
        done, total: Number of recordings in it, and in the whole run.
        start: Number of the first recording that is not in it.
    """

    def __init__(
        self, folder: Path, selection: Selection, digest: str, *, name: str = NAME
    ) -> None:
        """Look for what an earlier run left in a folder, which need not exist.

        Args:
            folder: Of the report.
            selection: The frames.
            digest: Of settings and files; see `digest`.
            name: Of the journal.
        """
        head = {"sha256 of settings and files": digest}
        self._journal = Journal(folder / name, head, partial(parse_json, shape=_Entry))
        self._selection, self._rows = selection, list[FrameScores]()
        numbers = [number for number, chosen in enumerate(selection.chosen) if chosen]
        self.total, self.done = len(numbers), 0
        for number, entry in zip(numbers, self._journal.entries(), strict=False):
            refs = [(number, index) for index in selection.chosen[number]]
            if [row.ref for row in entry.rows] != refs:
                break
            self.done += 1
        self.start = (numbers[self.done :] or [len(selection.recordings)])[0]
        self._is_open = False

    def rows(self) -> Iterator[FrameScores]:
        """The rows of the recordings before `start`, in order."""
        for entry in islice(self._journal.entries(), self.done):
            yield from entry.rows

    def add(self, row: FrameScores) -> None:
        """Add a frame; a recording is written with its last one.

        Raises:
            OutputError: The folder cannot be written.
        """
        number, index = row.ref
        if number < self.start:
            return
        self._rows.append(row)
        if index != self._selection.chosen[number][-1]:
            return
        if not self._is_open:
            self._journal.cut(self.done)
            self._is_open = True
        self._journal.add(asdict(_Entry(self._rows)))
        self._rows.clear()

    def remove(self) -> None:
        """The run is finished.

        Raises:
            OutputError: The folder cannot be written.
        """
        self._journal.remove()


@dataclass(frozen=True)
class ScoredPart:
    """Recordings that are scored by themselves, by any process.

    Attributes:
        source: Which of the sources of maps gives theirs.
        folder: Of the report.
        first, stop: Their numbers, from `first` to before `stop`.
        digest: See `digest`.
    """

    source: int
    folder: Path
    first: int
    stop: int
    digest: str

    @property
    def claim_file(self) -> Path:
        """The claim of whoever scores them."""
        return self.folder / parts.FOLDER / f".{self.first:06d}.salcli-claim"

    def selected(self, selection: Selection) -> Selection:
        """Their frames."""
        chosen = [
            frames if self.first <= number < self.stop else ()
            for number, frames in enumerate(selection.chosen)
        ]
        return replace(selection, chosen=chosen)

    def finished(self, selection: Selection) -> FinishedRecordings:
        """What is scored of them; the journal is kept beside those of the other parts."""
        folder, name = self.folder / parts.FOLDER, f"{self.first:06d}.jsonl"
        return FinishedRecordings(folder, self.selected(selection), self.digest, name=name)


class FinishedParts:
    """All parts of a report, which other processes score; read as `FinishedRecordings` are.

    Attributes:
        done, total, start: As there.
    """

    def __init__(self, found: Sequence[ScoredPart], selection: Selection) -> None:
        self._folder = found[0].folder / parts.FOLDER
        self._parts = [part.finished(selection) for part in found]
        self.done = sum(part.done for part in self._parts)
        self.total = sum(part.total for part in self._parts)
        self.start = len(selection.recordings)

    def rows(self) -> Iterator[FrameScores]:
        """The rows of all recordings, in order."""
        return chain.from_iterable(part.rows() for part in self._parts)

    def add(self, row: FrameScores) -> None:
        """All rows are there."""

    def remove(self) -> None:
        """The run is finished.

        Raises:
            OutputError: The folder cannot be written.
        """
        with reporting_os_errors(self._folder):
            shutil.rmtree(self._folder)


def digest(selection: Selection, settings: Mapping[str, Any], maps: Iterable[Path]) -> str:
    """Changes with everything that the values of a selection depend on.

    Args:
        selection: The frames.
        settings: All but the files, ready for JSON.
        maps: Files that the maps are read from.
    """
    state = hashlib.sha256(json.dumps(settings).encode())
    for file in chain(_files(selection), maps):
        state.update(_state(file).encode())
    return state.hexdigest()


def _files(selection: Selection) -> Iterator[Path]:
    """The recordings themselves, and the files with their ground truth."""
    for recording in selection.recordings:
        yield from recording.frames or [recording.source]
        pairs = ((each.density, each.fixations) for each in recording.annotations)
        yield from dict.fromkeys(path for pair in pairs for path in pair if path is not None)


def _state(path: Path) -> str:
    """Changes with the file, or with what is in the folder."""
    try:
        found = path.stat()  # once: a video dataset has half a million files
    except OSError:
        return f"{path}\0-\0"
    if stat.S_ISDIR(found.st_mode):
        return "".join(map(_state, sorted(path.iterdir())))
    return f"{path}\0{found.st_size}\0{found.st_mtime_ns}\0"
