"""A training recipe is data: what a paper's section on training says, without the loop."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

__all__ = ["Augmentation", "ParameterGroup", "Recipe"]


@dataclass(frozen=True)
class Augmentation:
    """Random changes of a still and of its ground truth.

    Attributes:
        flip: Probability of a left-right flip.
        scale: Smallest share of the sides that a random crop keeps; 1 keeps all.
        aspects: Width / height of the crops, with weights; one is drawn for each batch. Empty keeps
            each image's own, and then all images of a batch must have the same.
        brightness, contrast, saturation: Factors are drawn within so much of 1.
        hue: The colour circle is turned by at most this share of it, either way.
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
    """Parameters whose name starts with `prefix`, treated differently from the rest.

    Attributes:
        prefix: Beginning of the state-dict key.
        rate: Factor on the learning rate.
        weight_decay: In place of the recipe's.
        frozen_epochs: Not trained during the first so many epochs.
    """

    prefix: str
    rate: float = 1.0
    weight_decay: float = 0.0
    frozen_epochs: int = 0


@dataclass(frozen=True)
class Recipe:
    """How a model is trained.

    Attributes:
        epochs: Passes over the training recordings.
        batch_size: Recordings per step; incomplete batches are dropped.
        optimiser: `sgd` (with `momentum`) or `adam`.
        learning_rate: At the start, for parameters in no group.
        momentum: Of SGD.
        weight_decay: For parameters in no group.
        groups: Exceptions by parameter name; the first that fits counts.
        schedule: `exponential` multiplies the rate by `gamma` after each epoch; `cosine` goes to
            zero, step by step, over the whole training.
        gamma: Of the exponential schedule.
        warmup_steps: The rate rises linearly over so many first steps.
        gradient_clip: Largest global norm of the gradient; `None` for no limit.
        losses: Weight of each part of the model's losses.
        ema: Decay per step of an exponential moving average of the weights, which is then what is
            validated and saved; `None` for none. After n steps the decay is at most (1 + n) / (10 +
            n), so that the start is soon forgotten.
        augmentation: Random changes of the training data.
        select: Metric by which the best epoch is chosen on the validation recordings.
        seed: Of everything random: the network's start, order, augmentation, dropout.
    """

    epochs: int
    batch_size: int
    optimiser: Literal["sgd", "adam"]
    learning_rate: float
    momentum: float = 0.9
    weight_decay: float = 0.0
    groups: tuple[ParameterGroup, ...] = ()
    schedule: Literal["constant", "exponential", "cosine"] = "constant"
    gamma: float = 1.0
    warmup_steps: int = 0
    gradient_clip: float | None = None
    losses: Mapping[str, float] = field(default_factory=lambda: {"kld": 1.0})
    ema: float | None = None
    augmentation: Augmentation = field(default_factory=Augmentation)
    select: str = "CC"
    seed: int = 0

    def group(self, parameter: str) -> ParameterGroup:
        """The group that the parameter of this name belongs to."""
        for group in self.groups:
            if parameter.startswith(group.prefix):
                return group
        return ParameterGroup("", weight_decay=self.weight_decay)
