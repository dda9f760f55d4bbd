"""The training loop, read top to bottom."""

from __future__ import annotations

import copy
import json
import random
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import AveragedModel
from torch.utils.data import DataLoader

from salcli import checkpoint, groundtruth, imageops, registry
from salcli.errors import InputError, SalcliError, UsageError
from salcli.images import read_image
from salcli.model import Model
from salcli.recipe import Recipe
from salcli.samples import EpochBatches
from salcli.specs import resolve
from salcli.types import Batch, Recording, Stimulus

__all__ = ["Dataset", "train", "validate"]

LAST, BEST, LOG = "last.pt", "best.safetensors", "log.jsonl"
STEPS_PER_LINE = 20

Report = Callable[[Mapping[str, Any]], None]
"""Receives what is also written as one line of the log."""


class Dataset(Protocol):
    """What `DatasetSpec.factory` makes."""

    def recordings(self, split: str, /) -> Sequence[Recording]:
        """Recordings of `"train"` or `"valid"`."""


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

    Raises:
        UsageError: There are too few recordings, or `output` holds another training.
        SalcliError: The loss is not finite any more.
    """
    training, validation = dataset.recordings("train"), dataset.recordings("valid")
    if not validation or not EpochBatches(training, model, recipe=recipe, epoch=0):
        raise UsageError(
            f"{len(training)} recordings to train on and {len(validation)} to validate on do not "
            f"make a batch of {recipe.batch_size} and a validation"
        )
    torch.manual_seed(recipe.seed)
    random.seed(recipe.seed)
    network = model.network.to(memory_format=torch.channels_last)
    optimiser = make_optimiser(network, recipe)
    steps = len(EpochBatches(training, model, recipe=recipe, epoch=0))
    schedule = LambdaLR(optimiser, lambda step: rate_factor(step, steps, recipe))
    average = make_average(network, recipe)
    parts = {"network": network, "optimiser": optimiser, "schedule": schedule, "average": average}
    first_epoch, best = resume(output / LAST, parts, metadata)

    for epoch in range(first_epoch, recipe.epochs):
        model.start_epoch(epoch)
        freeze(network, recipe, epoch)
        batches = EpochBatches(training, model, recipe=recipe, epoch=epoch)
        loader = DataLoader(batches, batch_size=None, num_workers=workers)
        started, running = time.perf_counter(), defaultdict[str, float](float)
        for step, batch in enumerate(loader, start=1):
            for loss in model.losses(on(batch, model.device)):
                total = loss.total(recipe.losses)
                if not torch.isfinite(total):
                    raise SalcliError(
                        f"the loss became {total.item()} in epoch {epoch}, step {step}"
                    )
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
                line = {name: value / step for name, value in running.items()}
                seconds = time.perf_counter() - started
                write(output, {"epoch": epoch, "step": step, **line, "seconds": seconds}, report)

        scores = validate(with_network(model, average.module), validation)
        write(output, {"epoch": epoch, "validation": scores}, report)
        score = direction(recipe) * scores["all"][recipe.select]
        if best is None or score > best:
            best = score
            content = {**metadata, "epoch": epoch, "validation": scores}
            checkpoint.save(output / BEST, average.module.state_dict(), metadata=content)
        save_state(output / LAST, parts, metadata, epoch=epoch + 1, best=best)
    return output / BEST


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
        return warmup * 0.5 * (1 + float(np.cos(np.pi * share)))
    if recipe.schedule == "exponential":
        return warmup * recipe.gamma ** (step // steps)
    return warmup


def make_average(network: nn.Module, recipe: Recipe) -> AveragedModel:
    """The moving average of weights and buffers; without one in the recipe it follows exactly.

    At first the average is short, so that it soon forgets the random start.
    """

    def follow(averaged: Tensor, current: Tensor, count: Tensor | int) -> Tensor:
        decay = min(recipe.ema or 0.0, (1 + float(count)) / (10 + float(count)))
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


def direction(recipe: Recipe) -> int:
    """1 if more of the selecting metric is better, else -1."""
    return 1 if registry.metrics()[recipe.select].higher_is_better else -1


def validate(model: Model, recordings: Sequence[Recording]) -> dict[str, dict[str, float]]:
    """Mean of every metric over the images of each group, and of `"all"` recordings.

    Maps are predicted at the image's own size and compared there; an image on which a metric is
    undefined does not count for it.
    """
    values = defaultdict[str, dict[str, list[float]]](lambda: defaultdict(list))
    for recording in recordings:
        for name, value in score(model, recording):
            values[recording.group][name].append(value)
            values["all"][name].append(value)
    return {
        group: {name: float(np.nanmean(found)) for name, found in metrics.items()}
        for group, metrics in values.items()
    }


def score(model: Model, recording: Recording) -> Iterator[tuple[str, float]]:
    """Every metric of one image."""
    frame = read_image(recording.image)
    size = (frame.shape[0], frame.shape[1])
    stimulus = Stimulus(recording.name, [frame], labels=[recording.name], size=size, count=1)
    with torch.inference_mode():
        prediction = next(iter(model.predict(stimulus)))
        saliency = imageops.resize(prediction.saliency[None], size)[0].cpu().numpy()
    density = torch.from_numpy(groundtruth.read_density(recording, size))
    truth = {
        "density": imageops.resize(density[None], size)[0].numpy(),
        "fixations": groundtruth.fixation_map(groundtruth.read_fixations(recording, size), size),
    }
    for name, metric in registry.metrics().items():
        if metric.needs == "density" or recording.fixations is not None:
            yield name, resolve(metric.function)(saliency, truth[metric.needs])


def write(output: Path, line: Mapping[str, Any], report: Report) -> None:
    """Append one line to the log and report it."""
    output.mkdir(parents=True, exist_ok=True)
    with (output / LOG).open("a", encoding="utf-8") as log:
        log.write(json.dumps(line) + "\n")
    report(line)


def save_state(
    path: Path, parts: Mapping[str, Any], metadata: Mapping[str, Any], *, epoch: int, best: float
) -> None:
    """Write everything that resuming needs."""
    content = {name: part.state_dict() for name, part in parts.items()}
    content |= {"epoch": epoch, "best": best, "metadata": json.dumps(metadata, sort_keys=True)}
    checkpoint.save_training(path, {**content, "random": torch.get_rng_state()})


def resume(
    path: Path, parts: Mapping[str, Any], metadata: Mapping[str, Any]
) -> tuple[int, float | None]:
    """Go on from a training state, if there is one: the next epoch, and the best score so far.

    Raises:
        UsageError: The state belongs to a training with other settings.
        InputError: The folder cannot be used.
    """
    if path.parent.exists() and not path.parent.is_dir():
        raise InputError(f"'{path.parent}' is not a folder")
    if not path.exists():
        return 0, None
    content = checkpoint.read_training(path)
    if content["metadata"] != json.dumps(metadata, sort_keys=True):
        raise UsageError(f"'{path.parent}' holds a training with other settings; choose another -o")
    for name, part in parts.items():
        part.load_state_dict(content[name])
    torch.set_rng_state(content["random"])
    return content["epoch"], content["best"]
