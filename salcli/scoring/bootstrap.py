"""Means with bootstrap intervals over videos or images, of one model or of a pair."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from salcli.protocols.scorer import generator

__all__ = ["DRAWS", "LEVEL", "Interval", "averages", "difference", "interval"]

Floats = npt.NDArray[np.float64]
Averaging = Literal["frames", "videos"]

DRAWS = 2000
LEVEL = 0.95

AT_ONCE = 250
"""Number of draws whose weights are in memory at the same time."""


@dataclass(frozen=True)
class Interval:
    """A mean, and the interval that has 95 % of the resampled means.

    Attributes:
        mean: NaN where it is undefined.
        low, high: NaN with fewer than two videos or images.
    """

    mean: float
    low: float
    high: float

    def document(self) -> dict[str, Any]:
        """Ready for JSON, which has no NaN."""
        values = {"mean": self.mean, "low": self.low, "high": self.high}
        return {name: None if np.isnan(value) else value for name, value in values.items()}


def interval(sums: Floats, counts: Floats, averaging: Averaging, *, seed: int) -> list[Interval]:
    """The mean of each metric and its interval; whole videos or images are resampled.

    Args:
        sums: Sum of the defined values, `[videos, metrics]`.
        counts: Number of the defined values, `[videos, metrics]`.
        averaging: `"frames"` pools the frames of all videos, `"videos"` averages each video first.
        seed: Random seed; draws are the same for all metrics and both ways of averaging.
    """
    parts = _parts(sums, counts, averaging)
    drawn = np.concatenate([_ratio(w @ parts[0], w @ parts[1]) for w in _weights(len(sums), seed)])
    return _intervals(averages(sums, counts, averaging), drawn, len(sums))


def difference(
    first: tuple[Floats, Floats],
    second: tuple[Floats, Floats],
    averaging: Averaging,
    *,
    seed: int,
) -> list[Interval]:
    """How much higher the second mean of each metric is, over the same videos or images.

    Args:
        first: Sums and counts as `interval` takes them.
        second: The same, row by row of the same video.
        averaging: As for `interval`.
        seed: Random seed.
    """
    # a video without a value of one of them says nothing about the difference
    both = (first[1] > 0) & (second[1] > 0)
    masked = [(np.where(both, s, 0.0), np.where(both, c, 0.0)) for s, c in (first, second)]
    (a, b) = (_parts(sums, counts, averaging) for sums, counts in masked)
    mean = averages(*masked[1], averaging) - averages(*masked[0], averaging)
    drawn = np.concatenate(
        [_ratio(w @ b[0], w @ b[1]) - _ratio(w @ a[0], w @ a[1]) for w in _weights(len(both), seed)]
    )
    return _intervals(mean, drawn, len(both))


def averages(sums: Floats, counts: Floats, averaging: Averaging) -> Floats:
    """The mean of each metric; NaN if it is nowhere defined."""
    parts = _parts(sums, counts, averaging)
    return _ratio(parts[0].sum(axis=0), parts[1].sum(axis=0))


def _parts(sums: Floats, counts: Floats, averaging: Averaging) -> tuple[Floats, Floats]:
    """Numerators and denominators, `[videos, metrics]`, to be summed over videos."""
    if averaging == "frames":
        return sums, counts
    return np.nan_to_num(_ratio(sums, counts)), (counts > 0).astype(np.float64)


def _ratio(sums: Floats, counts: Floats) -> Floats:
    there = counts > 0
    ratio: Floats = np.where(there, sums / np.where(there, counts, 1.0), np.nan)
    return ratio


def _weights(n: int, seed: int) -> Iterator[Floats]:
    """How often each of n videos is drawn, `[draws, n]`, in parts."""
    if not n:
        yield np.zeros((1, 0))
        return
    rng = generator(seed, "bootstrap")
    rows = n * np.arange(AT_ONCE)[:, None]
    for _ in range(DRAWS // AT_ONCE):
        drawn = (rng.integers(0, n, (AT_ONCE, n)) + rows).ravel()
        yield np.bincount(drawn, minlength=AT_ONCE * n).reshape(AT_ONCE, n).astype(np.float64)


def _intervals(means: Floats, drawn: Floats, n: int) -> list[Interval]:
    tails = (50 * (1 - LEVEL), 50 * (1 + LEVEL))
    found = []
    for column, mean in enumerate(means):
        values = drawn[:, column][~np.isnan(drawn[:, column])]
        if n < 2 or not values.size:
            found.append(Interval(float(mean), np.nan, np.nan))
        else:
            low, high = np.percentile(values, tails)
            found.append(Interval(float(mean), float(low), float(high)))
    return found
