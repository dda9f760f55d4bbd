"""The CSV table: one row per frame, with numbers that say where its map is salient."""

from __future__ import annotations

import csv
import io
import shutil
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import numpy as np

from salcli.files import atomic
from salcli.files.atomic import ESCAPED, reporting_os_errors
from salcli.output.segments import Kept

if TYPE_CHECKING:
    import numpy.typing as npt

    from salcli.types import Result

__all__ = ["COLUMNS", "Summary", "Table", "append", "count_rows", "row", "summary"]

COLUMNS = (
    "frame",  # from 1
    "label",
    "time_s",  # presentation time in seconds; empty for stills
    "peak_x",  # column and row of the highest value, from 0; the first one in reading order
    "peak_y",
    "centroid_x",  # mean column and row, weighted by saliency
    "centroid_y",
    "entropy_bits",  # of the map normalised to sum 1: log2(H * W) if it is uniform
)


class Table:
    """Writes the table to `path` as rows come in; error messages name `shown`.

    Args:
        path: Where the table is written.
        shown: Its final name.
        kept: Where to keep rows until the table is whole, so that an interrupted run can be
            resumed.

    Raises:
        OutputError: The file cannot be written (from any method).
    """

    def __init__(self, path: Path, *, shown: Path, kept: Kept | None = None) -> None:
        self._path, self._shown, self._kept = path, shown, kept
        self._growing = path if kept is None else kept.folder / shown.name
        self._file: TextIO | None = None

    def add(self, result: Result) -> None:
        """Append the result's row."""
        with reporting_os_errors(self._shown):
            if self._file is None:
                self._file = self._open()
            self._file.write(_line(row(result)))
            if self._kept is not None:
                self._file.flush()  # or a killed run would lose the latest rows

    def _open(self) -> TextIO:
        rows = _rows(self._growing)[: self._kept.frames] if self._kept is not None else []
        atomic.write(self._growing, "".join(map(_line, [COLUMNS, *rows])))
        return self._growing.open("a", encoding="utf-8", errors=ESCAPED, newline="")

    def finish(self) -> None:
        """Complete the file."""
        with reporting_os_errors(self._shown):
            if self._file is not None:
                self._file.close()
            if self._growing != self._path:
                shutil.copyfile(self._growing, self._path)

    def discard(self) -> None:
        """Remove the file, whatever state it is in; rows that are kept stay."""
        with reporting_os_errors(self._shown):
            try:
                if self._file is not None:
                    self._file.close()
            finally:
                self._path.unlink(missing_ok=True)


def count_rows(folder: Path, shown: Path) -> int:
    """How many first rows of the table `shown` are kept in a folder."""
    return len(_rows(folder / shown.name))


def append(source: Path, folder: Path, count: int) -> None:
    """Put the rows that are kept in one folder behind the first `count` of another.

    Raises:
        OutputError: The folder cannot be written.
    """
    for table in source.glob("*.csv"):
        rows = [*_rows(folder / table.name)[:count], *_rows(table)]
        atomic.write(folder / table.name, "".join(map(_line, [COLUMNS, *rows])))


def _rows(path: Path) -> list[tuple[str, ...]]:
    """The whole rows of a table that may have been cut; none if it is not one of ours."""
    try:
        text = path.read_text("utf-8")
        head, *rows = map(tuple, csv.reader(io.StringIO(text, newline="")))
    except (OSError, ValueError, csv.Error):
        return []
    whole = list(takewhile(lambda cells: len(cells) == len(COLUMNS), rows))
    if not text.endswith("\n") and len(whole) == len(rows):
        whole = whole[:-1]
    return whole if head == COLUMNS else []


def row(result: Result) -> tuple[str, ...]:
    """The cells of one result; a map of zeros has neither peak nor centroid nor entropy."""
    time = "" if result.time is None else f"{result.time:.6f}"
    return (str(result.index + 1), result.label, time, *_cells(summary(result.saliency)))


@dataclass(frozen=True)
class Summary:
    """Where a map is salient.

    Attributes:
        peak: Column and row of the highest value, from 0; the first one in reading order.
        centroid: Mean column and row, weighted by saliency.
        entropy: Entropy in bits of the map normalised to sum 1.
    """

    peak: tuple[int, int]
    centroid: tuple[float, float]
    entropy: float


def summary(saliency: npt.NDArray[np.float32]) -> Summary | None:
    """Where a non-negative map `[H, W]` is salient; `None` for a map of zeros."""
    total = saliency.sum(dtype=np.float64)
    if total <= 0:
        return None
    peak_y, peak_x = np.unravel_index(saliency.argmax(), saliency.shape)
    height, width = saliency.shape
    centroid_x = saliency.sum(axis=0, dtype=np.float64) @ np.arange(width) / total
    centroid_y = saliency.sum(axis=1, dtype=np.float64) @ np.arange(height) / total
    # with p = s / total: -sum p log p = log total - sum s log s / total, in one pass over float32
    values = saliency[saliency > 0]
    bits = np.log2(total) - (values * np.log2(values)).sum(dtype=np.float64) / total
    peak = int(peak_x), int(peak_y)
    return Summary(peak, (float(centroid_x), float(centroid_y)), float(bits))


def _cells(found: Summary | None) -> tuple[str, ...]:
    if found is None:
        return ("",) * 5
    centroid = (f"{position:.3f}" for position in found.centroid)
    return (*map(str, found.peak), *centroid, f"{found.entropy:z.4f}")


def _line(cells: tuple[str, ...]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()
