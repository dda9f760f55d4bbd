"""Metrics that compare the saliency map with a fixation density map."""

from __future__ import annotations

import math

import numpy as np
from array_api_compat import array_namespace, size

from salcli.metrics.arrays import EPSILON, Array, flat, is_constant, normalised, pair

__all__ = ["cc", "kld", "sim"]


def cc(
    saliency: Array, density: Array, *, epsilon: float = 0.0, constant: float = math.nan
) -> float:
    """Pearson correlation of the two maps, in [-1, 1].

    Args:
        saliency: Array `[H, W]`.
        density: Array `[H, W]`; the metric is NaN if it is constant.
        epsilon: Added to both (population) deviations, and under the root of the product.
        constant: Value for a constant saliency map.
    """
    p, q = pair(saliency, density)
    if is_constant(q):
        return math.nan
    if is_constant(p):
        return constant
    p, q = flat(p - p.mean()), flat(q - q.mean())
    length_p, length_q = math.sqrt(p @ p), math.sqrt(q @ q)
    root = math.sqrt(size(p))
    scale = 1 / ((length_p / root + epsilon) * (length_q / root + epsilon))
    power = math.sqrt((scale * length_p * length_q) ** 2 + epsilon)
    return scale * float(p @ q) / power


def sim(saliency: Array, density: Array, *, stretch: bool = False, epsilon: float = 0.0) -> float:
    """Histogram intersection of the maps, each summing to 1: in [0, 1].

    Args:
        saliency: Array `[H, W]`.
        density: Array `[H, W]`; the metric is NaN if it is zero everywhere.
        stretch: Rescale both maps to [0, 1] first, as the MIT benchmark does. The metric is then
            NaN for a constant map, but 0 for a map of zeros.
        epsilon: Added to the sums.
    """
    p, q = pair(saliency, density)
    if not q.any():
        return math.nan
    if stretch:
        if not p.any():
            return 0.0
        if is_constant(p) or is_constant(q):
            return math.nan
    # the factor of stretching makes no difference, since maps then sum to 1
    p, q = (normalised(map_, epsilon=epsilon, from_minimum=stretch) for map_ in (p, q))
    return float(array_namespace(p).minimum(p, q, out=p).sum())


def kld(saliency: Array, density: Array, *, epsilon: float = EPSILON) -> float:
    """Kullback-Leibler divergence of the ground truth from the prediction, in nats.

    Args:
        saliency: Array `[H, W]`.
        density: Array `[H, W]`; the metric is NaN if it is zero everywhere.
        epsilon: Regularises as the MIT benchmark does: `sum q log(eps + q / (p + eps))`. With
            zero, a prediction of zero where somebody looked gives infinity.
    """
    p, q = pair(saliency, density)
    if not q.any():
        return math.nan
    p, q, xp = flat(normalised(p)), flat(normalised(q)), array_namespace(p)
    if epsilon == 0:
        p, q = p[q > 0], q[q > 0]
    p += epsilon
    with np.errstate(divide="ignore"):  # a prediction of zero gives infinity
        ratio = xp.divide(q, p, out=p)
        ratio += epsilon
        return float(q @ xp.log(ratio, out=ratio))
