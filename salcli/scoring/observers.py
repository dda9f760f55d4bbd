"""How well observers predict each other: what no model can be expected to pass by far."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from salcli.protocols.preparation import Truth
from salcli.protocols.scorer import Scorer
from salcli.scoring.otherfixations import Points, count

__all__ = ["densities", "leave_one_out"]

Floats = npt.NDArray[np.float64]


def leave_one_out(
    scorer: Scorer, subjects: Sequence[Points], truth: Truth, *, sigma: float, key: str
) -> dict[str, float]:
    """Each metric where the others' fixation density predicts the fixations of one observer.

    The mean over observers; one on whom a metric is undefined does not count for it. It is NaN with
    fewer than two observers who fixated anything. Metrics of density maps compare with the density
    of that one observer, so they are lower than with that of all.

    Args:
        scorer: What measures.
        subjects: Fixations `[n, 2]` of each observer.
        truth: Of the frame; its fixations and density are replaced, and its fixations (or else its
            density) say how large the frame is.
        sigma: Of the Gaussian around each fixation, in pixels.
        key: Names the frame.

    Raises:
        ValueError: `truth` has neither fixations nor density.
    """
    shown = truth.fixations if truth.fixations is not None else truth.density
    if shown is None:
        raise ValueError("the frame's size is not known without fixations or a density map")
    size = (shown.shape[0], shown.shape[1])
    seen = [points for points in subjects if len(points)]
    names = [each.spec.name for each in scorer.measures]
    if len(seen) < 2:
        return dict.fromkeys(names, float("nan"))
    single = densities(seen, size, sigma=sigma)
    total, rows = single.sum(axis=0), []
    for index, (points, own) in enumerate(zip(seen, single, strict=True)):
        others = np.maximum(total - own, 0.0)  # a difference may be below zero by rounding
        frame = dataclasses.replace(truth, fixations=count(points, size), density=own)
        rows.append(scorer.frame(others / others.max(), frame, key=f"{key}/{index}"))
    return {name: _mean([row[name] for row in rows]) for name in names}


def densities(subjects: Sequence[Points], size: tuple[int, int], *, sigma: float) -> Floats:
    """For each observer the sum of Gaussians of height 1 around the fixations: `[n, H, W]`."""
    maps: Floats = np.empty((len(subjects), *size))
    for map_, points in zip(maps, subjects, strict=True):
        across, down = (
            np.exp(-0.5 * ((np.arange(n) + 0.5 - points[:, [axis]]) / sigma) ** 2)
            for axis, n in ((0, size[1]), (1, size[0]))
        )
        np.matmul(down.T, across, out=map_)
    return maps


def _mean(values: Sequence[float]) -> float:
    defined = [value for value in values if not np.isnan(value)]
    return float(np.mean(defined)) if defined else float("nan")
