"""The path of a crop window over one shot: still, one pan, or following what is looked at.

A path that follows is a cubic B-spline whose control points lie on a grid of places, `STEP` seconds
apart. Its speed and acceleration are weighted means of the first and second differences of the
control points. So dynamic programming over (place, speed) that keeps these within limits keeps the
path within them, and finds the best of all such paths.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from salcli.cropping.windows import Window, cumulated, enclosed

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float32]
    Places = npt.NDArray[np.intp]

__all__ = ["Limits", "Motion", "Shot", "follow", "pan", "still"]

Motion: TypeAlias = Literal["still", "pan", "follow"]

STEP = 0.2
"""Seconds between control points."""

PIECE = 1024
"""Frames whose attention is in memory at once."""

GRID = 128
"""Places of a moving window along the whole side of a frame."""

INNER, CENTRED = 0.5, 0.1
"""Length of a window's inner part, and how much attention there counts besides while it moves: what
people look at should not stay at the edge."""

SAME = 1e-6
"""Shares that differ by less are the same."""

SPEED_COST, JERK_COST = 0.02, 0.004
"""What a path gives up for moving by a whole frame, and for a change of speed by a step of the
grid, in seconds of all attention: without need, the window rests."""

BLOCK, AHEAD = 1024, 64
"""Control points over which a path is best, and those of them that the next block decides again."""

PARTS = 64
"""Parts of a shot in which a pan is tried."""


@dataclass(frozen=True)
class Limits:
    """How fast a window may move.

    Attributes:
        speed: Frame sides per second.
        acceleration: Frame sides per second, per second.
    """

    speed: float = 0.4
    acceleration: float = 0.8


@dataclass(frozen=True)
class Shot:
    """What is known of the frames of one shot.

    Attributes:
        times: Seconds of each frame after the first of the shot, `[n]`.
        weights: Seconds for which each is shown, `[n]`.
        profile: Gives the attention along the window's side of the frames `[a, b)`.
        window: The window.
    """

    times: npt.NDArray[np.float64]
    weights: npt.NDArray[np.float64]
    profile: Callable[[int, int], npt.NDArray[np.floating]]
    window: Window

    def pieces(self) -> Iterator[tuple[slice, Floats]]:
        """Some frames at a time, with their cumulated attention."""
        for first in range(0, len(self.times), PIECE):
            last = min(first + PIECE, len(self.times))
            yield slice(first, last), cumulated(self.profile(first, last))

    def shares(self, places: Floats) -> Floats:
        """The share of attention that the window encloses in each frame, at these places `[n]`."""
        found = np.empty(len(self.times), np.float32)
        for part, sums in self.pieces():
            found[part] = enclosed(sums, places[part], self.window.length)
        return found

    def mean(self, values: Floats) -> float:
        """The mean over time of a value per frame."""
        return float(np.average(values, weights=self.weights))


class _Grid:
    """Places that control points may have, and what each is worth over time."""

    def __init__(self, shot: Shot) -> None:
        self._shot = shot
        count = int(shot.window.room * GRID) + 1
        self.places = np.linspace(0, shot.window.room, count, dtype=np.float32)
        self.pitch = shot.window.room / max(1, count - 1)

    def worth(self, indices: Places, weights: Floats, count: int) -> Floats:
        """What each place is worth at each of `count` moments, `[count, P]`.

        Args:
            indices: First moment that each frame belongs to, in order, `[n]`.
            weights: How much it belongs to this one and those after it, `[n, w]`.
            count: Of moments.
        """
        length = self._shot.window.length
        found = np.zeros((count, len(self.places)), np.float32)
        for part, sums in self._shot.pieces():
            whole = enclosed(sums, self.places[None], length)
            value = whole + CENTRED * _inner(sums, self.places, length)
            value *= self._shot.weights[part, None].astype(np.float32)
            moments, starts = np.unique(indices[part], return_index=True)
            for ahead in range(weights.shape[1]):
                weighted = value * weights[part, ahead, None]
                found[moments + ahead] += np.add.reduceat(weighted, starts, axis=0)
        return found


def still(shot: Shot) -> Floats:
    """The place on whole pixels that encloses most attention of a shot, for each frame `[n]`.

    Of places that enclose the same, it is the one with most in the middle of the window.
    """
    total = sum(shot.weights[part] @ sums for part, sums in shot.pieces()) / shot.weights.sum()
    sums, places, length = total[None], shot.window.places, shot.window.length
    whole, inner = enclosed(sums, places[None], length)[0], _inner(sums, places, length)[0]
    best = _middle_best(np.where(whole < whole.max() - SAME, -1, inner))
    return np.full(len(shot.times), places[best], np.float32)


def pan(shot: Shot, limits: Limits) -> Floats:
    """One straight move over the whole shot at constant speed, or none, for each frame `[n]`."""
    grid, n = _Grid(shot), len(shot.times)
    seconds = float(shot.times[-1])
    if not seconds:
        return still(shot)
    share = shot.times / seconds
    parts = np.minimum((share * PARTS).astype(np.intp), PARTS - 1)
    worth = grid.worth(parts, np.ones((n, 1), np.float32), PARTS)
    start, end = np.indices((len(grid.places),) * 2)
    total = -SPEED_COST * grid.pitch * np.abs(end - start).astype(np.float32)
    for part in range(PARTS):
        at = np.rint(start + (end - start) * ((part + 0.5) / PARTS)).astype(np.intp)
        total += worth[part][at]
    total[np.abs(end - start) * grid.pitch > limits.speed * seconds] = -np.inf
    first, last = divmod(_middle_best(total.ravel()), len(grid.places))
    found: Floats = (grid.places[first] * (1 - share) + grid.places[last] * share).astype("f4")
    return found


def follow(shot: Shot, limits: Limits) -> Floats:
    """The best path within the limits, for each frame `[n]`."""
    grid = _Grid(shot)
    if not grid.pitch:
        return still(shot)
    first, weights = _basis(shot.times)
    count = int(first[-1]) + weights.shape[1]
    worth = grid.worth(first, weights, count)
    speed = int(limits.speed * STEP / grid.pitch)
    acceleration = int(limits.acceleration * STEP**2 / grid.pitch)
    control = grid.places[_best_path(worth, speed, acceleration, pitch=grid.pitch)]
    found: Floats = (control[first[:, None] + np.arange(4)] * weights).sum(axis=1)
    return found.clip(0, shot.window.room)


def _inner(sums: npt.NDArray[np.floating], places: Floats, length: float) -> Floats:
    """The share of attention in the inner part of a window at places `[P]`: `[n, P]`."""
    return enclosed(sums, places[None] + np.float32(length * (1 - INNER) / 2), length * INNER)


def _middle_best(worth: Floats) -> int:
    """Index of the largest value, or the middle one where several in a row are the largest."""
    best = int(worth.argmax())
    less = np.flatnonzero(worth < worth[best] - SAME)
    before, after = less[less < best].max(initial=-1), less[less > best].min(initial=len(worth))
    return int(before + after) // 2


def _basis(times: npt.NDArray[np.float64]) -> tuple[Places, Floats]:
    """The first of four control points that each time depends on, and their weights `[n, 4]`."""
    first = np.floor(times / STEP).astype(np.intp)
    u = (times / STEP - first)[:, None]
    pieces = ((1 - u) ** 3, 3 * u**3 - 6 * u**2 + 4, -3 * u**3 + 3 * u**2 + 3 * u + 1, u**3)
    return first, (np.concatenate(pieces, axis=1) / 6).astype(np.float32)


def _best_path(worth: Floats, speed: int, acceleration: int, *, pitch: float) -> Places:
    """The path over the grid `[K]` that is worth most, block by block, so that memory is bounded.

    Args:
        worth: Of each place at each control point, `[K, P]`.
        speed: Limit, in places per control point.
        acceleration: Limit of its change from one control point to the next.
        pitch: Distance of places.
    """
    states = _States(worth.shape[1], speed, acceleration, pitch=pitch)
    found: list[Places] = []
    start, begin = None, 0
    while begin < len(worth):
        path, speeds = states.best(worth[begin : begin + BLOCK], start)
        keep = len(path) if begin + len(path) == len(worth) else len(path) - AHEAD
        found.append(path[:keep])
        start, begin = (int(path[keep - 1]), int(speeds[keep - 1])), begin + keep
    return np.concatenate(found)


class _States:
    """Dynamic programming over places and speeds, in whole places per control point."""

    def __init__(self, places: int, speed: int, acceleration: int, *, pitch: float) -> None:
        speeds = np.arange(-speed, speed + 1)
        self._speed, self._changes = speed, np.arange(-acceleration, acceleration + 1)
        before = np.arange(places)[:, None] - speeds
        self._outside = (before < 0) | (before >= places)
        self._before = before.clip(0, places - 1)
        self._columns = np.arange(len(speeds))
        self._cost = (SPEED_COST * pitch * np.abs(speeds)).astype(np.float32)

    def best(self, worth: Floats, start: tuple[int, int] | None) -> tuple[Places, Places]:
        """The best path `[K]` and its speeds, after the place and speed `start` if there is one."""
        if start is None:
            value = np.repeat(worth[0][:, None], len(self._columns), axis=1)
        else:
            value = np.full(self._before.shape, -np.inf, np.float32)
            value[start[0], start[1] + self._speed] = 0
        rest = worth[1:] if start is None else worth
        choices = np.empty((len(rest), *self._before.shape), np.int16)
        for number, gains in enumerate(rest):
            value, choices[number] = self._step(value, gains)
        return self._traced(value, choices, whole=start is None)

    def _step(self, value: Floats, gains: Floats) -> tuple[Floats, npt.NDArray[np.int16]]:
        """Values of all states one control point later, and the change of speed that led there."""
        padded = np.pad(value, ((0, 0), (len(self._changes) // 2,) * 2), constant_values=-np.inf)
        best = np.full_like(value, -np.inf)
        chosen = np.zeros(value.shape, np.int16)
        for change in sorted(self._changes, key=abs):  # of equals, the smallest change
            shift = len(self._changes) // 2 - change
            other = padded[:, shift : shift + value.shape[1]] - np.float32(JERK_COST * abs(change))
            better = other > best
            best[better], chosen[better] = other[better], change
        moved = best[self._before, self._columns]
        moved[self._outside] = -np.inf
        return moved + gains[:, None] - self._cost, chosen[self._before, self._columns]

    def _traced(
        self, value: Floats, choices: npt.NDArray[np.int16], *, whole: bool
    ) -> tuple[Places, Places]:
        place, column = map(int, np.unravel_index(int(value.argmax()), value.shape))
        found = [(place, column - self._speed)]
        for chosen in choices[::-1]:
            place, speed = found[-1]
            found.append((place - speed, speed - int(chosen[place, speed + self._speed])))
        path = np.array(found[::-1] if whole else found[-2::-1], np.intp)
        return path[:, 0], path[:, 1]
