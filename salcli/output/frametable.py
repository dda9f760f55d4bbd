"""The CSV table: one row per frame, with numbers that say where its map is salient."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import numpy as np

from salcli.atomic import reporting_os_errors

if TYPE_CHECKING:
    import numpy.typing as npt

    from salcli.types import Result

__all__ = ["COLUMNS", "Summary", "Table", "row", "summary"]

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

    Raises:
        OutputError: The file cannot be written (from any method).
    """

    def __init__(self, path: Path, *, shown: Path) -> None:
        self._path = path
        self._shown = shown
        self._file: TextIO | None = None

    def add(self, result: Result) -> None:
        """Append the result's row."""
        with reporting_os_errors(self._shown):
            if self._file is None:
                self._file = self._path.open("w", encoding="utf-8", newline="")
                self._file.write(_line(COLUMNS))
            self._file.write(_line(row(result)))

    def finish(self) -> None:
        """Complete the file."""
        if self._file is not None:
            with reporting_os_errors(self._shown):
                self._file.close()

    def discard(self) -> None:
        """Remove the file, whatever state it is in."""
        with reporting_os_errors(self._shown):
            try:
                self.finish()
            finally:
                self._path.unlink(missing_ok=True)


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
