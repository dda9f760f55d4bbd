"""Writes the files that the published training writes, in addition to salcli's."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import torch

from salcli import TrainingRun
from salcli.authoring import atomic, checkpoint
from salcli_unisal import SOURCES, protocol
from salcli_unisal.arguments import METRICS, by_file
from salcli_unisal.network import UNISAL
from salcli_unisal.recipes import SELECTING, is_published

__all__ = ["write", "write_scores"]

SCALARS = "all_scalars.json"
MIT1003 = "mit1003"

SCORED = ("kld", "nss", "cc", "sim", "aucj", "aucs")
"""The published code's names of the metrics, in the order of its score files."""

TAGS = {"loss": "loss", **{name: f"loss_{i}" for i, name in enumerate(METRICS)}}
"""Its names of the losses."""

Scalars: TypeAlias = dict[str, Any]


def write(run: TrainingRun, network: UNISAL) -> None:
    """Write weights, arguments, the best epoch and its negated loss, and all scalars.

    Only for trainings that use nothing but published datasets. The weights are a plain state dict,
    `weights_ft_mit1003.pth` after a finetuning on MIT1003 and else `weights_best.pth`.

    Raises:
        OutputError: The folder cannot be written.
    """
    if any(used.name not in SOURCES for used in run.datasets):
        return
    saved, buffer, of_data = checkpoint.read(run.weights), io.BytesIO(), _folder(run)
    torch.save(dict(saved.state), buffer)
    weights = "weights_best.pth" if of_data == run.folder else "weights_ft_mit1003.pth"
    atomic.write(run.folder / weights, buffer.getbuffer())
    for name, content in by_file(run, network, saved.metadata).items():
        _write(run.folder / name, content)
    _write(of_data / SCALARS, _scalars(run))
    if run.recipe.select == "loss":
        scores = saved.metadata["validation"]
        group = SELECTING if is_published(run.recipe) and SELECTING in scores else "all"
        loss = scores[group]["loss"]
        _write(run.folder / "best_epoch.dat", saved.metadata["epoch"])
        _write(run.folder / "best_val_loss.dat", -loss)


def write_scores(run: TrainingRun, document: Mapping[str, Any]) -> None:
    """Write scores of the result by the protocol `unisal`, under the published file names.

    `all_scalars_eval-DHF1K.json` has the scalars of the training and the means over clips of all
    datasets scored so far, at the best epoch.

    Raises:
        OutputError: The folder cannot be written.
    """
    files = protocol.content(document)
    if not files or document["protocol"]["name"] != "unisal":
        return
    epoch, of_data = str(checkpoint.read(run.weights).metadata["epoch"]), _folder(run)
    folder = of_data if document["dataset"]["name"] == MIT1003 else run.folder
    for name, content in files.items():
        _write(folder / name, content)
    scalars = json.loads((of_data / SCALARS).read_text()) if (of_data / SCALARS).exists() else {}
    for path in sorted(folder.glob("*_eval_mean_scores.json")):
        means = zip(SCORED, json.loads(path.read_text()), strict=True)
        name = path.name.removesuffix("_mean_scores.json")
        scalars[name] = {metric: {epoch: mean} for metric, mean in means}
    _write(folder / f"all_scalars_eval-{protocol.data_name(document)}.json", scalars)


def _folder(run: TrainingRun) -> Path:
    """The folder for scalars and scores on the same data: a separate one for MIT1003."""
    if [used.name for used in run.datasets] != [MIT1003]:
        return run.folder
    recipe, fold = run.recipe, run.datasets[0].edition.rpartition(" ")[2]
    encoder = next(group for group in recipe.groups if group.encoder)
    return run.folder / (
        f"MIT1003_lr{recipe.learning_rate:.4f}_lrGamma{recipe.gamma:.2f}_nEpochs{recipe.epochs}"
        f"_TrainCNNAfter{encoder.frozen_epochs}_xVal{fold}"
    )


def _write(path: Path, content: Any) -> None:
    atomic.write(path, json.dumps(content, indent=2))


def _scalars(run: TrainingRun) -> Scalars:
    """Values of every epoch, nested by the parts of their tags."""
    found: Scalars = {}
    for text in run.log.read_text(encoding="utf-8").splitlines():
        line = json.loads(text)
        for tag, value in _tagged(line, [used.name for used in run.datasets]):
            place = found
            for part in tag.split("/"):
                place = place.setdefault(part, {})
            place[str(line["epoch"])] = value
    return found


def _tagged(line: Mapping[str, Any], names: list[str]) -> Iterator[tuple[str, float]]:
    """The scalars of a log line: learning rate and losses at the end of an epoch, validation."""
    ends = line.get("step") == line.get("steps", 0)
    if ends:
        yield "conv/lr", line["rate"]
    for name in names:
        key = "conv" if name == "dhf1k" else SOURCES[name].lower()
        phases = {"train": line["sources"] if ends else {}, "valid": line.get("validation", {})}
        for phase, sources in phases.items():
            for loss, tag in TAGS.items():
                if loss in sources.get(name, {}):
                    yield f"{key}/{tag}/{phase}", sources[name][loss]
