"""Scores of a network on the validation recordings."""

from __future__ import annotations

import logging
import math
from collections import defaultdict
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import torch
from threadpoolctl import threadpool_limits
from torch import Tensor

from salcli.errors import UsageError
from salcli.gaze import groundtruth
from salcli.gaze.groundtruth import FrameGroundTruth
from salcli.models.model import Model
from salcli.plugins import registry
from salcli.prediction import loop
from salcli.protocols.scorer import by_defaults
from salcli.recipe import Recipe
from salcli.scoring.evaluate import metric_threads
from salcli.stream import in_order
from salcli.training.distributed import ALONE, Ranks
from salcli.training.loader import Loader, moved
from salcli.training.plan import Corpus
from salcli.training.reader import Excerpt
from salcli.types import Annotation, Recording, Result, Stimulus

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
    found = defaultdict[tuple[int, tuple[str, ...]], dict[str, list[float]]](
        lambda: defaultdict(list)
    )
    threads = max(2, metric_threads())  # beside this one, which predicts the next maps
    maps = _maps(model, corpora, recipe, ranks=ranks, pause=pause)
    with threadpool_limits(1, user_api="blas"), closing(maps):
        for map_, scores in in_order(_scores, maps, workers=threads):
            for name, value in scores.items():
                if not math.isnan(value):
                    found[map_.position, map_.groups][name].append(value)
    rows = [
        (*key, 1.0, {name: math.fsum(values) / len(values) for name, values in metrics.items()})
        for key, metrics in found.items()
    ]
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
    unread: list[tuple[int, str, int, list[dict[str, Tensor]]]] = []
    batches = loader.epoch(0)
    for number in range(ranks.largest(len(loader.batches.plan(0)), model.device)):
        batch = next(batches, None)
        if batch is not None:
            with torch.no_grad():
                found = list(model.losses(moved(batch, model.device)))
            passes = [{"loss": loss.total(weights), **loss.parts} for loss in found]
            position, corpus = number * ranks.count + ranks.number, loader.batches.corpus(0, number)
            unread.append((position, corpus, len(batch.inputs), passes))
        pause()
    rows = [  # read at the end, since reading waits for the device
        (position, (corpus,), float(count), _pass_means(ALONE.mean(passes)))
        for position, corpus, count, passes in unread
    ]
    return _means(rows, ranks)


def _pass_means(passes: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Means of the losses of a batch over its passes."""
    sums = defaultdict[str, float](float)
    for values in passes:
        for name, value in values.items():
            sums[name] += value / len(passes)
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


@dataclass(frozen=True)
class _Map:
    """The map of an observed frame, its ground truth, and of which recording it is."""

    position: int
    groups: tuple[str, ...]
    saliency: npt.NDArray[np.float32]
    truth: FrameGroundTruth


def _maps(
    model: Model,
    corpora: Sequence[Corpus],
    recipe: Recipe,
    *,
    ranks: Ranks,
    pause: Callable[[], None],
) -> Generator[_Map, None, None]:
    """Every map of the recordings of this process; see `by_maps`."""
    items = [(corpus, recording) for corpus in corpora for recording in corpus.validation]
    for start in range(0, len(items), ranks.count):
        position = start + ranks.number
        if position < len(items):
            corpus, recording = items[position]
            groups = recording.group, corpus.name
            for saliency, truth in _pairs(model.in_domain(corpus.domain), recording, recipe):
                yield _Map(position, groups, saliency, truth)
        pause()


def _pairs(
    model: Model, recording: Recording, recipe: Recipe
) -> Iterator[tuple[npt.NDArray[np.float32], FrameGroundTruth]]:
    """The map and the ground truth, which is read in order, of every observed frame."""
    positions = _middle(recording, recipe)
    size, slices = groundtruth.frame_size(recording), recipe.slices
    frames = Excerpt(recording, positions)
    stimulus = Stimulus(recording.name, frames, fps=recording.fps, size=size, count=len(positions))
    found = loop.run(model, stimulus, size=size, extras=slices > 1, notice=logger.warning)
    with closing(found) as results:
        for result in results:  # a video may end a frame before its annotations do
            first = positions[result.index] * slices
            shown = recording.annotations[first : first + slices]
            for saliency, annotation in zip(_shown(result, shown), shown, strict=True):
                if annotation.density is not None or annotation.fixations is not None:
                    yield saliency, groundtruth.read_ground_truth(annotation, size)


def _scores(map_: _Map) -> tuple[_Map, dict[str, float]]:
    """The map with its scores by every metric."""
    names = [name for name, metric in registry.metrics().items() if metric.validates]
    return map_, by_defaults(map_.saliency, map_.truth, names)


def _shown(result: Result, shown: Sequence[Annotation]) -> Sequence[npt.NDArray[np.float32]]:
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
