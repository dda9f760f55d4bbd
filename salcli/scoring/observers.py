"""How well observers predict each other: an upper bound that no model should exceed by far."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from salcli.gaze import kernels
from salcli.protocols.preparation import GroundTruth
from salcli.protocols.scorer import Scorer
from salcli.scoring.otherfixations import Points

__all__ = ["densities", "leave_one_out"]

Floats = npt.NDArray[np.float64]


def leave_one_out(
    scorer: Scorer, observers: Sequence[Points], truth: GroundTruth, *, sigma: float, key: str
) -> dict[str, float]:
    """Score the others' fixation density as a prediction of each observer's fixations.

    Returns the mean over observers by metric; an observer for whom a metric is undefined does not
    count. NaN with fewer than two observers who fixated anything. Metrics of density maps compare
    with the density of one observer, so they are lower than with that of all.

    Args:
        scorer: Computes the metrics.
        observers: Fixations `[n, 2]` of each observer.
        truth: Ground truth of the frame. Its fixations and density are replaced; the frame's size
            is that of its fixations, or else of its density.
        sigma: Standard deviation in pixels of the Gaussian around each fixation.
        key: Unique name of the frame.

    Raises:
        ValueError: `truth` has neither fixations nor density.
    """
    map_ = truth.fixations if truth.fixations is not None else truth.density
    if map_ is None:
        raise ValueError("the frame's size is unknown without fixations or a density map")
    size = (map_.shape[0], map_.shape[1])
    seen = [points for points in observers if len(points)]
    if len(seen) < 2:
        return dict.fromkeys(scorer.names, float("nan"))
    single = densities(seen, size, sigma=sigma)
    total, rows = single.sum(axis=0), []
    for index, (points, own) in enumerate(zip(seen, single, strict=True)):
        others = np.maximum(total - own, 0.0)  # a difference may be below zero by rounding
        frame = dataclasses.replace(truth, fixations=kernels.count_map(points, size), density=own)
        rows.append(scorer.frame(others / others.max(), frame, key=f"{key}/{index}"))
    return {name: _mean([row[name] for row in rows]) for name in scorer.names}


def densities(observers: Sequence[Points], size: tuple[int, int], *, sigma: float) -> Floats:
    """For each observer the sum of Gaussians of height 1 around the fixations, `[n, H, W]`."""
    maps: Floats = np.empty((len(observers), *size))
    for map_, points in zip(maps, observers, strict=True):
        across, down = (
            np.exp(-0.5 * ((np.arange(n) + 0.5 - points[:, [axis]]) / sigma) ** 2)
            for axis, n in ((0, size[1]), (1, size[0]))
        )
        np.matmul(down.T, across, out=map_)
    return maps


def _mean(values: Sequence[float]) -> float:
    defined = [value for value in values if not np.isnan(value)]
    return float(np.mean(defined)) if defined else float("nan")
