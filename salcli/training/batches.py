"""Turns recordings into batches: read, augmented, preprocessed by the model, stacked."""

from __future__ import annotations

import copy
from collections.abc import Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, lru_cache
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from salcli.filters.chain import trained_part
from salcli.gaze import groundtruth
from salcli.models.model import Model
from salcli.recipe import WHOLE, Augmentation, Recipe
from salcli.training.augment import Change, draw, draw_aspect
from salcli.training.plan import (
    Corpus,
    PlannedBatch,
    fixed_samples,
    plan_epoch,
    plan_pass,
    samples,
    span,
)
from salcli.training.reader import FrameReader
from salcli.training.sampling import Fit
from salcli.types import Batch, Recording

__all__ = ["Batches", "BatchKey"]

BatchKey: TypeAlias = tuple[int, int]
"""Epoch and position of a batch in it."""

PROBE_SIZES = ((360, 640), (640, 360))
"""Frame sizes that tell whether a model brings all frames to one input size."""

PROBES = 8
"""Threads that look up the sizes of files."""


class Batches(Dataset[Batch]):
    """Batch i of an epoch depends on the recipe's seed, the epoch and i only.

    So a resumed training sees the same data, with any number of workers, and several processes
    can share each batch.

    Args:
        corpora: The data.
        model: Preprocesses the frames.
        recipe: How recordings become samples.
        training: Random samples of the recordings to train on; otherwise, for validation, samples
            of every recording to validate on, nothing random, no batch dropped.
        share: Rank of this process and number of processes, which share each batch of a training
            and the batches of a validation.
        memory: Bytes of decoded frames that each worker caches.
    """

    def __init__(
        self,
        corpora: Sequence[Corpus],
        model: Model,
        *,
        recipe: Recipe,
        training: bool = True,
        share: tuple[int, int] = (0, 1),
        memory: int = 0,
    ) -> None:
        self._corpora, self._recipe, self._training = corpora, recipe, training
        self._share, self._reader = share, FrameReader(memory)
        prepared = copy.copy(model)
        prepared.network = nn.Identity()  # workers need no copy of it
        self._models = [prepared.in_domain(corpus.domain) for corpus in corpora]
        self._augmentation = recipe.augmentation if training else Augmentation()
        choose = samples if training else fixed_samples
        self._chosen = [
            choose(corpus, self._recordings(i), recipe) for i, corpus in enumerate(corpora)
        ]

    def __getitem__(self, key: BatchKey) -> Batch:
        epoch, index = key
        planned, seed = self.plan(epoch)[index], (self._recipe.seed, epoch, index)
        aspect = draw_aspect(self._augmentation, np.random.default_rng(seed))
        number, count = self._share if self._training else (0, 1)
        samples = [
            self._sample(planned.corpus, member, aspect, np.random.default_rng((*seed, position)))
            for position, member in enumerate(planned.members)
            if position % count == number
        ]
        inputs, density, fixations = (torch.stack(column) for column in zip(*samples, strict=True))
        return Batch(inputs, density, fixations, self._corpora[planned.corpus].domain)

    def plan(self, epoch: int) -> Sequence[PlannedBatch]:
        """The batches of an epoch.

        Raises:
            InputError: A file cannot be read.
        """
        if self._training:
            return _last_plan(self, epoch)
        number, count = self._share
        return self._pass(0)[number::count]

    def corpus(self, epoch: int, index: int) -> str:
        """Name of the corpus that a batch comes from."""
        return self._corpora[self.plan(epoch)[index].corpus].name

    @property
    def left_out(self) -> int:
        """How many recordings are too short for a sample, or have nothing observed in one."""
        used = (len({sample.recording for sample in chosen}) for chosen in self._chosen)
        return sum(len(self._recordings(i)) - count for i, count in enumerate(used))

    def _recordings(self, corpus: int) -> Sequence[Recording]:
        chosen = self._corpora[corpus]
        return chosen.training if self._training else chosen.validation

    def _pass(self, number: int) -> list[PlannedBatch]:
        shuffled = self._training and self._recipe.shuffle
        return plan_pass(
            [(len(chosen), self._size(i)) for i, chosen in enumerate(self._chosen)],
            lambda corpus, position: self._shapes[corpus][position],
            random=np.random.default_rng((self._recipe.seed, number)) if shuffled else None,
            whole=self._training,
        )

    def _size(self, number: int) -> int:
        """Recordings per batch; of whole clips each process has one, and validation is alone."""
        corpus = self._corpora[number]
        return 1 if corpus.clip_length == WHOLE and not self._training else corpus.batch_size

    @cached_property
    def _shapes(self) -> list[Sequence[Hashable]]:
        """For each corpus, by position of a sample: what it looks like."""
        return [self._shapes_of(corpus) for corpus in range(len(self._corpora))]

    def _shapes_of(self, number: int) -> Sequence[Hashable]:
        corpus, everything = self._corpora[number], self._recordings(number)
        recordings = [everything[sample.recording] for sample in self._chosen[number]]
        if corpus.clip_length == WHOLE:
            return [None] * len(recordings)  # they are not stacked
        lengths = [span(corpus, recording, self._recipe.slices) for recording in recordings]
        if self._augmentation.aspects or corpus.sampling.fit or corpus.batch_size == 1:
            return lengths

        @lru_cache
        def shape(size: tuple[int, int]) -> Hashable:
            black = np.zeros((*size, 3), np.uint8)
            return self._models[number].preprocessed([black]).shape[1:]

        if corpus.truth_size and len({shape(size) for size in PROBE_SIZES}) == 1:
            return lengths
        with ThreadPoolExecutor(PROBES) as pool:
            sizes = list(pool.map(groundtruth.frame_size, recordings))
        return [
            (length, shape(size) if corpus.truth_size else (shape(size), size))
            for length, size in zip(lengths, sizes, strict=True)
        ]

    def _sample(
        self, number: int, member: int, aspect: float | None, random: np.random.Generator
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Inputs `[T, ...]`, densities and fixation maps `[T, slices, H, W]`."""
        corpus, chosen = self._corpora[number], self._chosen[number][member]
        recording = self._recordings(number)[chosen.recording]
        start = int(random.choice(chosen.starts)) if self._training else chosen.starts[0]
        stop = start + span(corpus, recording, self._recipe.slices)
        positions = range(start, stop, corpus.clip_stride if recording.is_clip else 1)
        frames = self._reader.read(recording, positions)
        whole = (frames[0].shape[0], frames[0].shape[1])
        part = trained_part(self._models[number].filters, frames)
        frames = [frame[part] for frame in frames]
        size = (frames[0].shape[0], frames[0].shape[1])
        fit = corpus.sampling.fit
        frames = [fit.frame(frame) for frame in frames] if fit else frames
        change = draw(fit.size if fit else size, aspect, self._augmentation, random)
        inputs = self._models[number].training_inputs([change.frame(f) for f in frames], random)
        observed = positions[-1:] if self._recipe.targets == "last" else positions
        sides = (inputs.shape[-2], inputs.shape[-1])
        target = (round(sides[0] * corpus.truth_size), round(sides[1] * corpus.truth_size))
        if fit is None and all(target):
            fit = corpus.sampling.truth_fit(target)
        truths = [self._truth(recording, i, (fit, change), (whole, part), target) for i in observed]
        densities, fixations = zip(*truths, strict=True)
        return inputs, torch.stack(densities), torch.stack(fixations)

    def _truth(
        self,
        recording: Recording,
        position: int,
        how: tuple[Fit | None, Change],
        seen: tuple[tuple[int, int], tuple[slice, slice]],
        target: tuple[int, int],
    ) -> tuple[Tensor, Tensor]:
        """Densities and fixation maps `[slices, H, W]` of the part seen of a frame of this size."""
        slices, (fit, change), (whole, part) = self._recipe.slices, how, seen
        rows, columns = part
        size = rows.stop - rows.start, columns.stop - columns.start
        densities, fixations = [], []
        for annotation in recording.annotations[position * slices : (position + 1) * slices]:
            density = _cut(groundtruth.read_density(annotation, whole), whole, part)
            if self._recipe.truth == "brightness" and annotation.density is None:
                density = density * (255 / max(density.max(), 1e-12))
            points = _within(groundtruth.read_fixations(annotation, whole).points, part)
            if fit:
                density, points = fit.density(density), fit.points(points, size)
            wanted = target if all(target) else change.crop.size(density.shape[:2])
            cut = change.density(density, wanted)
            densities.append(_to_one(cut) if self._recipe.truth == "density" else cut)
            fixations.append(change.fixations(points, fit.size if fit else size, wanted))
        return torch.stack(densities), torch.stack(fixations)


def _cut(
    density: npt.NDArray[np.float32], size: tuple[int, int], part: tuple[slice, slice]
) -> npt.NDArray[np.float32]:
    """The part of a density map, of any size, that belongs to this part of a frame."""
    rows, columns = (
        slice(round(each.start * own / side), round(each.stop * own / side))
        for each, own, side in zip(part, density.shape, size, strict=True)
    )
    return density[rows, columns]


def _within(points: groundtruth.Points, part: tuple[slice, slice]) -> groundtruth.Points:
    """The positions on this part of a frame, counted from its corner."""
    rows, columns = part
    moved = points - (columns.start, rows.start)
    inside = (moved >= 0) & (moved < (columns.stop - columns.start, rows.stop - rows.start))
    kept: groundtruth.Points = moved[inside.all(axis=1)]
    return kept


def _to_one(density: Tensor) -> Tensor:
    total = density.sum()
    # Nobody looked into the crop: then every place is equally likely.
    return density / total if total > 0 else torch.full_like(density, 1 / density.numel())


@lru_cache(maxsize=2)
def _last_plan(batches: Batches, epoch: int) -> Sequence[PlannedBatch]:
    return plan_epoch(batches._pass, epoch, recipe=batches._recipe)
