"""The training loop, read top to bottom."""

from __future__ import annotations

import copy
import math
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import AveragedModel

from salcli import checkpoint, registry
from salcli.errors import SalcliError, UnknownName, UsageError
from salcli.model import Model
from salcli.recipe import Recipe
from salcli.runs import BEST, Report, resume, save_state, write
from salcli.samples import EpochBatches, load
from salcli.score import validate
from salcli.types import Batch, Dataset, Recording

__all__ = ["train"]

STEPS_PER_LINE = 20


def train(
    model: Model,
    dataset: Dataset,
    *,
    recipe: Recipe,
    output: Path,
    metadata: Mapping[str, Any],
    workers: int,
    report: Report,
) -> Path:
    """Train `model.network` in place; returns the file with the best weights.

    Writes to `output`: `log.jsonl`; `last.pt`, from which an interrupted training goes on by
    itself; and `best.safetensors`, the weights (their moving average, where the recipe has one) of
    the epoch with the best `recipe.select` on the validation recordings, ordinary weights for every
    other command.

    Args:
        model: Its network is trained from the weights that it has.
        dataset: Gives the recordings.
        recipe: How.
        output: Folder of the run.
        metadata: Goes into `best.safetensors`, with the epoch and its scores. Only a training with
            the same metadata goes on in the same folder.
        workers: Processes that prepare batches; 0 for this one. Makes no difference to the result.
        report: Receives every line of the log.

    Raises:
        UsageError: There are too few recordings, `output` holds another training, or the selecting
            metric does not exist.
        InputError: A file of a recording cannot be read.
        OutputError: `output` cannot be written.
        SalcliError: The loss is not finite any more.
    """
    training, validation = dataset.recordings("train"), dataset.recordings("valid")
    steps = len(EpochBatches(training, model, recipe=recipe, epoch=0))
    check_data(training, validation, steps=steps, recipe=recipe)
    torch.manual_seed(recipe.seed)
    network = to_channels_last(model.network)
    optimiser = make_optimiser(network, recipe)
    schedule = LambdaLR(optimiser, lambda step: rate_factor(step, steps, recipe))
    average = make_average(network, recipe)
    parts = {"network": network, "optimiser": optimiser, "schedule": schedule, "average": average}
    first_epoch, best = resume(output, parts, metadata)

    for epoch in range(first_epoch, recipe.epochs):
        model.start_epoch(epoch)
        freeze(network, recipe, epoch)
        batches = EpochBatches(training, model, recipe=recipe, epoch=epoch)
        place = {"epoch": epoch, "epochs": recipe.epochs}
        started, running = time.perf_counter(), defaultdict[str, float](float)
        for step, batch in enumerate(load(batches, workers=workers), start=1):
            for loss in model.losses(on(batch, model.device)):
                total = loss.total(recipe.losses)
                check_finite(total, epoch, step)
                optimiser.zero_grad(set_to_none=True)
                torch.autograd.backward(total)
                if recipe.gradient_clip is not None:
                    nn.utils.clip_grad_norm_(network.parameters(), recipe.gradient_clip)
                optimiser.step()
                running["loss"] += total.item()
                for name, value in loss.parts.items():
                    running[name] += value.item()
            schedule.step()
            average.update_parameters(network)
            if step % STEPS_PER_LINE == 0 or step == steps:
                seconds = round(time.perf_counter() - started, 3)
                progress = {"step": step, "steps": steps, "seconds": seconds}
                means = {name: value / step for name, value in running.items()}
                write(output, {**place, **progress, "losses": means}, report)

        scores = validate(with_network(model, average.module), validation)
        score = rank(scores.get("all", {}).get(recipe.select), recipe)
        if better := best is None or score > best:
            best = score
            content = {**metadata, "epoch": epoch, "validation": scores}
            checkpoint.save(output / BEST, average.module.state_dict(), metadata=content)
        write(output, {**place, "validation": scores, "best": better}, report)
        save_state(output, parts, metadata, epoch=epoch + 1, best=best)
    return output / BEST


