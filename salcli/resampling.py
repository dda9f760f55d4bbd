"""Pillow's resize of 8-bit pictures, to the last bit, on any device."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np
import torch
from PIL import Image
from torch import Tensor

__all__ = ["FILTERS", "resize"]

BITS = 22
"""Pillow's weights are integers: so many bits stand for 1."""

ROOM = 2**25
"""Numbers of float64 that are computed at once: 256 MB."""


def _sinc(x: float) -> float:
    return math.sin(math.pi * x) / (math.pi * x) if x else 1.0


def _triangle(x: float) -> float:
    return max(0.0, 1.0 - abs(x))


def _lanczos(x: float) -> float:
    return _sinc(x) * _sinc(x / 3) if -3.0 <= x < 3.0 else 0.0


FILTERS: dict[Image.Resampling, tuple[float, Callable[[float], float]]] = {
    Image.Resampling.BILINEAR: (1.0, _triangle),
    Image.Resampling.LANCZOS: (3.0, _lanczos),
}
"""Half the width of each filter, and its value."""


def resize(frames: Tensor, size: tuple[int, int], resampling: Image.Resampling) -> Tensor | None:
    """Frames uint8 `[N, H, W, 3]` at `size` (h, w): uint8 `[N, h, w, 3]`, on their device.

    Pillow sums integers and rounds after each direction. Products of matrices in float64 hold the
    same integers, so that no pixel differs from `PIL.Image.resize`. Which direction comes first
    depends on the version of Pillow and on the sizes: it is found with a picture of noise, once for
    each pair of sizes.

    Args:
        frames: At least one of them.
        size: Of the result.
        resampling: Pillow's filter.

    Returns:
        The frames, or `None` if the filter is not of `FILTERS`, or Pillow computes in another way.
    """
    before = (frames.shape[1], frames.shape[2])
    order = _order(before, size, resampling, frames.device) if resampling in FILTERS else None
    if order is None:
        return None
    parts = torch.split(frames, max(1, ROOM // frames[0].numel()))
    return torch.cat([_resized(part, size, resampling, order) for part in parts])


@lru_cache(maxsize=64)
def _order(
    before: tuple[int, int],
    after: tuple[int, int],
    resampling: Image.Resampling,
    device: torch.device,
) -> tuple[int, int] | None:
    """The directions, 2 for rows and 3 for columns, in the order in which Pillow resizes them."""
    noise = np.random.default_rng(0).integers(0, 256, (*before, 3), np.uint8)
    wanted = np.asarray(Image.fromarray(noise).resize(after[::-1], resampling))
    given = torch.from_numpy(noise[None]).to(device)
    for order in ((3, 2), (2, 3)):
        found = _resized(given, after, resampling, order)[0].cpu().numpy()
        if np.array_equal(found, wanted):
            return order
    return None


def _resized(
    frames: Tensor, size: tuple[int, int], resampling: Image.Resampling, order: tuple[int, int]
) -> Tensor:
    x = frames.permute(0, 3, 1, 2).to(torch.float64, memory_format=torch.contiguous_format)
    for direction in order:
        before, after = x.shape[direction], size[direction - 2]
        if before != after:
            weights = _weights(before, after, resampling, x.device)
            sums = weights @ x if direction == 2 else x @ weights.T
            x = sums.add_(1 << (BITS - 1)).div_(1 << BITS).floor_().clamp_(0, 255)
    return x.permute(0, 2, 3, 1).to(torch.uint8, memory_format=torch.contiguous_format)


@lru_cache(maxsize=64)
def _weights(before: int, after: int, resampling: Image.Resampling, device: torch.device) -> Tensor:
    """Pillow's integer weights `[after, before]` in float64."""
    support, value = FILTERS[resampling]
    scale = before / after
    widened = max(scale, 1.0)
    support *= widened
    found = np.zeros((after, before))
    for row in range(after):
        centre = (row + 0.5) * scale
        first = max(0, int(centre - support + 0.5))
        last = min(before, int(centre + support + 0.5))
        places = range(first, last)
        weights = [value((place - centre + 0.5) * (1.0 / widened)) for place in places]
        total = sum(weights)
        found[row, first:last] = [_whole(weight / total if total else weight) for weight in weights]
    return torch.from_numpy(found).to(device)


def _whole(weight: float) -> int:
    return int(weight * (1 << BITS) + (0.5 if weight >= 0 else -0.5))
