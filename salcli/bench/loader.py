"""Measures whether training data arrive as fast as the network can consume them."""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from salcli.devices import exactly, to_channels_last
from salcli.errors import UsageError
from salcli.models.model import Model
from salcli.recipe import Recipe
from salcli.training.batches import Batches
from salcli.training.checks import check_shares
from salcli.training.loader import Loader, moved
from salcli.training.optimisation import autocast, make_optimiser
from salcli.training.plan import Corpus
from salcli.training.train import Running
from salcli.types import Batch

__all__ = ["LoaderSpeed", "measure"]


@dataclass(frozen=True)
class LoaderSpeed:
    """Samples per second of the loader and of the network; a sample is a still or a clip.

    Attributes:
        batch: Samples per batch given to the network.
        delivered: By the loader, once its processes run; without processes of its own, what it
            could deliver if the network waited.
        eaten: By the network, in steps on a batch that is already loaded.
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
    """Load this many batches, then train on as many; the first of each is warm-up.

    Changes the weights of `model.network`.

    Raises:
        UsageError: An epoch has too few batches, warm-up included; or whole clips would share a
            batch.
        InputError: A file of a recording cannot be read.
    """
    check_shares(corpora, running.ranks)
    memory = running.memory // max(1, running.workers)
    made = Batches(corpora, model, recipe=recipe, memory=memory)
    ahead = 1 + 2 * running.workers  # as many as the processes prepare ahead
    there = len(made.plan(0))
    if there < ahead + batches:
        raise UsageError(
            f"an epoch has {there} batches, and {ahead} to warm up and {batches} to measure are "
            "needed; choose fewer batches or workers, or a smaller batch size"
        )
    pinned = model.device.type == "cuda"
    loaded = Loader(made, workers=running.workers, pinned=pinned).epoch(0)
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
    """Duration of one optimiser step on this batch, without loading it."""
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
