"""Which slices windows share, and where the shared ones are kept.

A window is a clip of L consecutive frames; window s begins at frame s, and the next one at s + 1.
A level is a depth of the network. Its slices lie d frames apart: slice j of window s is centred on
frame c = s + d j. A slice that no padding of the time axis reaches is *interior*: it depends on c
alone, so all windows that hold it share it. The others are *edges* of one window.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

import torch
from torch import Tensor

from salcli_tased.layers import Moments, Taps

__all__ = ["Frames", "Level", "Reach", "Track"]

Compute: TypeAlias = Callable[[Taps], Mapping[str, Tensor]]
"""From slices of the level below to slices of this one, by name: `[moments, n, ...]`."""

Reach: TypeAlias = tuple[int, int, int]
"""`(taps, ratio, half)`: slice j is made of slices `ratio j - half + 0 ... taps - 1` below."""


class Track:
    """Interior slices of one kind by centre, the latest `room` of them, in a ring."""

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

    def get(self, centres: range) -> Tensor:
        """Slices `[n, ...]` by centre; a view, unless they go over the end of the ring."""
        assert self.rows is not None  # whoever asks has put
        first, last = centres[0] % self.room, centres[-1] % self.room
        if first <= last and len(centres) <= self.room:
            return self.rows[first : last + 1 : centres.step]
        return self.rows[torch.tensor([c % self.room for c in centres], device=self.rows.device)]


class Level:
    """Slices of one depth.

    Args:
        below: The level that these slices are made of.
        reach: Of one slice into the level below.
        compute: Makes the slices.
        most: Frames that are pushed, and windows that are looked at, in one go.
    """

    def __init__(self, below: Level, reach: Reach, compute: Compute, *, most: int) -> None:
        taps, ratio, half = reach
        self.below, self.reach, self.compute = below, reach, compute
        self.length = below.length // ratio
        self.distance = below.distance * ratio
        inside = below.interior
        self.interior = range(
            -(-(inside.start + half) // ratio), (inside.stop - taps + half) // ratio + 1
        )
        if len(self.interior) < 2:  # no other window has it
            self.interior = range(0)
        self.outside = [j for j in range(self.length) if j not in self.interior]
        self.room = self.distance * (len(self.interior) - 1) + most
        self.tracks: dict[str, Track] = {}
        self.next = self.distance * self.interior.start  # the centre to come
        self.edges: Mapping[str, Tensor] = {}

    def advance(self, latest: int) -> None:
        """Make the interior slices of the windows up to the one that begins at `latest`.

        That one may be before the video: its interior slices are there nevertheless.
        """
        if not self.interior:
            return
        taps, _, half = self.reach
        step = self.below.distance
        count = latest + self.distance * self.interior[-1] + 1 - self.next
        if count <= 0:
            return
        firsts = [self.next + (tap - half) * step for tap in range(taps)]

        def reached(name: str) -> Moments:
            track = self.below.tracks[name]
            return [[track.get(range(first, first + count)) for first in firsts]]

        for name, slices in self.compute(reached).items():
            self.tracks.setdefault(name, Track(self.room)).put(self.next, slices[0])
        self.next += count

    def look(self, starts: range) -> None:
        """Make the edges of the windows that begin at `starts`."""
        taps, ratio, half = self.reach

        def reached(name: str) -> Moments:
            return [
                [self.below.slices(name, ratio * j - half + tap, starts) for tap in range(taps)]
                for j in self.outside
            ]

        self.edges = self.compute(reached)

    def slices(self, name: str, position: int, starts: range) -> Tensor | None:
        """Slice `position` of the windows, `[n, ...]`; `None` outside of them."""
        if position in self.interior:
            shift = self.distance * position
            return self.tracks[name].get(
                range(starts.start + shift, starts.stop + shift, starts.step)
            )
        if 0 <= position < self.length:
            return self.edges[name][self.outside.index(position)]
        return None

    def window(self, name: str, starts: range) -> Tensor:
        """All slices of the windows, `[T, n, ...]`."""
        found = (self.slices(name, position, starts) for position in range(self.length))
        return torch.stack([x for x in found if x is not None])


class Frames(Level):
    """The lowest level: what is made of single frames, all of it interior."""

    def __init__(self, length: int, *, most: int) -> None:
        self.length, self.distance = length, 1
        self.interior, self.outside = range(length), []
        self.room = length - 1 + most
        self.tracks = {}
        self.next = 0
        self.edges = {}

    def push(self, name: str, slices: Tensor) -> None:
        """Slices `[n, ...]` of the next frames."""
        self.tracks.setdefault(name, Track(self.room)).put(self.next, slices)
        self.next += len(slices)

    def advance(self, latest: int) -> None:
        """Nothing is made here."""

    def look(self, starts: range) -> None:
        """There are no edges here."""
