"""Shared by the metrics: checked pairs of arrays, scales of maps, saliency at the fixations.

Arrays are numpy's or torch's, through the array API; a tensor may be on any device that computes in
double precision.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from array_api_compat import array_namespace, device, size, to_device

__all__ = [
    "EPSILON",
    "Array",
    "Floats",
    "at",
    "flat",
    "fixated",
    "is_constant",
    "located",
    "normalised",
    "on_host",
    "pair",
    "placed",
    "rising",
    "stretched",
]

Array: TypeAlias = Any
"""A numpy array or a torch tensor."""

Floats: TypeAlias = npt.NDArray[np.float64]

EPSILON = float(np.finfo(np.float64).eps)
"""Regularises KLD and IG as the MIT benchmark does (MATLAB's `eps`, 2.2204e-16)."""


def pair(saliency: Array, density: Array) -> tuple[Array, Array]:
    """Both maps in double precision.

    Raises:
        ValueError: They are not two maps `[H, W]` of one shape, or one holds a NaN.
    """
    p, _ = located(saliency, density)
    return p, _doubles(density)


def located(saliency: Array, counts: Array) -> tuple[Array, Array]:
    """The saliency map in double precision, and the fixations per pixel as they are.

    Raises:
        ValueError: As `pair`.
    """
    shapes = tuple(saliency.shape), tuple(counts.shape)
    if shapes[0] != shapes[1] or len(shapes[0]) != 2:
        raise ValueError(f"two maps [H, W] of one shape are needed, not {shapes[0]}, {shapes[1]}")
    for name, values in (("saliency map", saliency), ("ground truth", counts)):
        xp = array_namespace(values)
        if xp.isdtype(values.dtype, "real floating") and xp.isnan(values.min()):
            raise ValueError(f"the {name} has NaN at {int(xp.isnan(values).sum())} pixels")
    return _doubles(saliency), counts


def is_constant(p: Array) -> bool:
    """Whether all values are the same."""
    # not by the deviation, which rounding leaves tiny, but not zero
    return bool(p.min() == p.max())


def normalised(p: Array, *, epsilon: float = 0.0, from_minimum: bool = False) -> Array:
    """The map divided by its sum plus `epsilon`; values below zero shift the whole map to zero.

    A map of zeros becomes uniform.

    Args:
        p: Map `[H, W]`.
        epsilon: Added to the sum.
        from_minimum: Shift the minimum to zero even if it is positive.
    """
    lowest = p.min()
    shifts = bool(lowest < 0) or from_minimum
    shifted = p - lowest if shifts else p
    total = shifted.sum()
    if total <= 0:
        return array_namespace(p).full_like(p, 1 / size(p))
    if not shifts:
        return p / (total + epsilon)
    shifted /= total + epsilon
    return shifted


def stretched(p: Array) -> Array:
    """The map rescaled to [0, 1]; a constant map becomes zeros."""
    lowest, highest = p.min(), p.max()
    return (p - lowest) / (float(highest - lowest) or 1.0)


def flat(array: Array) -> Array:
    """All values in one dimension."""
    return array_namespace(array).reshape(array, (-1,))


def fixated(counts: Array) -> Array:
    """Positions `[n]` of the fixated pixels in the flattened map."""
    # nonzero is ten times as fast on booleans
    return array_namespace(counts).nonzero(flat(counts) != 0)[0]


def at(p: Array, counts: Array, *, repeats: bool) -> Array:
    """Saliency `[n]` at the fixations, in double precision.

    With `repeats`, a pixel that was fixated k times (its value in `counts`) appears k times.
    """
    xp, where = array_namespace(p), fixated(counts)
    values = _doubles(flat(p)[where])
    return xp.repeat(values, xp.astype(flat(counts)[where], xp.int64)) if repeats else values


def rising(values: Array) -> Array:
    """The values `[n]`, sorted."""
    # a stable sort takes five times as long
    return array_namespace(values).sort(values, stable=False)


def placed(values: npt.NDArray[Any], beside: Array) -> Array:
    """The values as an array of the same kind, and on the same device, as another."""
    return array_namespace(beside).asarray(values, device=device(beside))


def on_host(array: Array) -> npt.NDArray[Any]:
    """The array as numpy's."""
    return np.asarray(to_device(array, "cpu"))


def _doubles(array: Array) -> Array:
    xp = array_namespace(array)
    return xp.astype(array, xp.float64, copy=False)
