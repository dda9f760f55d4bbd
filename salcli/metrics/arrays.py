"""What the metrics share: checked pairs of arrays, scales of maps, saliency under fixations."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = [
    "EPSILON",
    "Floats",
    "Map",
    "at",
    "is_constant",
    "located",
    "normalised",
    "pair",
    "stretched",
]

Map: TypeAlias = npt.NDArray[Any]
Floats: TypeAlias = npt.NDArray[np.float64]

EPSILON = float(np.finfo(np.float64).eps)
"""Regularises KLD and IG as the MIT benchmark does (MATLAB's `eps`, 2.2204e-16)."""


def pair(saliency: Map, density: Map) -> tuple[Floats, Floats]:
    """Both maps in double precision.

    Raises:
        ValueError: They are not two maps `[H, W]` of one shape, or one holds a NaN.
    """
    p, _ = located(saliency, density)
    return p, np.asarray(density, np.float64)


def located(saliency: Map, counts: Map) -> tuple[Floats, Map]:
    """The saliency map in double precision, and the fixations per pixel as they are.

    Raises:
        ValueError: As `pair`.
    """
    if saliency.shape != counts.shape or saliency.ndim != 2:
        raise ValueError(
            f"two maps [H, W] of one shape are needed, not {saliency.shape}, {counts.shape}"
        )
    for name, values in (("saliency map", saliency), ("ground truth", counts)):
        if values.dtype.kind == "f" and np.isnan(values.min()):
            raise ValueError(f"the {name} has NaN at {int(np.isnan(values).sum())} pixels")
    return np.asarray(saliency, np.float64), counts


def is_constant(p: Floats) -> bool:
    """Whether all values are the same."""
    # Not by the deviation: rounding leaves one that is tiny, but not zero.
    return bool(p.min() == p.max())


def normalised(p: Floats, *, epsilon: float = 0.0, from_minimum: bool = False) -> Floats:
    """The map divided by its sum plus `epsilon`; values below zero shift the whole map to zero.

    A map of zeros prefers no place, so it becomes uniform.

    Args:
        p: Map `[H, W]`.
        epsilon: Added to the sum.
        from_minimum: Take the minimum as zero, also where it is above.
    """
    lowest = p.min()
    shifted = p - lowest if lowest < 0 or from_minimum else p
    total = shifted.sum()
    if total <= 0:
        return np.full_like(p, 1 / p.size)
    scaled: Floats = np.divide(shifted, total + epsilon, out=None if shifted is p else shifted)
    return scaled


def stretched(p: Floats) -> Floats:
    """The map from 0 to 1; a constant map, which has no range, becomes zeros."""
    lowest, highest = p.min(), p.max()
    scaled: Floats = (p - lowest) / ((highest - lowest) or 1.0)
    return scaled


def at(p: Map, counts: Map, *, repeats: bool) -> Floats:
    """Saliency `[n]` at the fixations.

    With `repeats`, a pixel that was fixated k times (its value in `counts`) is there k times.
    """
    where = np.flatnonzero(counts != 0)  # of booleans, which is ten times as fast
    values = np.asarray(p.ravel()[where], np.float64)
    return np.repeat(values, counts.ravel()[where].astype(np.intp)) if repeats else values
