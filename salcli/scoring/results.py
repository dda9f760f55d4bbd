"""Keeps the values of all frames, per video: eight bytes each."""

from __future__ import annotations

import math
from array import array
from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

__all__ = ["Results"]

Floats = npt.NDArray[np.float64]


class Results:
    """Values by recording and metric.

    Attributes:
        metrics: Their names, in order.
    """

    def __init__(self, metrics: Sequence[str]) -> None:
        self.metrics = tuple(metrics)
        self._values: dict[int, dict[str, array[float]]] = {}
        self._positions: dict[int, array[int]] = {}
        self._undefined = defaultdict[str, int](int)

    def add(self, number: int, index: int, values: Mapping[str, float]) -> None:
        """Enter one frame; a metric that is not in `values` was not to be computed on it."""
        if number not in self._values:
            self._values[number] = {name: array("d") for name in self.metrics}
            self._positions[number] = array("l")
        self._positions[number].append(index)
        for name in self.metrics:
            value = values.get(name, math.nan)
            self._undefined[name] += name in values and not math.isfinite(value)
            self._values[number][name].append(value)

    @property
    def numbers(self) -> Sequence[int]:
        """The recordings of which there is anything."""
        return list(self._values)

    @property
    def frames(self) -> int:
        """How many frames there are."""
        return sum(map(len, self._positions.values()))

    def undefined(self, name: str) -> int:
        """On how many frames a metric was to be computed and is not defined, or infinite."""
        return self._undefined[name]

    def positions(self, number: int) -> npt.NDArray[np.int64]:
        """Positions of the frames of a recording."""
        return np.asarray(self._positions[number], np.int64)

    def values(self, number: int, name: str) -> Floats:
        """Of all frames of a recording; not finite where undefined or not computed."""
        return np.asarray(self._values[number][name], np.float64)

    def sums(self) -> tuple[Floats, Floats]:
        """Sum and number of finite values, each `[recordings, metrics]`."""
        shape = (len(self._values), len(self.metrics))
        sums, counts = np.zeros(shape), np.zeros(shape)
        for row, number in enumerate(self._values):
            for column, name in enumerate(self.metrics):
                values = self.values(number, name)
                defined = values[np.isfinite(values)]
                sums[row, column], counts[row, column] = defined.sum(), defined.size
        return sums, counts
