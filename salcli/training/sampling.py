"""Which recordings make which batch: the plan of an epoch, the same for everybody who asks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from salcli.recipe import WHOLE, Recipe, Source
from salcli.types import Annotation, Dataset, Recording

__all__ = ["Corpus", "Planned", "plan_epoch", "plan_pass", "span", "usable", "windows"]


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
    aspect: float = 0.0
    pad: bool = False
    problems: Sequence[str] = ()

    @classmethod
    def of(
        cls,
        dataset: Dataset,
        source: Source,
        recipe: Recipe,
        *,
        kept: Sequence[Recording] | None = None,
    ) -> Corpus:
        """The recordings of a dataset, with the recipe's settings where the source has none.

        With `kept`, only these, for validation.
        """

        def chosen(own: int | None, general: int) -> int:
            return general if own is None else own

        training = dataset.recordings("train") if kept is None else ()
        validation = dataset.recordings("valid") if kept is None else kept
        return cls(
            source.dataset,
            source.domain,
            training,
            validation,
            batch_size=chosen(source.batch_size, recipe.batch_size),
            clip_length=chosen(source.clip_length, recipe.clip_length),
            clip_stride=chosen(source.clip_stride, recipe.clip_stride),
            truth_size=recipe.truth_size if source.truth_size is None else source.truth_size,
            aspect=source.aspect,
            pad=source.pad,
            problems=dataset.problems,
        )


@dataclass(frozen=True)
class Planned:
    """One batch: positions of its recordings in one of the corpora."""

    corpus: int
    members: tuple[int, ...]


Kind: TypeAlias = Callable[[int, int], Hashable]
"""Of the recording at a position in a corpus; only recordings of one kind can share a batch."""


def plan_pass(
    sizes: Sequence[tuple[Sequence[int], int]],
    kind: Kind,
    *,
    random: np.random.Generator | None,
    whole: bool,
) -> list[Planned]:
    """The batches of one pass over all corpora, alternating at random.

    Args:
        sizes: Of each corpus the positions of its usable recordings, and its batch size.
        kind: Tells what can be stacked.
        random: Decides on the order; `None` keeps that of the recordings.
        whole: Whether incomplete batches are dropped.
    """
    batches = []
    for corpus, (positions, size) in enumerate(sizes):
        groups: dict[Hashable, list[int]] = defaultdict(list)
        for position in positions if random is None else random.permutation(positions).tolist():
            groups[kind(corpus, position)].append(position)
        for group in groups.values():
            stop = len(group) - size + 1 if whole else len(group)
            batches += [
                Planned(corpus, tuple(group[start : start + size]))
                for start in range(0, stop, size)
            ]
    return batches if random is None else [batches[i] for i in random.permutation(len(batches))]


def plan_epoch(
    one_pass: Callable[[int], Sequence[Planned]], epoch: int, *, recipe: Recipe
) -> list[Planned]:
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
    return (corpus.clip_length - 1) * corpus.clip_stride + 1


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
    needed = [reach - 1] if recipe.targets == "last" else range(0, reach, corpus.clip_stride)
    fits = np.all([frames[offset : offset + count] for offset in needed], axis=0)
    return [int(start) for start in np.flatnonzero(fits)]


def _frames(recording: Recording, slices: int) -> int:
    """Frames that are surely there: a video may end one before its annotations do."""
    count = len(recording.annotations) // slices
    return count if recording.frames is not None else max(count - 1, 0)


def usable(corpus: Corpus, recordings: Sequence[Recording], recipe: Recipe) -> dict[int, list[int]]:
    """First frames of samples by position of the recordings that are long enough and observed."""
    found = {i: windows(corpus, recording, recipe) for i, recording in enumerate(recordings)}
    return {i: starts for i, starts in found.items() if starts}


def _observed(annotation: Annotation) -> bool:
    return annotation.density is not None or annotation.fixations is not None
