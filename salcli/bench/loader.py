"""Measures whether the data of a training arrive as fast as the network could take them."""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from salcli.devices import exactly
from salcli.errors import UsageError
from salcli.model import Model
from salcli.recipe import Recipe
from salcli.training.batches import Batches
from salcli.training.checks import check_shares
from salcli.training.loader import Loader, moved
from salcli.training.optimisation import autocast, make_optimiser, to_channels_last
from salcli.training.plan import Corpus
from salcli.training.train import Running
from salcli.types import Batch

__all__ = ["LoaderSpeed", "measure"]


@dataclass(frozen=True)
class LoaderSpeed:
    """Samples per second of both sides of a training; a sample is a still or a clip.

    Attributes:
        batch: Samples in the batch that the network was given.
        delivered: By the loader, once its processes run; with no process of its own, what it
            could deliver if the network waited.
        eaten: By the network, in steps on a batch that is there.
    """

    batch: int
    delivered: float
    eaten: float

    @property
    def starving(self) -> bool:
        """Whether the network would wait for data."""
        return self.delivered < self.eaten


def measure(
    model: Model, corpora: Sequence[Corpus], recipe: Recipe, running: Running, *, batches: int
) -> LoaderSpeed:
    """Load and train on so many batches, one after the other; the first of each is warm-up.

    The weights of `model.network` are not those from before.

    Raises:
        UsageError: There are not as many batches, and one more for warm-up, in an epoch; or
            whole clips are to share a batch.
        InputError: A file of a recording cannot be read.
    """
    check_shares(corpora, running.ranks)
    memory = running.memory // max(1, running.workers)
    made = Batches(corpora, model, recipe=recipe, memory=memory)
    ahead = 1 + 2 * running.workers  # as many as the processes prepare before one is asked for
    there = len(made.plan(0))
    if there < ahead + batches:
        raise UsageError(
            f"an epoch has {there} batches, and {ahead} to warm up and {batches} to measure are "
            "needed; choose fewer batches or workers, or a smaller batch size"
        )
    loaded = Loader(made, workers=running.workers).epoch(0)
    first, *_ = itertools.islice(loaded, ahead)
    started = time.perf_counter()
    samples = sum(len(batch.inputs) for batch in itertools.islice(loaded, batches))
    delivered = samples / (time.perf_counter() - started)
    seconds = _step_seconds(model, moved(first, model.device), recipe, running, steps=batches)
    return LoaderSpeed(len(first.inputs), delivered, len(first.inputs) / seconds)


@exactly(torch.float32)
def _step_seconds(
    model: Model, batch: Batch, recipe: Recipe, running: Running, *, steps: int
) -> float:
    """Of one step of the optimiser on this batch, without loading it."""
    model.network = to_channels_last(model.network)
    optimiser = make_optimiser(model.network, recipe)
    scaler = torch.amp.GradScaler(model.device.type, enabled=running.precision == torch.float16)
    model.start_epoch(0)

    def step() -> None:
        for loss in autocast(model.losses(batch), model.device, running.precision):
            torch.autograd.backward(scaler.scale(loss.total(recipe.losses)))
            scaler.step(optimiser)
            scaler.update()
            optimiser.zero_grad()
        if model.device.type == "cuda":
            torch.cuda.synchronize(model.device)

    step()
    started = time.perf_counter()
    for _ in range(steps):
        step()
    return (time.perf_counter() - started) / steps
