"""Areas under ROC curves that are exact, by sorting: against all pixels or other fixations."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from array_api_compat import array_namespace, size

from salcli.metrics.arrays import Array, at, fixated, flat, located, on_host, placed, rising

__all__ = ["auc", "auc_judd", "shuffled_auc"]


def auc_judd(
    saliency: Array,
    fixations: Array,
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
        saliency: Array `[H, W]`.
        fixations: Fixations per pixel `[H, W]`; NaN without any, or where all pixels have one.
        ties: How fixations of equal value count: `"joined"` draws a straight line over all of them,
            `"listed"` makes each a threshold of its own.
        repeats: Count every fixation; otherwise count every fixated pixel. With repeats several
            hits share one pixel, so the area may exceed 1.
        jitter: Add uniform noise from 0 to this value to the map, to break ties. Needs `rng`.
        single: Add the noise in single precision, where it changes only values near zero.
        positives: Number of pixels left out of the denominator of the false alarms; by default the
            number of fixated pixels.
        lag: Added to the count of false alarms.
        decimals: Round both rates to this number of decimals.
        rng: Random generator for the jitter.
    """
    p, counts = located(saliency, fixations)
    xp, found, pixels = array_namespace(p), size(fixated(counts)), size(p)
    if found in (0, pixels):
        return math.nan
    if jitter:
        p = _jittered(p, jitter, single=single, rng=rng)
    listed = xp.flip(rising(at(p, counts, repeats=repeats)))
    # The rest handles a few fixations, so it runs on the host.
    below = on_host(xp.searchsorted(rising(flat(p)), listed, side="left"))
    hits, above, listed = np.arange(1, below.size + 1), pixels - below, on_host(listed)
    if ties == "joined":
        last = np.append(listed[1:] != listed[:-1], True)
        hits, above = hits[last], above[last]
    true_rate = hits / hits[-1]
    false_rate = (above - hits + lag) / (pixels - (found if positives is None else positives))
    if decimals is not None:
        true_rate, false_rate = true_rate.round(decimals), false_rate.round(decimals)
    return float(np.trapezoid([0, *true_rate, 1], [0, *false_rate, 1]))


def auc(saliency: Array, fixations: Array, *, repeats: bool = True) -> float:
    """Area under the ROC curve of fixations against all pixels, the fixated ones among them.

    The probability that a fixation lies on a higher value than a random pixel; ties count a half
    (mid-ranks), as in pysaliency: Kummerer et al., "Saliency benchmarking made easy", ECCV 2018. A
    constant map has 0.5.

    Args:
        saliency: Array `[H, W]`.
        fixations: Fixations per pixel `[H, W]`; NaN without any.
        repeats: Count every fixation; otherwise count every fixated pixel.
    """
    p, counts = located(saliency, fixations)
    return _ranked(at(p, counts, repeats=repeats), flat(p))


def shuffled_auc(
    saliency: Array, fixations: Array, negatives: Array, *, repeats: bool = True
) -> float:
    """Area under the ROC curve of fixations against those of other stimuli.

    Exact; ties count a half.

    Args:
        saliency: Array `[H, W]`.
        fixations: Fixations per pixel `[H, W]`; NaN without any.
        negatives: Fixations of other stimuli per pixel `[H, W]`; NaN without any.
        repeats: Count every fixation, of both kinds; otherwise count every fixated pixel.
    """
    p, counts = located(saliency, fixations)
    _, others = located(saliency, negatives)
    return _ranked(at(p, counts, repeats=repeats), at(p, others, repeats=repeats))


def _ranked(positives: Array, negatives: Array) -> float:
    """Share of pairs in which the positive is higher; a tie counts a half."""
    if size(positives) == 0 or size(negatives) == 0:
        return math.nan
    xp = array_namespace(positives)
    ranked = rising(negatives)
    below, up_to = (xp.searchsorted(ranked, positives, side=side) for side in ("left", "right"))
    return float(int((below + up_to).sum()) / (2 * size(positives) * size(ranked)))


def _jittered(p: Array, jitter: float, *, single: bool, rng: np.random.Generator | None) -> Array:
    if rng is None:
        raise ValueError("jitter needs a random generator: rng=")
    noise = rng.random(tuple(p.shape))
    noise *= jitter
    if not single:
        return p + placed(noise, p)
    xp = array_namespace(p)
    moved = xp.astype(p, xp.float32) + placed(noise.astype(np.float32), p)
    return xp.astype(moved, xp.float64)
