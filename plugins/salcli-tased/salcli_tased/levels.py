"""Which slices windows share, and the cache of the shared ones.

A window is a clip of L consecutive frames; window s begins at frame s, and the next one at s + 1.
A level is a depth of the network. Its slices lie d frames apart: slice j of window s is centred on
frame c = s + d j. A slice that the padding of the time axis does not reach is *interior*: it
depends on c alone, so all windows that contain it share it. The others are *edges* of one window.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

import torch
from torch import Tensor

from salcli_tased.layers import Moments, Slices

__all__ = ["Compute", "Depth", "Frames", "Level", "Kernel"]

Compute: TypeAlias = Callable[[Slices], Mapping[str, Tensor]]
"""From slices of the level below to slices of this one, by name: `[moments, n, ...]`."""

Kernel: TypeAlias = tuple[int, int, int]
"""`(taps, ratio, half)`: slice j is made of slices `ratio j - half + 0 ... taps - 1` below."""


class Track:
    """The latest `room` interior slices of one kind, by centre, in a ring buffer."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.rows: Tensor | None = None

    def put(self, centre: int, slices: Tensor) -> None:
        """Keep slices `[n, ...]` whose centres follow each other."""
        if self.rows is None:
            self.rows = slices.new_empty(self.room, *slices.shape[1:])
        first = centre % self.room
        fitting = min(len(slices), self.room - first)
        self.rows[first : first + fitting] = slices[:fitting]
        self.rows[: len(slices) - fitting] = slices[fitting:]

    def get(self, centre: int, count: int) -> Tensor:
        """Slices `[count, ...]` from a centre on: a view, unless they wrap around the ring."""
        assert self.rows is not None  # for the type checker: callers have put
        first = centre % self.room
        beyond = first + count - self.room
        if beyond <= 0:
            return self.rows[first : first + count]
        return torch.cat((self.rows[first:], self.rows[:beyond]))


class Depth:
    """The slices of one depth, of all windows.

    Attributes:
        length: Slices of a window.
        distance: Frames from one slice to the next.
        interior: Positions of the interior slices.
        tracks: Interior slices by name.
        edges: Edges by name, `[edges, n, ...]`, of the latest windows.
        outside: Positions of the edges.
    """

    def __init__(self, length: int, distance: int, interior: range, *, most: int) -> None:
        self.length, self.distance, self.interior = length, distance, interior
        self.outside = [j for j in range(length) if j not in interior]
        self.room = distance * (len(interior) - 1) + most
        self.tracks: dict[str, Track] = {}
        self.edges: Mapping[str, Tensor] = {}
        self.next = distance * interior.start
        """Centre of the next interior slice."""

    def keep(self, name: str, slices: Tensor) -> None:
        """Keep the next interior slices `[n, ...]`."""
        self.tracks.setdefault(name, Track(self.room)).put(self.next, slices)

    def slices(self, name: str, position: int, starts: range) -> Tensor | None:
        """The slice at a position of the windows, `[n, ...]`; `None` outside of them."""
        if position in self.interior:
            return self.tracks[name].get(starts.start + self.distance * position, len(starts))
        if 0 <= position < self.length:
            return self.edges[name][self.outside.index(position)]
        return None

    def window(self, name: str, starts: range) -> Tensor:
        """All slices of the windows, `[T, n, ...]`."""
        found = (self.slices(name, position, starts) for position in range(self.length))
        return torch.stack([x for x in found if x is not None])


class Frames(Depth):
    """The lowest depth: outputs for single frames, all of them interior."""

    def __init__(self, length: int, *, most: int) -> None:
        super().__init__(length, 1, range(length), most=most)

    def push(self, name: str, slices: Tensor) -> None:
        """Take the slices `[n, ...]` of the next frames."""
        self.keep(name, slices)
        self.next += len(slices)


class Level(Depth):
    """Slices computed from those below.

    Args:
        below: The level they are computed from.
        kernel: Which slices of the level below one slice of this level needs.
        compute: Computes them.
        most: Maximum number of frames pushed, and of windows requested, at once.
    """

    def __init__(self, below: Depth, kernel: Kernel, compute: Compute, *, most: int) -> None:
        taps, ratio, half = kernel
        first = -(-(below.interior.start + half) // ratio)
        interior = range(first, (below.interior.stop - taps + half) // ratio + 1)
        if len(interior) < 2:  # no other window needs it
            interior = range(0)
        super().__init__(below.length // ratio, below.distance * ratio, interior, most=most)
        self.below, self.kernel, self.compute = below, kernel, compute

    def advance(self, latest: int) -> None:
        """Compute the interior slices of the windows up to the one that begins at `latest`.

        That one may begin before the video: its later slices exist nevertheless.
        """
        if not self.interior:
            return
        taps, _, half = self.kernel
        count = latest + self.distance * self.interior[-1] + 1 - self.next
        if count <= 0:
            return
        firsts = [self.next + (tap - half) * self.below.distance for tap in range(taps)]

        def reached(name: str) -> Moments:
            return [[self.below.tracks[name].get(first, count) for first in firsts]]

        for name, slices in self.compute(reached).items():
            self.keep(name, slices[0])
        self.next += count

    def look(self, starts: range) -> None:
        """Compute the edges of the windows that begin at `starts`."""
        taps, ratio, half = self.kernel

        def reached(name: str) -> Moments:
            return [
                [self.below.slices(name, ratio * j - half + tap, starts) for tap in range(taps)]
                for j in self.outside
            ]

        self.edges = self.compute(reached)
