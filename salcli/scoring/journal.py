"""The recordings that a run has scored so far, so that a run that dies can be continued."""

from __future__ import annotations

import hashlib
import json
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import Any

from salcli.atomic import reporting_os_errors
from salcli.scoring.evaluate import FrameScores
from salcli.scoring.selection import Selection

__all__ = ["Journal"]

NAME = "scores.part.jsonl"


class Journal:
    """A JSON line for what the run is, then one for each recording, with the rows of its frames.

    It counts only for a run with the same settings and the same files, by names, sizes and times;
    another run starts its own.

    Attributes:
        whole, total: How many recordings are in it, and how many are scored in the end.
        start: Number of the first recording that is not in it.
    """

    def __init__(
        self, folder: Path, selection: Selection, settings: Mapping[str, Any], maps: Iterable[Path]
    ) -> None:
        """Look for what an earlier run left in a folder, which need not exist.

        Args:
            folder: That of the report.
            selection: Which frames.
            settings: All that the values depend on but the files, ready for JSON.
            maps: Files that the maps are read from.
        """
        self._path, self._selection, self._rows = folder / NAME, selection, list[FrameScores]()
        state = hashlib.sha256(json.dumps(settings).encode())
        for file in chain(_files(selection), maps):
            state.update(_state(file).encode())
        self._head = f'{{"sha256 of settings and files": "{state.hexdigest()}"}}\n'.encode()
        numbers = [number for number, chosen in enumerate(selection.chosen) if chosen]
        self.total, self.whole, self._end = len(numbers), 0, 0
        for number, line in zip(numbers, self._lines(), strict=False):
            if not line.startswith(f'{{"recording": {number}, '.encode()):
                break
            self.whole += 1
            self._end = (self._end or len(self._head)) + len(line)
        self.start = (numbers[self.whole :] or [len(selection.recordings)])[0]

    def rows(self) -> Iterator[FrameScores]:
        """Those of the recordings before `start`, in order."""
        for _, line in zip(range(self.whole), self._lines(), strict=False):
            for row in json.loads(line)["rows"]:
                yield FrameScores(**{**row, "ref": tuple(row["ref"])})

    def add(self, row: FrameScores) -> None:
        """Note a frame; with its last one a recording is written.

        Raises:
            OutputError: The folder cannot be written.
        """
        number, index = row.ref
        if number < self.start:
            return
        self._rows.append(row)
        if index != self._selection.chosen[number][-1]:
            return
        entry = {"recording": number, "rows": [asdict(each) for each in self._rows]}
        self._rows.clear()
        with reporting_os_errors(self._path), self._path.open("r+b" if self._end else "wb") as file:
            file.seek(self._end)
            file.truncate()  # what a run that was killed did not finish
            file.write(b"" if self._end else self._head)
            file.write(json.dumps(entry).encode() + b"\n")
            self._end = file.tell()

    def remove(self) -> None:
        """The run is finished.

        Raises:
            OutputError: The folder cannot be written.
        """
        with reporting_os_errors(self._path):
            self._path.unlink(missing_ok=True)

    def _lines(self) -> Iterator[bytes]:
        """The whole lines after the first, if that is this run's."""
        if not self._path.is_file():
            return
        with self._path.open("rb") as file:
            if file.readline() == self._head:
                yield from (line for line in file if line.endswith(b"]}\n"))


def _files(selection: Selection) -> Iterator[Path]:
    """The recordings themselves, and what says what observers did."""
    for recording in selection.recordings:
        yield from recording.frames or [recording.source]
        truths = ((each.density, each.fixations) for each in recording.annotations)
        yield from dict.fromkeys(path for pair in truths for path in pair if path is not None)


def _state(path: Path) -> str:
    """What tells whether a file, or what is in a folder, has changed."""
    try:
        found = path.stat()  # once: a video dataset has half a million files
    except OSError:
        return f"{path}\0-\0"
    if stat.S_ISDIR(found.st_mode):
        return "".join(map(_state, sorted(path.iterdir())))
    return f"{path}\0{found.st_size}\0{found.st_mtime_ns}\0"
