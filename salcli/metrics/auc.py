"""Areas under ROC curves that are exact, by sorting: against all pixels or other fixations."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from salcli.metrics.arrays import Floats, Map, at, located

__all__ = ["auc", "auc_judd", "shuffled_auc"]


def auc_judd(
    saliency: Map,
    fixations: Map,
    *,
    ties: Literal["joined", "listed"] = "joined",
    repeats: bool = False,
    jitter: float = 0.0,
    single: bool = False,
    positives: int | None = None,
    lag: int = 0,
    decimals: int | None = None,
    rng: np.random.Generator | None = None,
) -> float:
    """Area under the ROC curve of Judd et al. (2012): fixated pixels against all others.

    Thresholds are the saliency values at the fixations. At the k-th highest of n, the share k / n
    of the fixations is found, at the cost of (pixels at or above it - k) false alarms.

    Args:
        saliency: Map `[H, W]`.
        fixations: Fixations per pixel `[H, W]`; NaN without any, or where all pixels have one.
        ties: Of fixations with one value, `"joined"` takes the last, so that ties count as the
            straight line between their ends; `"listed"` takes each as a threshold of its own.
        repeats: Every fixation counts; else every fixated pixel does. Then several hits share one
            pixel, so that the area may pass 1.
        jitter: Uniform noise from 0 to this is added to the map, against ties. Needs `rng`.
        single: Add it in single precision, where it moves only values near zero.
        positives: How many pixels the denominator of the false alarms leaves out; `None` leaves out
            those that were fixated.
        lag: Added to the count of false alarms.
        decimals: Round both rates to so many.
        rng: Where the jitter comes from.
    """
    p, counts = located(saliency, fixations)
    fixated = int(np.count_nonzero(counts))
    if fixated in (0, p.size):
        return math.nan
    if jitter:
        p = _jittered(p, jitter, single=single, rng=rng)
    listed = np.sort(at(p, counts, repeats=repeats))[::-1]
    hits = np.arange(1, listed.size + 1)
    if ties == "joined":
        last = np.append(listed[1:] != listed[:-1], True)
        listed, hits = listed[last], hits[last]
    above = p.size - np.searchsorted(np.sort(p, axis=None), listed, side="left")
    true_rate = hits / hits[-1]
    false_rate = (above - hits + lag) / (p.size - (fixated if positives is None else positives))
    if decimals is not None:
        true_rate, false_rate = true_rate.round(decimals), false_rate.round(decimals)
    return float(np.trapezoid([0, *true_rate, 1], [0, *false_rate, 1]))


def auc(saliency: Map, fixations: Map, *, repeats: bool = True) -> float:
    """Area under the ROC curve of fixations against all pixels, the fixated ones among them.

    The chance that a fixation lies on a higher value than a pixel drawn at random, ties being worth
    a half (mid-ranks), as in pysaliency: Kummerer et al., "Saliency benchmarking made easy", ECCV
    2018. A constant map has 0.5.

    Args:
        saliency: Map `[H, W]`.
        fixations: Fixations per pixel `[H, W]`; NaN without any.
        repeats: Every fixation counts; else every fixated pixel does.
    """
    p, counts = located(saliency, fixations)
    return _ranked(at(p, counts, repeats=repeats), p.ravel())


def shuffled_auc(saliency: Map, fixations: Map, negatives: Map, *, repeats: bool = True) -> float:
    """Area under the ROC curve of fixations against those of other stimuli.

    Exact, with ties worth a half.

    Args:
        saliency: Map `[H, W]`.
        fixations: Fixations per pixel `[H, W]`; NaN without any.
        negatives: Fixations of other stimuli per pixel `[H, W]`; NaN without any.
        repeats: Every fixation counts, of both kinds; else every fixated pixel does.
    """
    p, counts = located(saliency, fixations)
    _, others = located(saliency, negatives)
    return _ranked(at(p, counts, repeats=repeats), at(p, others, repeats=repeats))


def _ranked(positives: Floats, negatives: Floats) -> float:
    """Share of pairs in which the positive is higher, a tie being half of one."""
    if positives.size == 0 or negatives.size == 0:
        return math.nan
    ranked = np.sort(negatives)
    below = np.searchsorted(ranked, positives, side="left")
    up_to = np.searchsorted(ranked, positives, side="right")
    return float((below + up_to).mean() / (2 * ranked.size))


def _jittered(p: Floats, jitter: float, *, single: bool, rng: np.random.Generator | None) -> Floats:
    if rng is None:
        raise ValueError("jitter is random, so a generator is needed: rng=")
    noise = rng.random(p.shape)
    noise *= jitter
    if single:
        return (p.astype(np.float32) + noise.astype(np.float32)).astype(np.float64)
    noise += p
    return noise
