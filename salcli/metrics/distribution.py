"""Metrics that compare the saliency map with a fixation density map."""

from __future__ import annotations

import math

import numpy as np
from scipy.special import rel_entr

from salcli.metrics.arrays import EPSILON, Map, is_constant, normalised, pair

__all__ = ["cc", "kld", "sim"]


def cc(saliency: Map, density: Map, *, epsilon: float = 0.0, constant: float = math.nan) -> float:
    """Pearson correlation of the two maps, in [-1, 1].

    Args:
        saliency: Map `[H, W]`.
        density: Map `[H, W]`; the metric is undefined, NaN, if it is constant.
        epsilon: Added to both (population) deviations, and under the root of the product.
        constant: Value for a constant saliency map.
    """
    p, q = pair(saliency, density)
    if is_constant(q):
        return math.nan
    if is_constant(p):
        return constant
    p, q = p - p.mean(), q - q.mean()
    length_p, length_q = float(np.linalg.norm(p)), float(np.linalg.norm(q))
    root = math.sqrt(p.size)
    scale = 1 / ((length_p / root + epsilon) * (length_q / root + epsilon))
    power = math.sqrt((scale * length_p * length_q) ** 2 + epsilon)
    return scale * float(p.ravel() @ q.ravel()) / power


def sim(saliency: Map, density: Map, *, stretch: bool = False, epsilon: float = 0.0) -> float:
    """Histogram intersection of the maps, each summing to 1: in [0, 1].

    Args:
        saliency: Map `[H, W]`.
        density: Map `[H, W]`; the metric is undefined, NaN, if all is zero.
        stretch: Bring both maps to 0 ... 1 first, as the MIT benchmark does. Then a constant map is
            undefined, NaN, but one of zeros stays zeros, with the similarity 0.
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
    # how far a map is stretched makes no difference, once it sums to 1
    p, q = (normalised(map_, epsilon=epsilon, from_minimum=stretch) for map_ in (p, q))
    return float(np.minimum(p, q, out=p).sum())


def kld(saliency: Map, density: Map, *, epsilon: float = EPSILON) -> float:
    """Kullback-Leibler divergence of the ground truth from the prediction, in nats.

    Args:
        saliency: Map `[H, W]`.
        density: Map `[H, W]`; the metric is undefined, NaN, if all is zero.
        epsilon: Regularises as the MIT benchmark does: `sum q log(eps + q / (p + eps))`. Without
            it, zero, a prediction of zero where somebody looked is infinitely wrong.
    """
    p, q = pair(saliency, density)
    if not q.any():
        return math.nan
    p, q = normalised(p), normalised(q)
    if epsilon == 0:
        return float(rel_entr(q, p).sum())
    p += epsilon
    ratio = np.divide(q, p, out=p)
    ratio += epsilon
    return float(q.ravel() @ np.log(ratio, out=ratio).ravel())
