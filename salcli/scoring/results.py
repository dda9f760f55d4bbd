"""What is kept of the scored frames: their values, and counted problems."""

from __future__ import annotations

import math
from array import array
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Problem", "Problems", "Results"]

Floats = npt.NDArray[np.float64]


@dataclass
class Problem:
    """One reason on one recording.

    Attributes:
        recording: Its name.
        reason: What happened.
        first: Label of the first frame; empty if it does not concern single frames.
        frames: How many.
    """

    recording: str
    reason: str
    first: str = ""
    frames: int = 0

    @property
    def line(self) -> str:
        """All of it in one line."""
        where = self.recording
        if self.frames > 1:
            where += f", {self.frames} frames from {self.first} on"
        elif self.first and self.first != self.recording.rpartition("/")[2]:
            where += f", frame {self.first}"
        return f"{where}: {self.reason}"


class Problems:
    """What went wrong, counted by recording and reason; iterates in order of first occurrence."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], Problem] = {}

    def add(self, recording: str, reason: str, *, label: str = "") -> None:
        """Count one more; without a label it concerns no single frame."""
        problem = self._found.setdefault((recording, reason), Problem(recording, reason, label))
        problem.frames += bool(label)

    def __iter__(self) -> Iterator[Problem]:
        return iter(self._found.values())

    def __len__(self) -> int:
        return len(self._found)

    @property
    def frames(self) -> int:
        """Number of frames with a problem."""
        return sum(problem.frames for problem in self)

    def document(self) -> list[dict[str, Any]]:
        """Ready for JSON."""
        return [dict(vars(problem)) for problem in self]


class Results:
    """Values of all frames by recording and metric, eight bytes each.

    Attributes:
        metrics: Their names, in order.
    """

    def __init__(self, metrics: Sequence[str]) -> None:
        self.metrics = tuple(metrics)
        self._values: dict[int, dict[str, array[float]]] = {}
        self._positions: dict[int, array[int]] = {}
        self._undefined = defaultdict[str, int](int)

    def add(self, number: int, index: int, values: Mapping[str, float]) -> None:
        """Add one frame; a metric missing from `values` was not requested for it."""
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
        """Numbers of the recordings that have values."""
        return list(self._values)

    @property
    def frames(self) -> int:
        """Number of frames."""
        return sum(map(len, self._positions.values()))

    def undefined(self, name: str) -> int:
        """Number of frames on which a requested metric is undefined or infinite."""
        return self._undefined[name]

    def positions(self, number: int) -> npt.NDArray[np.int64]:
        """Positions `[n]` of a recording's frames."""
        return np.asarray(self._positions[number], np.int64)

    def values(self, number: int, name: str) -> Floats:
        """Values `[n]` of a recording's frames; not finite where undefined or not computed."""
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
