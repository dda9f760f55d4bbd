"""A file of JSON lines that records how far a run got, so that a killed run can be resumed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from salcli.atomic import reporting_os_errors

__all__ = ["Journal", "read"]


class Journal:
    """A JSON line that describes the run, the head, followed by one line per entry.

    Attributes:
        path: The file, which need not exist.
        head: The description; entries of a run with a different head are ignored.
    """

    def __init__(self, path: Path, head: Any) -> None:
        self.path, self.head = path, json.loads(json.dumps(head))

    def entries(self) -> Iterator[Any]:
        """The entries that earlier runs with this head added, read lazily."""
        lines = read(self.path)
        if next(lines, None) == self.head:
            yield from lines

    def cut(self, count: int) -> None:
        """Keep the first `count` entries of this run; must be called once before `add`.

        Raises:
            OutputError: The file cannot be written.
        """
        with reporting_os_errors(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            end = sum(map(len, islice(_whole_lines(self.path), count + 1)))
            with self.path.open("r+b" if count else "wb") as file:
                if count:
                    file.truncate(end)  # drops a line that a killed run left incomplete
                else:
                    file.write(_line(self.head))

    def add(self, entry: Any) -> None:
        """Append an entry.

        Raises:
            OutputError: The file cannot be written.
        """
        with reporting_os_errors(self.path), self.path.open("ab") as file:
            file.write(_line(entry))

    def remove(self) -> None:
        """Remove the file: the run is finished.

        Raises:
            OutputError: The folder cannot be written.
        """
        with reporting_os_errors(self.path):
            if self.path.parent.is_dir():
                self.path.unlink(missing_ok=True)


def read(path: Path) -> Iterator[Any]:
    """Head and entries of any journal, up to the first damaged line; nothing if no file exists."""
    try:
        yield from map(json.loads, _whole_lines(path))
    except (OSError, ValueError):
        return


def _whole_lines(path: Path) -> Iterator[bytes]:
    if path.is_file():
        with path.open("rb") as file:
            yield from (line for line in file if line.endswith(b"\n"))


def _line(entry: Any) -> bytes:
    return json.dumps(entry).encode() + b"\n"
