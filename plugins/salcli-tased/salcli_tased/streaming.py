"""Windows of frames to saliency maps: each window by itself, or with shared computations."""

from __future__ import annotations

from collections import deque
from typing import Protocol

import torch
from torch import Tensor

from salcli_tased import layers
from salcli_tased.folded import Encoded, Folded
from salcli_tased.layers import Slices
from salcli_tased.levels import Compute, Depth, Frames, Kernel, Level
from salcli_tased.network import TasedNet

__all__ = ["Naive", "Sliding", "Streaming"]

STEM: Kernel = (7, 2, 3)
HALVING: Kernel = (3, 2, 1)
NEIGHBOURS: Kernel = (3, 1, 1)


class Sliding(Protocol):
    """Takes a video frame by frame and returns the maps of windows."""

    def push(self, frames: Tensor) -> None:
        """Take the next frames `[n, 3, h, w]`, at most the announced number."""

    def maps(self, starts: range) -> Tensor:
        """Maps `[n, h, w]` of the windows that begin at these frames.

        All their frames have been pushed, the last one with the latest push.
        """


class Naive:
    """Each window by itself, one at a time, with the original's operators."""

    def __init__(self, network: TasedNet, length: int, *, most: int) -> None:
        self.network, self.length = network, length
        self.frames: deque[Tensor] = deque(maxlen=length - 1 + most)
        self.taken = 0

    def push(self, frames: Tensor) -> None:
        """See `Sliding`."""
        self.frames.extend(frames)
        self.taken += len(frames)

    def maps(self, starts: range) -> Tensor:
        """See `Sliding`."""
        first = self.taken - len(self.frames)
        kept = list(self.frames)
        clips = (kept[s - first : s - first + self.length] for s in starts)
        return torch.cat([self.network(torch.stack(clip, dim=1)[None]) for clip in clips])


class Streaming:
    """Windows of one video; a slice that several of them share is computed once."""

    def __init__(self, network: Folded, length: int, *, most: int) -> None:
        def level(below: Depth, kernel: Kernel, compute: Compute) -> Level:
            self.levels.append(Level(below, kernel, compute, most=most))
            return self.levels[-1]

        quarter, sixteenth = length // 8, length // 16
        self.network = network
        self.levels: list[Level] = []
        self.frames = Frames(length, most=most)
        stem = level(self.frames, STEM, network.stem_slices)
        self.front = level(stem, NEIGHBOURS, network.front_slices)
        self.i2 = level(self.front, (quarter, quarter, 0), switched("y3", "i2"))
        mixed_3b = level(self.front, NEIGHBOURS, network.next_slices(0))
        self.mixed_3c = level(mixed_3b, NEIGHBOURS, network.y2_slices)
        self.i1 = level(self.mixed_3c, (quarter, quarter, 0), switched("y2", "i1"))
        top = level(self.mixed_3c, HALVING, network.half_slices)
        for number in range(2, 6):
            top = level(top, NEIGHBOURS, network.next_slices(number))
        top = level(top, NEIGHBOURS, network.y1_slices)
        self.pooled = level(top, (sixteenth, sixteenth, 0), network.pooled_slices)
        mixed_5b = level(self.pooled, NEIGHBOURS, network.next_slices(7))
        self.mixed_5c = level(mixed_5b, NEIGHBOURS, network.y0_slices)

    def push(self, frames: Tensor) -> None:
        """See `Sliding`."""
        self.frames.push("frame", self.network.frame(frames))
        for level in self.levels:
            level.advance(self.frames.next - self.frames.length)

    def encode(self, starts: range) -> Encoded:
        """What the decoder needs for the windows that begin at these frames."""
        for level in self.levels:
            level.look(starts)
        y3, y2 = self.front.edges["y3"], self.mixed_3c.edges["y2"]
        return Encoded(
            y0=self.mixed_5c.edges["y0"],
            i2=self.i2.window("i2", starts),
            i1=self.i1.window("i1", starts),
            i0=self.pooled.edges["i0"],
            size2=(y3.shape[2], y3.shape[3]),
            size1=(y2.shape[2], y2.shape[3]),
        )

    def maps(self, starts: range) -> Tensor:
        """See `Sliding`."""
        return self.network.decode(self.encode(starts))


def switched(pooled: str, name: str) -> Compute:
    """Maximum over a group of slices, then the switches of its pooling over space."""

    def compute(slices: Slices) -> dict[str, Tensor]:
        return {name: layers.switches(layers.largest(slices(pooled)))}

    return compute
