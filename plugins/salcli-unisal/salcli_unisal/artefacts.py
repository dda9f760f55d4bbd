"""Leaves the files that the published training leaves, beside those of salcli."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import torch

from salcli import Recipe
from salcli.authoring import (
    BEST,
    LOG,
    Checkpoint,
    Corpus,
    Model,
    Running,
    checkpoint,
    reporting_os_errors,
)
from salcli_unisal import SOURCES, arguments, protocol
from salcli_unisal.arguments import METRICS
from salcli_unisal.network import UNISAL

__all__ = ["write", "write_scores"]

SCALARS = "all_scalars.json"
MIT1003 = "mit1003"

SCORED = ("kld", "nss", "cc", "sim", "aucj", "aucs")
"""What the published code calls the metrics, in the order of its score files."""

Scalars: TypeAlias = dict[str, Any]


def write(
    output: Path, model: Model, corpora: Sequence[Corpus], *, recipe: Recipe, running: Running
) -> None:
    """Weights, arguments, epoch and negated loss of the best one, and all scalars.

    Only for trainings on the published datasets alone. The weights are a plain state dict,
    `weights_ft_mit1003.pth` after a finetuning on MIT1003 and else `weights_best.pth`.

    Raises:
        OutputError: The folder cannot be written.
        InputError: A file of a dataset cannot be read.
    """
    if any(corpus.name not in SOURCES for corpus in corpora):
        return
    saved = checkpoint.read(output / BEST)
    buffer = io.BytesIO()
    torch.save(dict(saved.state), buffer)
    weights = "weights_ft_mit1003.pth" if _is_finetuned(saved) else "weights_best.pth"
    checkpoint.write_atomically(output / weights, buffer.getbuffer())
    for name, content in _arguments(output, saved, model, corpora, recipe, running).items():
        _write(output / name, content)
    _write(_folder(output, saved) / SCALARS, _scalars(output / LOG, corpora))
    if recipe.select == "loss":
        loss = saved.metadata["validation"][recipe.select_on]["loss"]
        _write(output / "best_epoch.dat", saved.metadata["epoch"])
        _write(output / "best_val_loss.dat", -loss)


def write_scores(output: Path, document: Mapping[str, Any]) -> None:
    """Scores of the result by the protocol `unisal`, as files of their published names.

    `all_scalars_eval-DHF1K.json` has the scalars of the training and the means over clips of all
    datasets scored so far, at the best epoch.

    Raises:
        OutputError: The folder cannot be written.
    """
    files = protocol.content(document)
    if not files or document["protocol"]["name"] != "unisal":
        return
    saved = checkpoint.read(output / BEST)
    of_data = _folder(output, saved)
    folder = of_data if document["dataset"]["name"] == MIT1003 else output
    for name, content in files.items():
        _write(folder / name, content)
    scalars = json.loads((of_data / SCALARS).read_text()) if (of_data / SCALARS).exists() else {}
    for path in sorted(folder.glob("*_mean_scores.json")):
        name = path.name.removesuffix("_mean_scores.json")
        if name.endswith("_eval"):
            means = zip(SCORED, json.loads(path.read_text()), strict=True)
            scalars[name] = {each: {str(saved.metadata["epoch"]): mean} for each, mean in means}
    _write(folder / f"all_scalars_eval-{protocol.data_name(document)}.json", scalars)


def _is_finetuned(saved: Checkpoint) -> bool:
    layouts: list[str] = saved.metadata["data"]["layout"]
    return layouts == [MIT1003]


def _folder(output: Path, saved: Checkpoint) -> Path:
    """Where scalars, and scores on the same data, go: a folder of their own for MIT1003."""
    if not _is_finetuned(saved):
        return output
    edition = saved.metadata["data"]["edition"][0]
    return output / arguments.finetuning(saved.metadata["recipe"], edition)


def _arguments(
    output: Path,
    saved: Checkpoint,
    model: Model,
    corpora: Sequence[Corpus],
    recipe: Recipe,
    running: Running,
) -> dict[str, arguments.Arguments]:
    """By the name of their file."""
    network, options = model.network, saved.metadata["options"]
    assert isinstance(network, UNISAL)
    found = {
        "Trainer.json": arguments.of_training(output, corpora, recipe, running, network.sources),
        "UNISAL.json": arguments.of_model(
            network, pretrained=saved.metadata["start"] is not None, padding=options["padding"]
        ),
    }
    for corpus, edition in zip(corpora, saved.metadata["data"]["edition"], strict=True):
        content = arguments.of_dataset(corpus, model, recipe, edition=edition)
        found[f"{SOURCES[corpus.name]}Dataset.json"] = content
    return found


def _write(path: Path, content: Any) -> None:
    with reporting_os_errors(path):
        path.parent.mkdir(exist_ok=True)
    checkpoint.write_atomically(path, json.dumps(content, indent=2).encode())


def _key(source: str) -> str:
    """What the scalars of a dataset are called."""
    return "conv" if source == "DHF1K" else source.lower()


def _scalars(log: Path, corpora: Sequence[Corpus]) -> Scalars:
    """Values of every epoch, nested by the parts of their tags."""
    found: Scalars = {}
    keys = {corpus.name: _key(SOURCES[corpus.name]) for corpus in corpora}
    for text in log.read_text(encoding="utf-8").splitlines():
        line = json.loads(text)
        if line.get("step") == line.get("steps", 0):
            _set(found, "conv/lr", line["epoch"], line["rate"])
            for name, key in keys.items():
                losses = line["sources"].get(name, {})
                _set_losses(found, key, "train", line["epoch"], losses)
        for name, key in keys.items():
            losses = line.get("validation", {}).get(name, {})
            _set_losses(found, key, "valid", line["epoch"], losses)
    return found


def _set_losses(
    scalars: Scalars, key: str, phase: str, epoch: int, losses: Mapping[str, float]
) -> None:
    tags = {"loss": "loss", **{name: f"loss_{i}" for i, name in enumerate(METRICS)}}
    for name, tag in tags.items():
        if name in losses:
            _set(scalars, f"{key}/{tag}/{phase}", epoch, losses[name])


def _set(scalars: Scalars, tag: str, epoch: int, value: float) -> None:
    for part in tag.split("/"):
        scalars = scalars.setdefault(part, {})
    scalars[str(epoch)] = value
