"""A file of JSON lines that records how far a run got, so that a killed run can be resumed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Generic, TypeVar

from salcli.files import atomic
from salcli.files.atomic import reporting_os_errors
from salcli.files.jsonfile import parse_json

__all__ = ["Journal"]


T = TypeVar("T")


class Journal(Generic[T]):
    """A JSON line that describes the run, the head, followed by one line per entry.

    Attributes:
        path: The file, which need not exist.
        head: The description; entries of a run with a different head are ignored.
        parse: Makes an entry of a line, or raises ValueError. A file is read up to the first line
            for which it does, since anyone may have written it.
    """

    def __init__(self, path: Path, head: Any, parse: Callable[[bytes], T]) -> None:
        self.path, self.head, self.parse = path, json.loads(json.dumps(head)), parse

    def entries(self) -> Iterator[T]:
        """The entries that earlier runs with this head added, read lazily."""
        head, entries = self.read()
        if head == self.head:
            yield from entries

    def read(self) -> tuple[Any, Iterator[T]]:
        """Head and entries of whatever run left the file; `None` if there is none."""
        lines = _whole_lines(self.path)
        head = next(_parsed(islice(lines, 1), lambda line: parse_json(line, dict)), None)
        return head, _parsed(lines, self.parse)

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

    def write(self, entries: Iterable[Any]) -> None:
        """Write head and all entries at once, so that the file is whole if it exists.

        Raises:
            OutputError: The file cannot be written.
        """
        atomic.write(self.path, b"".join(map(_line, [self.head, *entries])))

    def remove(self) -> None:
        """Remove the file: the run is finished.

        Raises:
            OutputError: The folder cannot be written.
        """
        with reporting_os_errors(self.path):
            if self.path.parent.is_dir():
                self.path.unlink(missing_ok=True)


def _parsed(lines: Iterator[bytes], parse: Callable[[bytes], T]) -> Iterator[T]:
    """The lines up to the first damaged one."""
    try:
        yield from map(parse, lines)
    except ValueError:
        return


def _whole_lines(path: Path) -> Iterator[bytes]:
    """The lines that were written to their end; none of a file that cannot be read."""
    try:
        with path.open("rb") as file:
            yield from (line for line in file if line.endswith(b"\n"))
    except OSError:
        return


def _line(entry: Any) -> bytes:
    return json.dumps(entry).encode() + b"\n"
