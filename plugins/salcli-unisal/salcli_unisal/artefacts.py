"""Leaves the files that the published training leaves, beside those of salcli."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any, TypeAlias

import torch

from salcli import checkpoint
from salcli.training.runs import BEST, LOG

__all__ = ["write"]

KEYS = {
    "dhf1k": "conv",
    "hollywood2": "hollywood",
    "ucfsports": "ucfsports",
    "salicon": "salicon",
    "mit1003": "mit1003",
}
"""What the published code calls the datasets in its scalars."""

METRICS = ("kld", "nss", "cc")

Scalars: TypeAlias = dict[str, Any]


def write(output: Path) -> None:
    """Weights as a plain state dict, epoch and negated loss of the best one, and all scalars.

    Only for trainings on the published datasets alone. The weights are `weights_ft_mit1003.pth`
    after a finetuning on MIT1003, else `weights_best.pth`.

    Raises:
        OutputError: The folder cannot be written.
    """
    saved = checkpoint.read(output / BEST)
    names = saved.metadata["data"]["layout"]
    if not names or any(name not in KEYS for name in names):
        return
    buffer = io.BytesIO()
    torch.save(dict(saved.state), buffer)
    finetuned = names == ["mit1003"]
    weights = "weights_ft_mit1003.pth" if finetuned else "weights_best.pth"
    recipe = saved.metadata["recipe"]
    scores = saved.metadata["validation"][recipe["select_on"]]
    texts = {"all_scalars.json": json.dumps(_scalars(output / LOG, names), indent=2)}
    if recipe["select"] == "loss":
        texts["best_epoch.dat"] = str(saved.metadata["epoch"])
        texts["best_val_loss.dat"] = str(-scores["loss"])
    checkpoint.write_atomically(output / weights, buffer.getbuffer())
    for name, text in texts.items():
        checkpoint.write_atomically(output / name, text.encode())


def _scalars(log: Path, names: list[str]) -> Scalars:
    """Values of every epoch, nested by the parts of their tags."""
    found: Scalars = {}
    for text in log.read_text(encoding="utf-8").splitlines():
        line = json.loads(text)
        if line.get("step") == line.get("steps", 0):
            _set(found, "conv/lr", line["epoch"], line["rate"])
            for name in names:
                losses = line["sources"].get(name, {})
                _set_losses(found, KEYS[name], "train", line["epoch"], losses)
        for name in names:
            losses = line.get("validation", {}).get(name, {})
            _set_losses(found, KEYS[name], "valid", line["epoch"], losses)
    return found


def _set_losses(
    scalars: Scalars, key: str, phase: str, epoch: int, losses: dict[str, float]
) -> None:
    tags = {"loss": "loss", **{name: f"loss_{i}" for i, name in enumerate(METRICS)}}
    for name, tag in tags.items():
        if name in losses:
            _set(scalars, f"{key}/{tag}/{phase}", epoch, losses[name])


def _set(scalars: Scalars, tag: str, epoch: int, value: float) -> None:
    for part in tag.split("/"):
        scalars = scalars.setdefault(part, {})
    scalars[str(epoch)] = value
