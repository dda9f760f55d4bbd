"""QP offsets of blocks, from the attention that they get.

An encoder spends fewest bits on an error that is weighted by attention if each block's QP is 3
log2(w) below the usual one, where w is its weight: an error grows by a factor of 2 every 3 QP, and
each bit less makes it grow fourfold.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from salcli.encoding.codecs import Rectangle

    Floats = npt.NDArray[np.float32]
    Offsets = npt.NDArray[np.int8]

__all__ = ["BLOCK", "Grid", "offsets", "rectangles"]

BLOCK = 16
"""Pixels of a block's side."""

MOST = 64
"""Cells along the longer side."""

PER_OCTAVE = 3.0


@dataclass(frozen=True)
class Grid:
    """Cells of a frame `(H, W)`, whose sides are a multiple of `BLOCK`; the last may be smaller."""

    frame: tuple[int, int]

    @property
    def cell(self) -> int:
        """Pixels of a cell's side."""
        return BLOCK * math.ceil(max(self.frame) / (BLOCK * MOST))

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return math.ceil(self.frame[0] / self.cell), math.ceil(self.frame[1] / self.cell)

    @cached_property
    def areas(self) -> Floats:
        """The part of the frame that each cell is, `[rows, columns]`."""
        sides = [np.diff(_edges(side, self.cell)) / side for side in self.frame]
        return np.outer(*sides).astype(np.float32)

    def reduce(self, saliency: Floats) -> Floats:
        """The mean of a map in each cell `[rows, columns]`, as a multiple of the mean of all.

        A map of zeros prefers no place.
        """
        rows = _overlaps(saliency.shape[0], self.frame[0], self.cell)
        columns = _overlaps(saliency.shape[1], self.frame[1], self.cell)
        means = rows @ saliency @ columns.T
        total = float((means * self.areas).sum())
        return (means / total if total > 0 else np.ones_like(means)).astype(np.float32)

    def pixels(self, cells: Floats) -> Floats:
        """Values of cells for each pixel `[H, W]`."""
        whole = cells.repeat(self.cell, axis=0).repeat(self.cell, axis=1)
        return whole[: self.frame[0], : self.frame[1]]

    def blocks(self, cells: npt.NDArray[np.int8], side: int = BLOCK) -> npt.NDArray[np.int8]:
        """Values of cells for blocks of another side, those of the cell at their middle."""
        at = [
            np.minimum(np.arange(side // 2, math.ceil(n / side) * side, side), n - 1) // self.cell
            for n in self.frame
        ]
        found: npt.NDArray[np.int8] = cells[np.ix_(*at)]
        return found


def _edges(side: int, cell: int) -> npt.NDArray[np.float64]:
    return np.append(np.arange(0, side, cell), side).astype(np.float64)


def _overlaps(values: int, side: int, cell: int) -> Floats:
    """How much of each value lies in each cell, `[cells, values]`, each row with sum 1."""
    edges = _edges(side, cell) * (values / side)
    low, high = edges[:-1, None], edges[1:, None]
    first = np.arange(values)
    inside = np.clip(np.minimum(high, first + 1) - np.maximum(low, first), 0, None)
    found: Floats = (inside / (high - low)).astype(np.float32)
    return found


def offsets(attention: Floats, strength: float, *, more: float = 0.0, step: int = 1) -> Offsets:
    """QP offsets of cells.

    Args:
        attention: Multiples of the mean, of any shape.
        strength: The largest offset; the smallest is half as far below zero.
        more: Added to all before they are rounded.
        step: They are rounded to multiples of it.
    """
    logarithms = np.log2(np.maximum(attention, 2.0**-20))
    found = (-PER_OCTAVE * logarithms).clip(-strength / 2, strength)
    rounded: Offsets = (np.rint((found + more) / step) * step).astype(np.int8)
    return rounded


def rectangles(cells: Offsets, grid: Grid) -> list[Rectangle]:
    """Cells with an offset, joined into few rectangles."""
    found: list[Rectangle] = []
    open_runs: dict[tuple[int, int, int], int] = {}  # (first, last column, offset) to first row
    for row in range(len(cells) + 1):
        runs = _runs(cells[row]) if row < len(cells) else set()
        for run in [run for run in open_runs if run not in runs]:
            found.append(_rectangle(run, open_runs.pop(run), row, grid))
        for run in runs - open_runs.keys():
            open_runs[run] = row
    return found


def _runs(row: Offsets) -> set[tuple[int, int, int]]:
    """Columns with one offset, other than 0: first, past the last, and the offset."""
    ends = [0, *(np.flatnonzero(np.diff(row)) + 1).tolist(), len(row)]
    spans = pairwise(ends)
    return {(first, last, int(row[first])) for first, last in spans if row[first]}


def _rectangle(run: tuple[int, int, int], top: int, bottom: int, grid: Grid) -> Rectangle:
    first, last, offset = run
    x, y = first * grid.cell, top * grid.cell
    width = min(last * grid.cell, grid.frame[1]) - x
    height = min(bottom * grid.cell, grid.frame[0]) - y
    return x, y, width, height, offset
