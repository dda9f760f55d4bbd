"""Resizes maps exactly as MATLAB and OpenCV do, in numpy.

For scores and pictures that must equal published ones; elsewhere salcli uses `maps.resize`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

__all__ = ["Method", "halve", "resample"]

Method: TypeAlias = Literal["bicubic", "bilinear", "area"]
"""`bicubic`: MATLAB's `imresize`, antialiased when shrinking. `bilinear` and `area`: OpenCV's
`INTER_LINEAR`, not antialiased, and `INTER_AREA`."""

Floats: TypeAlias = npt.NDArray[np.float64]

LEVELS = 2048
"""OpenCV's weights of two neighbours in 8-bit maps are multiples of 1 / 2048."""


def resample(map_: npt.NDArray[Any], size: tuple[int, int], method: Method) -> npt.NDArray[Any]:
    """Resize `map_` `[h, w]` to `size` (H, W) by a method that `Preparation` may name.

    uint8 stays uint8, anything else becomes float64.
    """
    if map_.shape == tuple(size):
        return map_
    grey = map_.dtype == np.uint8
    shrinks = size[0] <= map_.shape[0] and size[1] <= map_.shape[1]
    kind = "between" if method == "area" and not shrinks else method
    vertical, horizontal = (_weights(n, m, kind) for n, m in zip(map_.shape, size, strict=True))
    if grey and kind in ("bilinear", "between"):
        return _in_integers(map_, vertical, horizontal)
    # imresize rounds after each dimension, the one that shrinks most first
    steps = [0, 1] if size[0] / map_.shape[0] <= size[1] / map_.shape[1] else [1, 0]
    result = np.asarray(map_, np.float64)
    for step in steps:
        result = vertical @ result if step == 0 else (horizontal @ result.T).T
        if grey and method == "bicubic":
            result = np.clip(np.floor(result + 0.5), 0, 255)
    return np.rint(result).astype(np.uint8) if grey else np.ascontiguousarray(result)


def _in_integers(
    map_: npt.NDArray[np.uint8], vertical: Any, horizontal: Any
) -> npt.NDArray[np.uint8]:
    """OpenCV's fixed-point arithmetic, truncated where OpenCV truncates."""
    (columns, across), (lines, down) = (
        (w.indices.reshape(-1, 2), np.rint(w.data * LEVELS).astype(np.int64).reshape(-1, 2))
        for w in (horizontal, vertical)
    )
    rows = sum(across[:, k] * map_[:, columns[:, k]] for k in (0, 1)) >> 4
    parts = [(down[:, [k]] * rows[lines[:, k]]) >> 16 for k in (0, 1)]
    levels: npt.NDArray[np.int64] = np.clip((parts[0] + parts[1] + 2) >> 2, 0, 255)
    return levels.astype(np.uint8)


def halve(map_: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Halve the size as `cv2.resize(map, None, fx=0.5, fy=0.5)` does: means of 2 x 2 pixels.

    Half of an odd side is rounded to even, so that the last row or column is dropped, or counts
    alone.
    """
    height, width = (round(n / 2) for n in map_.shape)
    more = [(0, max(0, 2 * m - n)) for m, n in zip((height, width), map_.shape, strict=True)]
    padded = np.pad(map_, more, mode="edge")[: 2 * height, : 2 * width].astype(np.uint16)
    means = padded.reshape(height, 2, width, 2).mean(axis=(1, 3))
    halved: Floats = np.floor(means + 0.5)
    for axis, (_, lone) in enumerate(more):
        if lone:  # OpenCV rounds half to even there
            last = (-1, slice(None)) if axis == 0 else (slice(None), -1)
            halved[last] = np.rint(means[last])
    return halved.astype(np.uint8)


@lru_cache(maxsize=64)
def _weights(source: int, target: int, kind: str) -> Any:
    """Weights of the source values for each target value: a sparse matrix whose rows sum to 1."""
    if kind == "bicubic":
        places, weights = _cubic(source, target)
    elif kind == "area":
        places, weights = _shares(source, target)
    else:
        places, weights = _neighbours(source, target, shifted=kind == "between")
    starts = np.arange(target + 1) * places.shape[1]
    return csr_array((weights.ravel(), places.ravel(), starts), shape=(target, source))


def _cubic(source: int, target: int) -> tuple[npt.NDArray[np.intp], Floats]:
    """Keys' kernel with a = -1/2, wider when shrinking; the map is mirrored at its border."""
    scale = target / source
    narrow = min(scale, 1.0)
    centres = (np.arange(target) + 0.5) / scale - 0.5
    first = np.floor(centres - 2 / narrow).astype(np.intp)
    places = first[:, None] + np.arange(int(np.ceil(4 / narrow)) + 2)
    x = np.abs(narrow * (centres[:, None] - places))
    near = (1.5 * x - 2.5) * x**2 + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    weights = np.where(x <= 1, near, np.where(x <= 2, far, 0.0))
    places = places % (2 * source)
    mirrored = np.where(places < source, places, 2 * source - 1 - places)
    return mirrored, weights / weights.sum(axis=1, keepdims=True)


def _shares(source: int, target: int) -> tuple[npt.NDArray[np.intp], Floats]:
    """Share of each target interval that each source interval covers."""
    edges = np.arange(target + 1) * (source / target)
    first = np.floor(edges[:-1] + 1e-9).astype(np.intp)
    places = first[:, None] + np.arange(int(np.ceil(source / target)) + 1)
    overlap = np.minimum(places + 1, edges[1:, None]) - np.maximum(places, edges[:-1, None])
    overlap = np.clip(overlap, 0, None)
    return np.minimum(places, source - 1), overlap / overlap.sum(axis=1, keepdims=True)


def _neighbours(source: int, target: int, *, shifted: bool) -> tuple[npt.NDArray[np.intp], Floats]:
    """The two nearest values; `shifted` is how OpenCV enlarges with `INTER_AREA`."""
    step, index = source / target, np.arange(target)
    if shifted:
        left = np.floor(index * step)
        right_share = (index + 1) - (left + 1) / step
        right_share = np.where(right_share <= 0, 0.0, right_share - np.floor(right_share))
    else:
        centres = (index + 0.5) * step - 0.5
        left = np.floor(centres)
        right_share = centres - left
    places = np.clip(left[:, None] + (0, 1), 0, source - 1).astype(np.intp)
    return places, np.stack([1 - right_share, right_share], axis=1)
