"""Which window of frames predicts which frame, and the windows of a whole video in order.

With windows of L frames, frame i is predicted by frames i - L + 1 ... i. The first L - 1 frames
have fewer before them; they are predicted by frames i + L - 1 ... i, backwards, so that frame i is
again the last of its window. These windows are a pass over the first 2 L - 2 frames in reversed
order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Literal

import torch
from torch import Tensor

from salcli import InputError, Prediction
from salcli_tased.streaming import Sliding

__all__ = ["WindowSchedule", "interpolated"]

Short = Literal["cyclic", "mirror", "strict"]


class WindowSchedule:
    """How to process a video.

    Args:
        length: Frames of a window.
        stride: A map is computed for every `stride`-th frame and for the last one.
        most: Maximum number of frames taken, and of windows computed, at once.
        sliding: Creates the window predictor of a pass.
        finish: Turns the network's maps `[n, h, w]` into `[n, ...]`.
    """

    def __init__(
        self,
        length: int,
        *,
        stride: int,
        most: int,
        sliding: Callable[[], Sliding],
        finish: Callable[[Tensor], Tensor],
    ) -> None:
        self.length, self.stride, self.most = length, stride, most
        self.sliding, self.finish = sliding, finish

    def maps(self, chunks: Iterator[Tensor], short: Short) -> Iterator[tuple[int, Tensor]]:
        """Every computed frame's index and its finished map, in order.

        Args:
            chunks: The video's frames, `[n, 3, h, w]`, at most `most` at a time.
            short: How a video of fewer than 2 L - 2 frames is treated.

        Raises:
            InputError: It is too short, and `short` is strict.
        """
        head: list[Tensor] = []
        count = 0
        for chunk in chunks:
            head.append(chunk)
            count += len(chunk)
            if count >= 2 * self.length - 2:
                break
        if not head:
            return
        first = torch.cat(head)
        order = extension(count, self.length, short)
        yield from self.early(first, order)
        if count >= self.length:
            rest = chain(torch.split(first, self.most), chunks)
            for start, map_ in self.slide(rest, lambda i: (i + self.length - 1) % self.stride == 0):
                yield start + self.length - 1, map_

    def early(self, head: Tensor, order: Callable[[int], int]) -> list[tuple[int, Tensor]]:
        """The frames predicted backwards."""
        count = min(len(head), self.length - 1)
        chosen = set(range(0, count, self.stride))
        if len(head) < self.length:
            chosen.add(count - 1)
        top = max(chosen)
        backwards = torch.tensor([order(i) for i in range(top + self.length - 1, -1, -1)])
        chunks = (head[part.to(head.device)] for part in torch.split(backwards, self.most))
        maps = [(top - start, m) for start, m in self.slide(chunks, lambda i: top - i in chosen)]
        return maps[::-1]

    def slide(
        self, chunks: Iterable[Tensor], wanted: Callable[[int], bool]
    ) -> Iterator[tuple[int, Tensor]]:
        """Start and map of the wanted windows of one pass, and of its last window."""
        sliding = self.sliding()
        taken, given = 0, -1
        for chunk in chunks:
            first = max(0, taken - self.length + 1)
            taken += len(chunk)
            sliding.push(chunk)
            for run in runs(range(first, taken - self.length + 1), wanted):
                yield from zip(run, self.finish(sliding.maps(run)), strict=True)
                given = run[-1]
        last = range(taken - self.length, taken - self.length + 1)
        if last[0] > given:
            yield last[0], self.finish(sliding.maps(last))[0]


def extension(count: int, length: int, short: Short) -> Callable[[int], int]:
    """The function from a position, also past the end, to a frame of a video of `count` frames.

    Raises:
        InputError: The video is too short, and `short` is strict.
    """
    if short == "strict" and count < 2 * length - 2:
        raise InputError(
            f"it has {count} frames, and TASED-Net needs {2 * length - 2}; set the option 'short' "
            "to 'cyclic' to repeat it"
        )
    if short == "mirror":
        return lambda place: min(place % (2 * count), 2 * count - 1 - place % (2 * count))
    return lambda place: place % count


def runs(starts: range, wanted: Callable[[int], bool]) -> Iterator[range]:
    """The wanted starts, as contiguous ranges."""
    begin = None
    for start in range(starts.start, starts.stop + 1):
        inside = start in starts and wanted(start)
        if inside and begin is None:
            begin = start
        elif not inside and begin is not None:
            yield range(begin, start)
            begin = None


def interpolated(computed: Iterable[tuple[int, Tensor]]) -> Iterator[Prediction]:
    """A prediction for every frame, interpolated linearly between computed ones.

    Args:
        computed: Frame, and its finished and raw map `[2, h, w]`.
    """
    before: tuple[int, Tensor] | None = None
    for index, maps in computed:
        if before is not None:
            steps = index - before[0]
            for step in range(1, steps):
                finished, raw = torch.lerp(before[1], maps, step / steps)
                yield Prediction(finished, {"raw": raw}, interpolated=True)
        yield Prediction(maps[0], {"raw": maps[1]})
        before = index, maps
