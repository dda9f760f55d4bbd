"""The plan of an epoch: which recordings make which batch, the same in every process."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from salcli.recipe import WHOLE, Recipe, Source
from salcli.specs import resolve
from salcli.training.sampling import Sampling
from salcli.types import Annotation, Dataset, Recording

__all__ = [
    "Corpus",
    "PlannedBatch",
    "Sample",
    "fixed_samples",
    "plan_epoch",
    "plan_pass",
    "samples",
    "span",
    "windows",
]


@dataclass(frozen=True)
class Corpus:
    """The recordings of one source, and how they become samples; see `recipe.Source`."""

    name: str
    domain: str
    training: Sequence[Recording]
    validation: Sequence[Recording]
    batch_size: int
    clip_length: int
    clip_stride: int
    truth_size: float
    sampling: Sampling = field(default_factory=Sampling)
    problems: Sequence[str] = ()

    @classmethod
    def of(cls, dataset: Dataset, source: Source, recipe: Recipe) -> Corpus:
        """The recordings of a dataset, with the recipe's settings where the source has none."""

        def chosen(own: int | None, general: int) -> int:
            return general if own is None else own

        return cls(
            source.dataset,
            source.domain,
            dataset.recordings("train"),
            dataset.recordings("valid"),
            batch_size=chosen(source.batch_size, recipe.batch_size),
            clip_length=chosen(source.clip_length, recipe.clip_length),
            clip_stride=chosen(source.clip_stride, recipe.clip_stride),
            truth_size=recipe.truth_size if source.truth_size is None else source.truth_size,
            sampling=resolve(source.sampling) if source.sampling else Sampling(),
            problems=dataset.problems,
        )


@dataclass(frozen=True)
class Sample:
    """One sample: the position of its recording in a corpus, and frames at which it may begin."""

    recording: int
    starts: Sequence[int]


@dataclass(frozen=True)
class PlannedBatch:
    """One batch: positions of its samples in one of the corpora."""

    corpus: int
    members: tuple[int, ...]


ShapeOf: TypeAlias = Callable[[int, int], Hashable]
"""Shape of the sample at a position in a corpus; a batch has samples of one shape."""


def plan_pass(
    sizes: Sequence[tuple[int, int]],
    shape: ShapeOf,
    *,
    random: np.random.Generator | None,
    whole: bool,
) -> list[PlannedBatch]:
    """The batches of one pass over all corpora, alternating at random.

    Args:
        sizes: Number of samples and batch size of each corpus.
        shape: Samples of equal shape can be stacked.
        random: Shuffles; `None` keeps the order of the samples.
        whole: Whether incomplete batches are dropped.
    """
    batches = []
    for corpus, (count, size) in enumerate(sizes):
        groups: dict[Hashable, list[int]] = defaultdict(list)
        for position in range(count) if random is None else random.permutation(count).tolist():
            groups[shape(corpus, position)].append(position)
        for group in groups.values():
            stop = len(group) - size + 1 if whole else len(group)
            batches += [
                PlannedBatch(corpus, tuple(group[start : start + size]))
                for start in range(0, stop, size)
            ]
    return batches if random is None else [batches[i] for i in random.permutation(len(batches))]


def plan_epoch(
    one_pass: Callable[[int], Sequence[PlannedBatch]], epoch: int, *, recipe: Recipe
) -> list[PlannedBatch]:
    """The batches of an epoch, a whole number of optimiser steps.

    Args:
        one_pass: Gives the batches of a pass by its number; all have the same length.
        epoch: Counted from 0.
        recipe: Says how many steps make an epoch; all that one pass gives, or a fixed number.
    """
    if recipe.epoch_steps is None:
        batches = one_pass(epoch)
        return list(batches[: len(batches) - len(batches) % recipe.accumulation])
    wanted = recipe.epoch_steps * recipe.accumulation
    current = list(one_pass(0))
    if not current:
        return []
    number, skipped = divmod(epoch * wanted, len(current))
    batches = list(one_pass(number))[skipped:]
    while len(batches) < wanted:
        number += 1
        batches += one_pass(number)
    return batches[:wanted]


def span(corpus: Corpus, recording: Recording, slices: int = 1) -> int:
    """How many consecutive frames, with so many maps each, a sample of the recording spans."""
    if not recording.is_clip:
        return 1
    if corpus.clip_length == WHOLE:
        return _frames(recording, slices)
    return corpus.sampling.span(corpus.clip_length, corpus.clip_stride)


def windows(corpus: Corpus, recording: Recording, recipe: Recipe) -> list[int]:
    """First frames from which a sample fits and has all the ground truth that it needs."""
    reach = span(corpus, recording, recipe.slices)
    if not recording.is_clip:
        return [0] if any(map(_observed, recording.annotations)) else []
    observed = np.array([_observed(annotation) for annotation in recording.annotations], dtype=bool)
    frames: npt.NDArray[np.bool_] = np.all(observed.reshape(-1, recipe.slices), axis=1)
    count = _frames(recording, recipe.slices) - reach + 1
    if not reach or count < 1:
        return []
    offsets = range(0, reach, corpus.clip_stride)
    needed = offsets[-1:] if recipe.targets == "last" else offsets
    fits = np.all([frames[offset : offset + count] for offset in needed], axis=0)
    return [int(start) for start in np.flatnonzero(fits)]


def _frames(recording: Recording, slices: int) -> int:
    """Frames that are surely there: a video may end one before its annotations do."""
    count = len(recording.annotations) // slices
    return count if recording.frames is not None else max(count - 1, 0)


def samples(corpus: Corpus, recordings: Sequence[Recording], recipe: Recipe) -> list[Sample]:
    """One sample of each recording to train on that is long enough and observed."""
    found = (Sample(i, windows(corpus, each, recipe)) for i, each in enumerate(recordings))
    return [sample for sample in found if sample.starts]


def fixed_samples(corpus: Corpus, recordings: Sequence[Recording], recipe: Recipe) -> list[Sample]:
    """Samples for validation, nothing random: each begins at one place, or near it."""
    found = []
    for sample in samples(corpus, recordings, recipe):
        recording, starts = recordings[sample.recording], sample.starts
        wanted: Sequence[int] = ()
        if recording.is_clip:
            reach = span(corpus, recording, recipe.slices)
            frames = _frames(recording, recipe.slices)
            wanted = corpus.sampling.validation_starts(frames, reach)
        for start in wanted or [starts[len(starts) // 2]]:
            nearest = min(starts, key=lambda other: abs(other - start))
            found.append(Sample(sample.recording, [nearest]))
    return found


def _observed(annotation: Annotation) -> bool:
    return annotation.density is not None or annotation.fixations is not None
