"""Runs everything that a training will do, once, and measures memory and time."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from salcli import devices
from salcli.files.atomic import temporary_folder
from salcli.models.model import Model
from salcli.recipe import Recipe
from salcli.training.batches import Batches
from salcli.training.plan import Corpus
from salcli.training.train import Running, train

__all__ = ["measure"]


def measure(
    model: Model, corpora: Sequence[Corpus], recipe: Recipe, running: Running
) -> dict[str, Any]:
    """Two steps of one batch each, validation of one recording of each source, and checkpoints.

    Nothing is frozen, so that the memory is what the later epochs need. The weights of
    `model.network` are not those from before.

    Returns:
        `steps` in all, `seconds` of a step (the second one), of a validation and of the whole
        training, peak `memory` of the device (of this process on a CPU) in bytes, `None` where the
        system does not say.
    """
    steps = len(Batches(corpora, model, recipe=recipe).plan(0)) * recipe.epochs
    groups = tuple(dataclasses.replace(group, frozen_epochs=0) for group in recipe.groups)
    short = dataclasses.replace(
        recipe, epochs=2, epoch_steps=1, accumulation=1, warmup_steps=0, groups=groups
    )
    few = [dataclasses.replace(corpus, validation=corpus.validation[:1]) for corpus in corpora]
    lines: list[tuple[float, Mapping[str, Any]]] = []
    with temporary_folder() as folder:
        train(
            model,
            few,
            recipe=short,
            output=folder,
            metadata={},
            running=running,
            report=lambda line: lines.append((time.perf_counter(), line)),
        )
    step = next(line["seconds"] for _, line in reversed(lines) if "losses" in line)
    scored = lines[-1][0] - lines[-2][0]
    recordings = sum(len(corpus.validation) for corpus in corpora)
    validation = scored * recordings / len(few) / running.ranks.count
    return {
        "steps": steps,
        "seconds": {
            "step": step,
            "validation": validation,
            "training": steps * step + recipe.epochs * validation,
        },
        "memory": _peak(model.device),
    }


def _peak(device: torch.device) -> int | None:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return devices.peak_memory()
