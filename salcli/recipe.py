"""A training recipe, as data: what a paper's section on training says, without the loop."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypedDict

from salcli.errors import UsageError

__all__ = [
    "Augmentation",
    "ParameterGroup",
    "Recipe",
    "RecipeOverrides",
    "Source",
    "TrainedDataset",
    "TrainingRun",
]

WHOLE = 0
"""A clip length that stands for the whole clip."""


@dataclass(frozen=True)
class Augmentation:
    """Random changes of a still, or of a whole clip, and of its ground truth.

    Attributes:
        flip: Probability of a left-right flip, drawn once per clip.
        scale: Smallest share of the sides that a random crop keeps; 1 does not crop.
        aspects: Width / height of the crops, with weights; one is drawn for each batch. Empty keeps
            each image's own, and then all images of a batch must have the same.
        brightness, contrast, saturation: Factors are drawn from [1 - value, 1 + value].
        hue: Hues are shifted by at most this share of the colour circle, either way.
    """

    flip: float = 0.0
    scale: float = 1.0
    aspects: tuple[tuple[float, float], ...] = ()
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0


@dataclass(frozen=True)
class ParameterGroup:
    """Parameters whose names start with `prefix`, trained differently from the rest.

    Attributes:
        prefix: Beginning of the state-dict key.
        suffix: End of the state-dict key, such as `.bias`.
        rate: Factor on the learning rate.
        weight_decay: Overrides the recipe's value.
        frozen_epochs: Frozen during the first so many epochs.
        scheduled: Whether the rate follows the schedule; otherwise it stays after the warm-up.
        encoder: Whether this is the pretrained encoder, which `RecipeOverrides` may freeze.
    """

    prefix: str
    suffix: str = ""
    rate: float = 1.0
    weight_decay: float = 0.0
    frozen_epochs: int = 0
    scheduled: bool = True
    encoder: bool = False


@dataclass(frozen=True)
class Source:
    """One dataset of a training, and how it is used; `None` takes the recipe's value.

    Attributes:
        dataset: Name of the layout, as `--data` takes it.
        domain: `Batch.domain` of its batches, for models that treat datasets differently.
        batch_size: Recordings per batch.
        clip_length: Frames per sample.
        clip_stride: Stride between the frames of a sample.
        truth_size: Sides of the ground truth as multiples of the input's.
        sampling: `package.module:NAME` of a plugin's `salcli.authoring.Sampling`, for a published
            code that cuts samples out of clips, or resizes them, in its own way.
    """

    dataset: str
    domain: str = ""
    batch_size: int | None = None
    clip_length: int | None = None
    clip_stride: int | None = None
    truth_size: float | None = None
    sampling: str = ""


@dataclass(frozen=True)
class Recipe:
    """How a model is trained.

    Attributes:
        epochs: Passes over the training recordings.
        batch_size: Recordings per batch; incomplete batches are dropped.
        optimiser: `sgd` (with `momentum`), `adam`, or `package.module:Class` of a plugin, which is
            called with the parameter groups (dictionaries with `params`, `lr`, `weight_decay`) and
            `lr=` and `momentum=`.
        learning_rate: Initial rate, for parameters in no group.
        momentum: For every optimiser but `adam`.
        weight_decay: For parameters in no group.
        groups: Exceptions by parameter name; the first match counts.
        schedule: `exponential` multiplies the rate by `gamma` after each epoch; `milestones` does
            so at the start of each epoch of `milestones`; `cosine` decays to zero, step by step,
            over the whole training.
        gamma: Factor of the exponential schedule and of milestones.
        milestones: Epochs, counted from 0.
        warmup_steps: Number of first steps over which the rate rises linearly.
        gradient_clip: Maximum global norm of the gradient per frame of a loss (`Loss.frames`);
            `None` does not clip.
        losses: Weight of each part of the model's losses.
        ema: Decay per step of an exponential moving average of the weights, which is then what is
            validated and saved; `None` for none. After n steps the decay is at most (1 + n) / (10 +
            n), so that the start is soon forgotten.
        augmentation: Augmentation of the training data.
        select: Metric by which the best epoch is chosen on the validation recordings, or `loss`,
            the total on validation batches; see also `Model.selecting_score`.
        seed: Random seed of the network's start, order, augmentation and dropout.
        sources: The published datasets; each batch is of one of them, in random alternation. Empty
            where the user must name data.
        clip_length: Frames per sample of a clip, at a random place; 1 for stills, `WHOLE` for whole
            clips of any length, of which each process takes one at a time: a batch size of 1.
        clip_stride: Stride between the frames of a sample.
        targets: Which frames of a sample have ground truth in the batch; with `last` it is `[B, 1,
            ...]`.
        slices: Maps per frame: its annotations in order, where a dataset has several of one frame.
        truth: `density` sums to 1 per map; `brightness` is the annotation's grey, 0 to 255.
        truth_size: Sides of the ground truth as multiples of the input's; 0 keeps the annotation's.
        epoch_steps: Optimiser steps that count as one epoch, over repeated passes of the data;
            `None` for one pass.
        accumulation: Batches per optimiser step, over which the gradient is averaged.
        shuffle: Whether recordings and batches come in random order, or in the dataset's.
        patience: Stop after so many epochs in a row without improvement; `None` never stops early.
        validation_frames: Number of frames around the middle of a validation clip that metrics
            score; 0 for all.
        evaluate: Datasets on which the best weights are scored, as `NAME` or `NAME:SPLIT`.
        protocol: Protocol of these scores; `None` for the dataset's default.
        options: Options of the model that training needs; those of the weights to start from, and
            the user's, override them.
    """

    epochs: int
    batch_size: int
    optimiser: str
    learning_rate: float
    momentum: float = 0.9
    weight_decay: float = 0.0
    groups: tuple[ParameterGroup, ...] = ()
    schedule: Literal["constant", "exponential", "cosine", "milestones"] = "constant"
    gamma: float = 1.0
    milestones: tuple[int, ...] = ()
    warmup_steps: int = 0
    gradient_clip: float | None = None
    losses: Mapping[str, float] = field(default_factory=lambda: {"kld": 1.0})
    ema: float | None = None
    augmentation: Augmentation = field(default_factory=Augmentation)
    select: str = "CC"
    seed: int = 0
    sources: tuple[Source, ...] = ()
    clip_length: int = 1
    clip_stride: int = 1
    targets: Literal["all", "last"] = "all"
    slices: int = 1
    truth: Literal["density", "brightness"] = "density"
    truth_size: float = 1.0
    epoch_steps: int | None = None
    accumulation: int = 1
    shuffle: bool = True
    patience: int | None = None
    validation_frames: int = 0
    evaluate: tuple[str, ...] = ()
    protocol: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    def overridden(self, overrides: RecipeOverrides) -> Recipe:
        """This recipe with other values; those of its sources give way too.

        Raises:
            UsageError: The encoder is to be frozen, and the recipe does not say what it is.
        """
        changes: dict[str, Any] = {k: v for k, v in overrides.items() if v is not None}
        if "gamma" in changes:
            changes["schedule"] = "exponential"
        frozen = changes.pop("encoder_frozen_epochs", None)
        if frozen is not None:
            if not any(group.encoder for group in self.groups):
                raise UsageError("the recipe does not say which parameters are the encoder")
            changes["groups"] = tuple(
                dataclasses.replace(group, frozen_epochs=frozen) if group.encoder else group
                for group in self.groups
            )
        own: dict[str, Any] = dict.fromkeys(
            {"batch_size", "clip_length", "clip_stride"} & changes.keys()
        )
        sources = tuple(dataclasses.replace(source, **own) for source in self.sources)
        return dataclasses.replace(self, **{"sources": sources, **changes})

    def group(self, parameter: str) -> ParameterGroup:
        """The group that the parameter of this name belongs to."""
        for group in self.groups:
            if parameter.startswith(group.prefix) and parameter.endswith(group.suffix):
                return group
        return ParameterGroup("", weight_decay=self.weight_decay)


class RecipeOverrides(TypedDict, total=False):
    """Values that replace those of a recipe and of its sources; `None` keeps them.

    The keys are fields of `Recipe`, and `encoder_frozen_epochs`: the encoder is frozen during the
    first so many epochs. `gamma` also makes the schedule exponential.
    """

    epochs: int | None
    batch_size: int | None
    learning_rate: float | None
    gamma: float | None
    clip_length: int | None
    clip_stride: int | None
    accumulation: int | None
    gradient_clip: float | None
    epoch_steps: int | None
    patience: int | None
    seed: int | None
    encoder_frozen_epochs: int | None


@dataclass(frozen=True)
class TrainedDataset:
    """How a training used one dataset.

    Attributes:
        name, edition: Which dataset.
        frame_size: (H, W) of the first frame.
        batch_size, clip_length, clip_stride, truth_size: As in `Source`.
    """

    name: str
    edition: str
    frame_size: tuple[int, int]
    batch_size: int
    clip_length: int
    clip_stride: int
    truth_size: float


@dataclass(frozen=True)
class TrainingRun:
    """A finished training, as plain data: what `Model.finish` gets.

    Attributes:
        folder: Of the run.
        weights: The best weights, a file with metadata.
        log: The log, one JSON document per line.
        recipe: What was followed.
        datasets: What was trained on.
        workers: Processes that prepared batches.
        scores: The document `scores.json` of the evaluation that has just ended; `None` when the
            training itself has.
    """

    folder: Path
    weights: Path
    log: Path
    recipe: Recipe
    datasets: Sequence[TrainedDataset]
    workers: int
    scores: Mapping[str, Any] | None = None
