"""Metrics that read a standardised or normalised saliency map at the fixations."""

from __future__ import annotations

import math

import numpy as np
from array_api_compat import array_namespace, size

from salcli.metrics.arrays import Array, at, is_constant, located

__all__ = ["ig", "nss"]


def nss(
    saliency: Array,
    fixations: Array,
    *,
    ddof: int = 1,
    epsilon: float = 0.0,
    repeats: bool = False,
    constant: float = math.nan,
) -> float:
    """Normalised scanpath saliency: mean standardised saliency at the fixations.

    Args:
        saliency: Array `[H, W]`.
        fixations: Fixations per pixel `[H, W]`; NaN without any.
        ddof: Divide the variance by n - ddof: 1 for the sample, 0 for the population.
        epsilon: Added to the standard deviation.
        repeats: Count every fixation; otherwise count every fixated pixel.
        constant: Value for a constant map, which has no deviation.
    """
    p, counts = located(saliency, fixations)
    values = at(p, counts, repeats=repeats)
    if size(values) == 0:
        return math.nan
    if is_constant(p):
        return constant
    deviation = array_namespace(p).std(p, correction=ddof)
    return float((values.mean() - p.mean()) / (deviation + epsilon))


def ig(
    saliency: Array,
    fixations: Array,
    baseline: Array,
    *,
    epsilon: float = 0.0,
    stretch: bool = False,
    repeats: bool = True,
) -> float:
    """Information gain over a baseline, in bits per fixation (logarithm to the base 2).

    Kummerer et al., "Information-theoretic model comparison unifies saliency metrics", PNAS 2015.

    Args:
        saliency: Array `[H, W]`, taken as a density: divided by its sum.
        fixations: Fixations per pixel `[H, W]`; NaN without any.
        baseline: Array `[H, W]` of the baseline, such as a centre prior, taken likewise.
        epsilon: Added to both densities. Without it, a prediction of zero where somebody looked
            gives minus infinity.
        stretch: Rescale both maps to [0, 1] first, as the MIT benchmark does.
        repeats: Count every fixation; otherwise count every fixated pixel.
    """
    p, counts = located(saliency, fixations)
    b, _ = located(baseline, fixations)
    if not counts.any():
        return math.nan
    densities = [
        _density_at(map_, counts, stretch=stretch, repeats=repeats) + epsilon for map_ in (p, b)
    ]
    with np.errstate(divide="ignore"):  # log2(0) is -inf, as it should be
        model, chance = (float(array_namespace(p).log2(values).mean()) for values in densities)
    return model - chance


def _density_at(p: Array, counts: Array, *, stretch: bool, repeats: bool) -> Array:
    """`arrays.normalised`, at the fixations alone."""
    lowest, pixels = float(p.min()), size(p)
    floor = lowest if stretch or lowest < 0 else 0.0
    total = float(p.sum()) - pixels * floor
    values = at(p, counts, repeats=repeats)
    if total <= 0 or p.max() == floor:
        return array_namespace(p).full_like(values, 1 / pixels)
    return (values - floor) / total
