"""Makes a predicted map and a frame's ground truth comparable, as a protocol requires."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from salcli.maps import to_8bit
from salcli.metrics.arrays import stretched
from salcli.protocols.description import Preparation
from salcli.protocols.resampling import halve, resample

__all__ = ["GroundTruth", "Map", "prepare", "prepare_truth", "size_of"]

Map: TypeAlias = npt.NDArray[Any]

FIXATED = 255
"""Grey level of a fixated pixel in a fixation map that is treated as an image."""


@dataclass(frozen=True)
class GroundTruth:
    """The ground truth of one frame; a missing part is `None`.

    Attributes:
        fixations: Number of fixations per pixel, `[H, W]`.
        density: Fixation density map `[h, w]` of any size and scale.
        negatives: Number of fixations of other stimuli per pixel, `[H, W]`.
        baseline: Density map `[H, W]` of the baseline of information gain.
    """

    fixations: Map | None = None
    density: Map | None = None
    negatives: Map | None = None
    baseline: Map | None = None


def prepare(
    rule: Preparation,
    saliency: Map,
    size: tuple[int, int],
    *,
    rounding: Literal["floor", "nearest", "up"] = "nearest",
) -> Map:
    """The predicted map as the protocol compares it with ground truth of size (H, W), float64.

    Raises:
        ValueError: See `Scorer.frame`.
    """
    if saliency.ndim != 2:
        raise ValueError(f"a map is [h, w], not {saliency.shape}")
    if saliency.dtype != np.uint8:
        _check_values(saliency)
        if rule.bits == 8:
            saliency = _to_levels(saliency, rounding)
    map_: Map = stretched(saliency.astype(np.float64)) if rule.stretch else saliency
    if rule.resize == "fit":
        if map_.shape != tuple(size):
            (h, w), (height, width) = map_.shape, size
            raise ValueError(f"the map is {w} x {h}, the ground truth {width} x {height}")
    else:
        map_ = resample(map_, size, rule.resize)
    # converted once, and not in each metric
    return (halve(map_) if rule.halve else map_).astype(np.float64)


def prepare_truth(rule: Preparation, truth: GroundTruth) -> GroundTruth:
    """The ground truth as the protocol compares it with the map."""
    if truth.density is not None:
        density = truth.density
        if rule.density is not None:
            density = resample(density.astype(np.float64), rule.density, "bilinear")
        if rule.stretch:
            density = stretched(density.astype(np.float64))
        if rule.halve:
            density = halve(_grey(density))
        truth = dataclasses.replace(truth, density=density.astype(np.float64))
    if not rule.halve:
        return truth
    counts = {
        name: halve(np.where(value > 0, FIXATED, 0).astype(np.uint8)) > 0
        for name, value in (("fixations", truth.fixations), ("negatives", truth.negatives))
        if value is not None
    }
    return dataclasses.replace(truth, **counts)


def size_of(rule: Preparation, truth: GroundTruth, needs: str) -> tuple[int, int] | None:
    """Size (H, W) at which a metric with these needs compares, before halving; `None` without."""
    part: Map | None = getattr(truth, needs)
    if part is None:
        return None
    if needs == "density" and rule.density is not None:
        return rule.density
    return part.shape[0], part.shape[1]


def _check_values(saliency: Map) -> None:
    if np.isnan(saliency).any():
        raise ValueError(f"the map has NaN at {int(np.isnan(saliency).sum())} pixels")
    if not np.isfinite(saliency).all():
        raise ValueError("the map has infinite values")


def _to_levels(saliency: Map, rounding: Literal["floor", "nearest", "up"]) -> Map:
    lowest, highest = float(saliency.min()), float(saliency.max())
    if lowest < 0 or highest > 1 or 0 < highest < 0.5 / 255:
        raise ValueError(
            f"values from {lowest:.3g} to {highest:.3g} do not fit 8 bit, which this protocol "
            "scores; divide the map by its maximum"
        )
    return to_8bit(saliency.astype(np.float32), rounding)


def _grey(density: Map) -> Map:
    """A density map as the 8-bit image that it was or would be."""
    if density.dtype == np.uint8:
        return density
    top = float(density.max())
    scale = 1.0 if top > 1 else 255.0
    return np.rint(np.clip(density * scale, 0, 255)).astype(np.uint8)
