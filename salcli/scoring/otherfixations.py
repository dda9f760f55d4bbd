"""The pool of other stimuli's fixations that s-AUC draws from."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from salcli.protocols.description import Negatives
from salcli.protocols.scorer import generator

__all__ = ["Counts", "Points", "Pool", "Reader"]

Points = npt.NDArray[np.float64]
"""`[n, 2]`, as (x, y) pixels; pixel (0, 0) reaches from 0 to 1."""

Counts = npt.NDArray[np.int32]

Size = tuple[int, int]

Reader = Callable[[int], tuple[Points, Size]]
"""The fixations of the frame at an index, and the size (H, W) of that frame."""


SIZES = 8
"""Number of frame sizes for which the sum over all stimuli is cached."""


class Pool:
    """The fixations of all frames of a dataset, from which negatives are drawn.

    A rule that uses all frames reads each once, and keeps four bytes per fixation and maps of the
    last sizes. A rule that draws frames reads only these.
    """

    def __init__(
        self, rule: Negatives, videos: Sequence[str], read: Reader, *, seed: int = 0
    ) -> None:
        """A pool of `len(videos)` frames; `videos[i]` names the video, or image, of frame i.

        The frames drawn for a frame depend only on the seed, the names and the index.
        """
        self.rule, self.videos, self.read, self.seed = rule, videos, read, seed
        self._members: dict[str, list[int]] = defaultdict(list)
        for index, video in enumerate(videos):
            self._members[video].append(index)
        self._all: dict[str, dict[Size, npt.NDArray[np.uint32]]] = {}
        self._total = lru_cache(maxsize=SIZES)(lambda size: self._gathered(self._all, size))
        self._drawn: tuple[str, Size, Counts] | None = None

    def negatives(self, index: int, size: Size) -> Counts:
        """Fixations of other frames, per pixel `[H, W]`, for the frame at this index."""
        if self.rule.frames is None:
            return self._all_others(self.videos[index], size)
        if self.rule.redrawn == "frame":
            return self._sum(self._draw(index), size)
        video = self.videos[index]
        if self._drawn is None or self._drawn[:2] != (video, size):
            first = self._members[video][0]
            self._drawn = video, size, self._sum(self._draw(first), size)
        return self._drawn[2]

    def _draw(self, index: int) -> list[int]:
        """Indices of the frames whose fixations are the negatives; fewer if there are too few."""
        rng, own, wanted = generator(self.seed, str(index)), self.videos[index], self.rule.frames
        if self.rule.one_per_video:
            others = [v for v in self._members if self.rule.own or v != own]
            chosen = rng.permutation(len(others))[:wanted]
            return [int(rng.choice(self._members[others[i]])) for i in chosen]
        drawn: list[int] = []
        for other in rng.permutation(len(self.videos)):
            if len(drawn) == wanted:
                break
            if self.rule.own or self.videos[other] != own:
                drawn.append(int(other))
        return drawn

    def _sum(self, frames: Sequence[int], size: Size) -> Counts:
        total = np.zeros(size, np.int32)
        for frame in frames:
            points, shape = self.read(frame)
            total += _counted(_scaled(_flat(points, shape), shape, size), size)
        return total if self.rule.repeats else np.minimum(total, 1)

    def _all_others(self, own: str, size: Size) -> Counts:
        if not self._all:
            self._all = {video: self._fixations(video) for video in self._members}
        others = self._total(size) - self._gathered([own], size)
        return others if self.rule.repeats else np.minimum(others, 1)

    def _fixations(self, video: str) -> dict[Size, npt.NDArray[np.uint32]]:
        parts = defaultdict[Size, list[npt.NDArray[np.uint32]]](list)
        for index in self._members[video]:
            points, shape = self.read(index)
            parts[shape].append(_flat(points, shape))
        return {shape: np.concatenate(found) for shape, found in parts.items()}

    def _gathered(self, videos: Iterable[str], size: Size) -> Counts:
        by_shape = defaultdict[Size, list[npt.NDArray[np.uint32]]](list)
        for video in videos:
            for shape, flat in self._all[video].items():
                by_shape[shape].append(flat)
        total = np.zeros(size, np.int32)
        for shape, parts in by_shape.items():
            total += _counted(_scaled(np.concatenate(parts), shape, size), size)
        return total


def _flat(points: Points, shape: Size) -> npt.NDArray[np.uint32]:
    """Positions in the flattened frame, as small as they can be."""
    x, y = np.floor(points).astype(np.uint32).T
    flat: npt.NDArray[np.uint32] = y * np.uint32(shape[1]) + x
    return flat


def _scaled(flat: npt.NDArray[np.uint32], shape: Size, size: Size) -> npt.NDArray[np.int64]:
    """Positions in a flattened frame of another size, by the centres of the pixels."""
    y, x = np.divmod(flat.astype(np.int64), shape[1])
    if shape != size:
        y, x = (2 * y + 1) * size[0] // (2 * shape[0]), (2 * x + 1) * size[1] // (2 * shape[1])
    scaled: npt.NDArray[np.int64] = y * size[1] + x
    return scaled


def _counted(flat: npt.NDArray[np.int64], size: Size) -> Counts:
    counts = np.bincount(flat, minlength=size[0] * size[1])
    return counts.reshape(size).astype(np.int32)
