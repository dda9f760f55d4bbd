"""Scores of a network on the validation recordings."""

from __future__ import annotations

import logging
import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, TypeAlias

import torch

from salcli.errors import UsageError
from salcli.gaze import groundtruth
from salcli.models.model import Model
from salcli.plugins import registry
from salcli.prediction import loop
from salcli.protocols.scorer import by_defaults
from salcli.recipe import Recipe
from salcli.training.distributed import ALONE, Ranks
from salcli.training.loader import Loader, moved
from salcli.training.plan import Corpus
from salcli.training.reader import Excerpt
from salcli.types import Annotation, Batch, Recording, Result, Stimulus

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["Scores", "by_losses", "by_maps"]

logger = logging.getLogger(__name__)

Scores: TypeAlias = dict[str, dict[str, float]]
"""Means by group of recordings and by name; `"all"` is over everything."""

Row: TypeAlias = tuple[int, tuple[str, ...], float, dict[str, float]]
"""Position, groups, weight and values of one recording or batch."""


def by_maps(
    model: Model,
    corpora: Sequence[Corpus],
    *,
    recipe: Recipe,
    ranks: Ranks = ALONE,
    pause: Callable[[], None] = lambda: None,
) -> Scores:
    """Mean of every metric over the recordings of each group and corpus, and of all.

    Maps are predicted at the frame's own size and compared there; a clip counts with the mean over
    its frames. A recording on which a metric is undefined does not count for it, and a metric that
    is defined on none is left out.

    Args:
        model: Ready to predict.
        corpora: Their validation recordings are predicted.
        recipe: Says how much of a clip.
        ranks: Processes that share the recordings.
        pause: Called after each recording, by all processes equally often; may raise.
    """
    rows: list[Row] = []
    items = [(corpus, recording) for corpus in corpora for recording in corpus.validation]
    for start in range(0, len(items), ranks.count):
        position = start + ranks.number
        if position < len(items):
            corpus, recording = items[position]
            means = _mean_scores(model.in_domain(corpus.domain), recording, recipe)
            rows.append((position, (recording.group, corpus.name), 1.0, means))
        pause()
    return _means(rows, ranks)


def by_losses(
    model: Model,
    loader: Loader,
    *,
    weights: Mapping[str, float],
    ranks: Ranks = ALONE,
    pause: Callable[[], None] = lambda: None,
) -> Scores:
    """Mean of the losses and of their weighted total `loss` over validation batches.

    Args:
        model: Its network is in evaluation mode.
        loader: Loads the batches of this process.
        weights: Of the losses.
        ranks: Processes that share the batches.
        pause: Called after each batch, by all processes equally often; may raise.
    """
    rows: list[Row] = []
    batches = loader.epoch(0)
    for number in range(ranks.largest(len(loader.batches.plan(0)), model.device)):
        batch = next(batches, None)
        if batch is not None:
            with torch.no_grad():
                values = _loss_values(model, moved(batch, model.device), weights)
            position, corpus = number * ranks.count + ranks.number, loader.batches.corpus(0, number)
            rows.append((position, (corpus,), float(len(batch.inputs)), values))
        pause()
    return _means(rows, ranks)


def _loss_values(model: Model, batch: Batch, weights: Mapping[str, float]) -> dict[str, float]:
    found = list(model.losses(batch))
    sums = defaultdict[str, float](float)
    for loss in found:
        sums["loss"] += loss.total(weights).item() / len(found)
        for name, value in loss.parts.items():
            sums[name] += value.item() / len(found)
    return dict(sums)


def _means(rows: Sequence[Row], ranks: Ranks) -> Scores:
    """Weighted means by group, the same whichever process had which row."""
    sums = defaultdict[str, dict[str, list[tuple[float, float]]]](lambda: defaultdict(list))
    for _, groups, weight, values in sorted(row for part in ranks.gather(rows) for row in part):
        for group in dict.fromkeys((*groups, "all")):
            for name, value in values.items():
                sums[group][name].append((weight * value, weight))
    return {
        group: {
            name: math.fsum(v for v, _ in found) / math.fsum(w for _, w in found)
            for name, found in metrics.items()
        }
        for group, metrics in sums.items()
    }


def _mean_scores(model: Model, recording: Recording, recipe: Recipe) -> dict[str, float]:
    """Of every metric over the frames on which it is defined."""
    values = defaultdict[str, list[float]](list)
    for name, value in _scores(model, recording, recipe):
        if not math.isnan(value):
            values[name].append(value)
    return {name: math.fsum(found) / len(found) for name, found in values.items()}


def _scores(model: Model, recording: Recording, recipe: Recipe) -> Iterator[tuple[str, float]]:
    """Every metric of every observed frame."""
    positions = _middle(recording, recipe)
    size, slices = groundtruth.frame_size(recording), recipe.slices
    frames = Excerpt(recording, positions)
    stimulus = Stimulus(recording.name, frames, fps=recording.fps, size=size, count=len(positions))
    found = loop.run(model, stimulus, size=size, extras=slices > 1, notice=logger.warning)
    with closing(found) as results:
        for result in results:  # a video may end a frame before its annotations do
            first = positions[result.index] * slices
            shown = recording.annotations[first : first + slices]
            for saliency, annotation in zip(_maps(result, shown), shown, strict=True):
                yield from _frame_scores(saliency, annotation, size)


def _maps(result: Result, shown: Sequence[Annotation]) -> Sequence[npt.NDArray[np.float32]]:
    """The map for each annotation of a frame: of several, the extra maps in their order.

    Raises:
        UsageError: There are not as many.
    """
    if len(shown) == 1:
        return [result.saliency]
    if len(result.extras) != len(shown):
        raise UsageError(
            f"the model gives {len(result.extras)} extra maps per frame, and the ground truth "
            f"has {len(shown)}; choose data with as many"
        )
    return list(result.extras.values())


def _middle(recording: Recording, recipe: Recipe) -> range:
    if not recording.is_clip:
        return range(1)
    count = len(recording.annotations) // recipe.slices
    length = min(count, recipe.validation_frames or count)
    start = (count - length) // 2
    return range(start, start + length)


def _frame_scores(
    saliency: npt.NDArray[np.float32], annotation: Annotation, size: tuple[int, int]
) -> Iterator[tuple[str, float]]:
    if annotation.density is None and annotation.fixations is None:
        return
    truth = groundtruth.read_ground_truth(annotation, size)
    names = [name for name, metric in registry.metrics().items() if metric.validates]
    yield from by_defaults(saliency, truth, names).items()