def check_data(
    training: Sequence[Recording], validation: Sequence[Recording], *, steps: int, recipe: Recipe
) -> None:
    """Raise `UsageError` if an epoch has no step, or if nothing can be selected by."""
    found = f"{len(training)} images to train on and {len(validation)} to validate on"
    if not validation:
        raise UsageError(f"{found}: at least one must validate; choose another --hold-out")
    if not steps:
        raise UsageError(
            f"{found}: too few for one batch of {recipe.batch_size}; add images, or choose a "
            "smaller --batch-size"
        )
    known = registry.metrics()
    if recipe.select not in known:
        raise UnknownName("metric", recipe.select, known)
    fixated = any(shown.fixations for recording in validation for shown in recording.annotations)
    if known[recipe.select].needs == "fixations" and not fixated:
        raise UsageError(f"the recipe selects by {recipe.select}, which needs fixations/")


def to_channels_last(network: nn.Module) -> nn.Module:
    """The network with its 2-D convolutions laid out as is fastest; `to` would refuse 3-D ones."""
    for parameter in network.parameters():
        if parameter.dim() == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    return network


def make_optimiser(network: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """The recipe's optimiser with one parameter group per `ParameterGroup`."""
    members = defaultdict[Any, list[nn.Parameter]](list)
    for name, parameter in network.named_parameters():
        members[recipe.group(name)].append(parameter)
    groups = [
        {
            "params": parameters,
            "lr": recipe.learning_rate * group.rate,
            "weight_decay": group.weight_decay,
        }
        for group, parameters in members.items()
    ]
    if recipe.optimiser == "sgd":
        return torch.optim.SGD(groups, lr=recipe.learning_rate, momentum=recipe.momentum)
    return torch.optim.Adam(groups, lr=recipe.learning_rate)


def rate_factor(step: int, steps: int, recipe: Recipe) -> float:
    """Factor on the learning rate at a step of the whole training, `steps` making one epoch."""
    warmup = min(1.0, (step + 1) / (recipe.warmup_steps + 1))
    if recipe.schedule == "cosine":
        share = min(1.0, step / (steps * recipe.epochs))
        return warmup * 0.5 * (1 + math.cos(math.pi * share))
    if recipe.schedule == "exponential":
        return warmup * recipe.gamma ** (step // steps)
    return warmup


def make_average(network: nn.Module, recipe: Recipe) -> AveragedModel:
    """The moving average of weights and buffers; without one in the recipe it follows exactly."""

    def follow(averaged: Tensor, current: Tensor, count: Tensor | int) -> Tensor:
        if recipe.ema is None or not averaged.is_floating_point():
            return current
        # Rising, or the random start would weigh on the average for many epochs.
        decay = min(recipe.ema, (1 + float(count)) / (10 + float(count)))
        return averaged + (1 - decay) * (current - averaged)

    return AveragedModel(network, avg_fn=follow, use_buffers=True)


def freeze(network: nn.Module, recipe: Recipe, epoch: int) -> None:
    """Switch gradients off for the parameters that the recipe keeps still in this epoch."""
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(epoch >= recipe.group(name).frozen_epochs)


def on(batch: Batch, device: torch.device) -> Batch:
    """The batch on a device."""
    return Batch(
        batch.inputs.to(device), batch.density.to(device), batch.fixations.to(device), batch.domain
    )


def with_network(model: Model, network: nn.Module) -> Model:
    """The same model around another network, ready to predict."""
    other = copy.copy(model)
    other.network = network.eval()
    return other


def check_finite(loss: Tensor, epoch: int, step: int) -> None:
    """Raise `SalcliError` if the loss is infinite or no number."""
    if not torch.isfinite(loss):
        raise SalcliError(
            f"the loss became {loss.item()} in epoch {epoch + 1}, step {step}; start again with a "
            "smaller --lr and another -o"
        )


def rank(score: float | None, recipe: Recipe) -> float:
    """The selecting metric such that more is better; one that is undefined is the worst."""
    if score is None:
        return -math.inf
    return score if registry.metrics()[recipe.select].higher_is_better else -score
