"""Saliency metrics: pure functions of arrays.

`saliency` is `[H, W]`, any scale, non-negative; `density` is a ground-truth fixation density `[H,
W]`, any scale; `fixations` is a binary fixation map `[H, W]`, where several fixations of one pixel
count once.
Definitions: Bylinskii et al., "What do different evaluation metrics tell us about saliency
models?", TPAMI 2019, section 4. Every function raises `ValueError` on arrays of different shapes,
and gives NaN where the metric is undefined: no fixations, a density of zeros, or a constant map for
CC and NSS. A saliency map of zeros prefers no place, so that SIM and KLD take it as uniform.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = ["auc_judd", "cc", "kld", "nss", "sim"]

Map: TypeAlias = npt.NDArray[Any]

EPSILON = np.finfo(np.float64).eps
"""Regularises KLD as the MIT benchmark does (MATLAB's `eps`, 2.2204e-16)."""


def cc(saliency: Map, density: Map) -> float:
    """Pearson correlation of the two maps, in [-1, 1]."""
    p, q = _pair(saliency, density)
    if _is_constant(p) or _is_constant(q):
        return float("nan")
    p, q = p - p.mean(), q - q.mean()
    return float(p.ravel() @ q.ravel() / (np.linalg.norm(p) * np.linalg.norm(q)))


def nss(saliency: Map, fixations: Map) -> float:
    """Mean standardised saliency (sample deviation, n - 1) at the fixated pixels."""
    p, fixated = _pair(saliency, fixations)
    at_fixations = p[fixated > 0]
    if at_fixations.size == 0 or _is_constant(p):
        return float("nan")
    return float((at_fixations.mean() - p.mean()) / p.std(ddof=1))


def sim(saliency: Map, density: Map) -> float:
    """Histogram intersection of the maps, each summing to 1: in [0, 1]."""
    p, q = _pair(saliency, density)
    if not q.any():
        return float("nan")
    return float(np.minimum(_normalised(p), _normalised(q)).sum())


def kld(saliency: Map, density: Map) -> float:
    """Kullback-Leibler divergence of the ground truth from the prediction, in nats, regularised."""
    p, q = _pair(saliency, density)
    if not q.any():
        return float("nan")
    p, q = _normalised(p), _normalised(q)
    return float((q * np.log(EPSILON + q / (p + EPSILON))).sum())


def auc_judd(saliency: Map, fixations: Map) -> float:
    """Area under the ROC curve: fixated pixels against all others, in [0, 1].

    Thresholds are the saliency values at the fixated pixels, found exactly by sorting; no jitter is
    added, so ties count as the trapezoid between their ends.
    """
    p, fixated = _pair(saliency, fixations)
    positives = np.sort(p[fixated > 0])[::-1]
    n, pixels = positives.size, p.size
    if n in (0, pixels):
        return float("nan")
    thresholds, starts = np.unique(-positives, return_index=True)
    hits = np.append(starts[1:], n)  # fixated pixels at or above each threshold
    above = pixels - np.searchsorted(np.sort(p, axis=None), -thresholds, side="left")
    true_rate = np.concatenate([[0.0], hits / n, [1.0]])
    false_rate = np.concatenate([[0.0], (above - hits) / (pixels - n), [1.0]])
    return float(np.trapezoid(true_rate, false_rate))


def _pair(first: Map, second: Map) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    if first.shape != second.shape or first.ndim != 2:
        raise ValueError(
            f"two maps [H, W] of one shape are needed, not {first.shape}, {second.shape}"
        )
    return np.asarray(first, np.float64), np.asarray(second, np.float64)


def _is_constant(p: npt.NDArray[np.float64]) -> bool:
    # Not by the deviation: rounding leaves one that is tiny, but not zero.
    return bool(p.min() == p.max())


def _normalised(p: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    total = p.sum()
    uniform: npt.NDArray[np.float64] = np.full_like(p, 1 / p.size)
    return p / total if total > 0 else uniform
