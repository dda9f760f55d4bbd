"""Fixations as a table: `onset,duration,x,y[,observer,frame]`, comma- or tab-separated."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from salcli.errors import InputError

__all__ = ["SUFFIXES", "FixationTable", "read"]

SUFFIXES = frozenset({".csv", ".tsv"})

NEEDED = ("x", "y")
KNOWN = (*NEEDED, "observer", "frame")
"""Columns that are read; the first line names them. Onset and duration do not weigh fixations."""


@dataclass(frozen=True)
class FixationTable:
    """The rows of a table, in order.

    Attributes:
        points: `[n, 2]` as (x, y) in pixels of the frame, 0 at the outer edge of the first.
        observers: `[n]`, from 0 in the order in which they appear; -1 without the column.
        frames: `[n]`, counted from 0 (from 1 in the file); `None` without the column.
    """

    points: npt.NDArray[np.float64]
    observers: npt.NDArray[np.int64]
    frames: npt.NDArray[np.int64] | None

    def of_frame(self, index: int) -> FixationTable:
        """The rows of the frame at `index`.

        Raises:
            ValueError: The table does not say which frames they belong to.
        """
        if self.frames is None:
            raise ValueError("a clip's table needs the column 'frame', which counts from 1")
        chosen = self.frames == index
        return FixationTable(self.points[chosen], self.observers[chosen], self.frames[chosen])


@lru_cache(maxsize=8)
def read(path: Path) -> FixationTable:
    """Read a table in UTF-8 whose first line names the columns, in any order and case.

    Raises:
        InputError: It cannot be read, or has no such table.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            return _parsed(list(_rows(file.readline(), file)))
    except OSError as error:
        raise InputError(f"'{path}' cannot be read: {error.strerror}") from error
    except (ValueError, csv.Error) as error:
        raise InputError(f"'{path}' is no table of fixations: {error}") from error


def _rows(head: str, lines: Iterator[str]) -> Iterator[Mapping[str, str]]:
    delimiter = max("\t;,", key=head.count)
    names = [name.strip().lower() for name in head.split(delimiter)]
    if missing := [name for name in NEEDED if name not in names]:
        raise ValueError(
            f"no column {', '.join(missing)}; the first line names onset, duration, x, y, and "
            "observer and frame where they are known"
        )
    for number, cells in enumerate(csv.reader(lines, delimiter=delimiter), start=2):
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) != len(names):
            raise ValueError(f"line {number} has {len(cells)} columns, not {len(names)}")
        yield {name: cell.strip() for name, cell in zip(names, cells, strict=True) if name in KNOWN}


def _parsed(rows: list[Mapping[str, str]]) -> FixationTable:
    points = np.array([[float(row[name]) for name in NEEDED] for row in rows]).reshape(-1, 2)
    if not np.isfinite(points).all():
        raise ValueError("a position is not a finite number")
    frames = None
    if rows and "frame" in rows[0]:
        counted = np.array([float(row["frame"]) for row in rows])
        if (counted < 1).any() or (counted != np.floor(counted)).any() or (counted > 2**31).any():
            raise ValueError("frames are whole numbers from 1")
        frames = counted.astype(np.int64) - 1
    known = {name: place for place, name in enumerate(dict.fromkeys(map(_observer, rows)))}
    observers = np.array([known[_observer(row)] for row in rows], np.int64)
    whole = observers if rows and "observer" in rows[0] else np.full(len(rows), -1, np.int64)
    return FixationTable(points, whole, frames)


def _observer(row: Mapping[str, str]) -> str:
    return row.get("observer", "")
