"""Areas under ROC curves of random samples, as the MIT benchmark computes them."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import numpy.typing as npt
from array_api_compat import size

from salcli.metrics.arrays import Array, Floats, at, fixated, flat, located, on_host, placed

__all__ = ["area_of_samples", "auc_borji", "shuffled_auc_sampled"]

SPLITS = 100
"""Number of samples whose areas are averaged."""

STEP = 0.1
"""Distance of the thresholds, on a map from 0 to 1."""


def auc_borji(
    saliency: Array,
    fixations: Array,
    *,
    splits: int = SPLITS,
    step: float = STEP,
    rng: np.random.Generator,
) -> float:
    """Area under the ROC curve of fixated pixels against as many random ones (Borji et al., 2013).

    Args:
        saliency: Array `[H, W]`.
        fixations: Fixations per pixel `[H, W]`; NaN without any. Each fixated pixel counts once.
        splits: Number of samples of pixels, drawn with replacement.
        step: Distance of the thresholds, on the map rescaled to [0, 1].
        rng: Random generator for the samples.
    """
    p, counts = located(saliency, fixations)
    n = size(fixated(counts))
    if n == 0:
        return math.nan
    samples = rng.integers(size(p), size=(splits, n))
    return area_of_samples(p, counts, samples, step=step)


def shuffled_auc_sampled(
    saliency: Array,
    fixations: Array,
    negatives: Array,
    *,
    splits: int = SPLITS,
    step: float = STEP,
    limit: Literal["included", "excluded"] = "included",
    denominator: Literal["sample", "fixations"] = "sample",
    rng: np.random.Generator,
) -> float:
    """Area under the ROC curve of fixated pixels against random ones of other stimuli's.

    Args:
        saliency: Array `[H, W]`.
        fixations: Fixations per pixel `[H, W]`; NaN without any. Each fixated pixel counts once.
        negatives: Fixations of other stimuli per pixel `[H, W]`; NaN without any. Likewise.
        splits: Number of samples, each of as many negatives as there are fixated pixels, or of all
            negatives if there are fewer.
        step: Distance of the thresholds, on the map rescaled to [0, 1].
        limit: Whether a threshold that equals the largest value counts.
        denominator: Divisor of the false alarms: the size of the sample, or of the fixations.
        rng: Random generator for the samples.
    """
    p, counts = located(saliency, fixations)
    _, others = located(saliency, negatives)
    n, pool = size(fixated(counts)), on_host(fixated(others))
    if n == 0 or pool.size == 0:
        return math.nan
    drawn = min(n, pool.size)
    samples = np.stack([rng.choice(pool, drawn, replace=False) for _ in range(splits)])
    over = n if denominator == "fixations" else drawn
    return area_of_samples(p, counts, samples, step=step, limit=limit, over=over)


def area_of_samples(
    saliency: Array,
    fixations: Array,
    samples: npt.NDArray[np.intp],
    *,
    step: float = STEP,
    limit: Literal["included", "excluded"] = "included",
    over: int | None = None,
) -> float:
    """Mean over samples of the area under the ROC curve of fixated pixels against each.

    Thresholds are 0, step, 2 step, ... up to the largest value among fixations and sample, on the
    map rescaled to [0, 1]; between them the curve is straight.

    Args:
        saliency: Array `[H, W]`.
        fixations: Fixations per pixel `[H, W]`, at least one. Each fixated pixel counts once.
        samples: Pixels `[splits, m]`, as positions in the flattened map.
        step: Distance of the thresholds.
        limit: Whether a threshold that equals the largest value counts.
        over: Divisor of the false alarms, by default m.
    """
    lowest, reach = float(saliency.min()), float(saliency.max()) - float(saliency.min())
    values, drawn = (
        (on_host(some).astype(np.float64) - lowest) / (reach or 1.0)
        for some in (
            at(saliency, fixations, repeats=False),
            flat(saliency)[placed(samples, saliency)],
        )
    )
    thresholds: Floats = np.arange(int(1 / step) + 2, dtype=np.float64) * step
    largest = np.maximum(values.max(), drawn.max(axis=1))[:, None]
    # Beyond the largest value the curve repeats its first point.
    counts = thresholds <= largest if limit == "included" else thresholds < largest
    found = np.where(counts, _reaching(values[None], thresholds) / values.size, 0.0)
    alarms = np.where(counts, _reaching(drawn, thresholds) / (over or drawn.shape[1]), 0.0)
    return float(_area(found, alarms).mean())


def _reaching(values: Floats, thresholds: Floats) -> Floats:
    """Number of values of each row `[s, n]` at or above each threshold `[k]`, as `[s, k]`."""
    return np.stack([(values >= t).sum(axis=1) for t in thresholds], axis=1).astype(np.float64)


def _area(found: Floats, alarms: Floats) -> Floats:
    """Areas `[s]` under curves `[s, k]`, which start at the lowest threshold."""
    curves = [np.pad(rate[:, ::-1], ((0, 0), (1, 0))) for rate in (found, alarms)]
    ends = [np.pad(rate, ((0, 0), (0, 1)), constant_values=1.0) for rate in curves]
    return np.asarray(np.trapezoid(ends[0], ends[1], axis=1))
