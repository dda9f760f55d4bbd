"""The optimiser, schedule and moving average of a recipe, as PyTorch objects."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import AveragedModel

from salcli.errors import PluginError
from salcli.recipe import ParameterGroup, Recipe
from salcli.specs import resolve

__all__ = [
    "MovingAverage",
    "autocast",
    "freeze",
    "make_average",
    "make_optimiser",
    "make_schedule",
    "rate_factor",
]

T = TypeVar("T")


def make_optimiser(network: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """The recipe's optimiser with one parameter group per `ParameterGroup`.

    Raises:
        PluginError: The optimiser that the recipe names cannot be made.
    """
    groups = [
        {
            "params": parameters,
            "lr": recipe.learning_rate * group.rate,
            "weight_decay": group.weight_decay,
        }
        for group, parameters in _members(network, recipe).items()
    ]
    if recipe.optimiser == "sgd":
        return torch.optim.SGD(groups, lr=recipe.learning_rate, momentum=recipe.momentum)
    if recipe.optimiser == "adam":
        return torch.optim.Adam(groups, lr=recipe.learning_rate)
    made = resolve(recipe.optimiser)(groups, lr=recipe.learning_rate, momentum=recipe.momentum)
    if not isinstance(made, torch.optim.Optimizer):
        raise PluginError(f"'{recipe.optimiser}' is no torch.optim.Optimizer")
    return made


def make_schedule(
    optimiser: torch.optim.Optimizer, network: nn.Module, recipe: Recipe, *, steps: int
) -> LambdaLR:
    """The recipe's schedule; groups that do not follow it have the warm-up only."""
    factors: list[Callable[[int], float]] = [
        partial(rate_factor, steps=steps, recipe=recipe, scheduled=group.scheduled)
        for group in _members(network, recipe)
    ]
    return LambdaLR(optimiser, factors)


def _members(network: nn.Module, recipe: Recipe) -> Mapping[ParameterGroup, list[nn.Parameter]]:
    members = defaultdict[ParameterGroup, list[nn.Parameter]](list)
    for name, parameter in network.named_parameters():
        members[recipe.group(name)].append(parameter)
    return members


def rate_factor(step: int, steps: int, recipe: Recipe, *, scheduled: bool = True) -> float:
    """Factor on the learning rate at a step of the whole training, `steps` making one epoch."""
    warmup = min(1.0, (step + 1) / (recipe.warmup_steps + 1))
    if not scheduled:
        return warmup
    if recipe.schedule == "cosine":
        share = min(1.0, step / (steps * recipe.epochs))
        return warmup * 0.5 * (1 + math.cos(math.pi * share))
    if recipe.schedule == "exponential":
        return warmup * recipe.gamma ** (step // steps)
    if recipe.schedule == "milestones":
        passed = sum(milestone <= step // steps for milestone in recipe.milestones)
        return warmup * recipe.gamma**passed
    return warmup


class MovingAverage(AveragedModel):
    """An average of weights and buffers that follows a network; integers are copied.

    The decay rises to `most`, or the random start would weigh on the average for many epochs. An
    update is a few fused calls and never waits for the device, as that of the base class does.

    Args:
        network: What it follows, on its device.
        most: Largest decay, below 1.
    """

    def __init__(self, network: nn.Module, most: float) -> None:
        super().__init__(network, use_buffers=True)  # without a device it counts on the CPU
        self._most = most

    @torch.no_grad()
    def update_parameters(self, model: nn.Module) -> None:
        """Follow the network; the first update copies it."""
        count = int(self.n_averaged)
        decay = min(self._most, (1 + count) / (10 + count))
        pairs = list(zip(_tensors(self.module), _tensors(model), strict=True))
        moving = [pair for pair in pairs if count and pair[0].is_floating_point()]
        copied = [pair for pair in pairs if not count or not pair[0].is_floating_point()]
        if moving:
            torch._foreach_lerp_([own for own, _ in moving], [new for _, new in moving], 1 - decay)
        if copied:
            torch._foreach_copy_([own for own, _ in copied], [new for _, new in copied])
        self.n_averaged += 1


def make_average(network: nn.Module, recipe: Recipe) -> MovingAverage:
    """The recipe's moving average of weights and buffers."""
    if recipe.ema is None:
        raise ValueError("the recipe has no moving average")
    return MovingAverage(network, recipe.ema)


def _tensors(network: nn.Module) -> Iterator[Tensor]:
    yield from network.parameters()
    yield from network.buffers()


def freeze(network: nn.Module, recipe: Recipe, epoch: int) -> None:
    """Freeze the parameters that the recipe does not train in this epoch."""
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(epoch >= recipe.group(name).frozen_epochs)


def autocast(values: Iterator[T], device: torch.device, precision: torch.dtype) -> Iterator[T]:
    """The values of a generator that computes them in mixed precision.

    The mode is on only while the generator runs: held across a `yield` it would reach the consumer.
    """
    mixed: Any = partial(
        torch.autocast, device.type, dtype=precision, enabled=precision != torch.float32
    )
    done = object()
    while True:
        with mixed():
            value = next(values, done)
        if value is done:
            return
        yield value  # type: ignore[misc]  # not the sentinel, which mypy cannot tell apart
