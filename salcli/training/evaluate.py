"""Scores the result of a training as `salcli score` does."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from salcli import devices
from salcli.datasets.open import open_dataset
from salcli.datasets.submission.predict import tasks
from salcli.errors import InputError, SalcliError, UsageError
from salcli.models.loading import Loaded, load_model
from salcli.models.model import Model
from salcli.prediction.job import Job
from salcli.recipe import TrainingRun
from salcli.scoring.predicted import PredictedMaps
from salcli.scoring.selection import is_observed
from salcli.scoring.session import folder_names, open_session
from salcli.terminal.progress import Watcher
from salcli.training.prepare import PreparedTraining
from salcli.training.rundir import ReportLine
from salcli.types import Dataset

__all__ = ["FOLDER", "NONE", "EvaluationSplit", "choose_evaluations", "evaluate"]

FOLDER = "evaluation"
"""Below the folder of a run."""

NONE = "none"
"""In place of a dataset: nothing is evaluated."""


@dataclass(frozen=True)
class EvaluationSplit:
    """Data on which the result of a training is evaluated.

    Attributes:
        label: Name of the folder of its report.
        dataset, split: The recordings.
        seen: How many of them were trained on.
        observed: Whether there is ground truth; otherwise maps are predicted for the benchmark.
    """

    label: str
    dataset: Dataset
    split: str
    seen: int
    observed: bool


def choose_evaluations(
    asked: Sequence[str] | None, training: PreparedTraining
) -> tuple[Sequence[EvaluationSplit], Sequence[str]]:
    """On what is evaluated, and why some of what the recipe names is left out.

    Args:
        asked: `NAME[:SPLIT][=DIR]` each; `None` for what the recipe names, as far as it is there.
        training: Its datasets need no folder, and are evaluated on what was not trained on.

    Raises:
        SalcliError: What was asked for is not there.
    """
    if asked is not None:
        return [_evaluation(text, training) for text in asked if text != NONE], ()
    chosen, missing = [], []
    for text in training.recipe.evaluate:
        try:
            chosen.append(_evaluation(text, training))
        except SalcliError as error:
            missing.append(f"not evaluated on {text}, as the recipe would: {error}")
    return chosen, missing


def _evaluation(text: str, training: PreparedTraining) -> EvaluationSplit:
    named, _, folder = text.partition("=")
    name, _, split = named.partition(":")
    trained = {dataset.name: dataset for dataset in training.datasets}
    own = trained.get(name)
    dataset = own if own and not folder else open_dataset(name, [Path(folder)] if folder else [])
    label = "-".join(filter(None, [Path(folder).name if name == "folder" else name, split]))
    if not split:
        split = dataset.evaluated
        if own and _seen(dataset, split, training):
            dataset, split = own, "valid"
    observed = any(is_observed(recording) for recording in dataset.recordings(split))
    if not observed and dataset.submission is None:
        raise UsageError(
            f"split '{split}' of dataset '{name}' has no ground truth, and the dataset has "
            "no submission format; do not evaluate on it"
        )
    return EvaluationSplit(label or name, dataset, split, _seen(dataset, split, training), observed)


def _seen(dataset: Dataset, split: str, training: PreparedTraining) -> int:
    """How many recordings were trained on."""
    trained = (recording for corpus in training.corpora for recording in corpus.training)
    sources = {recording.source.resolve() for recording in trained}
    return sum(recording.source.resolve() in sources for recording in dataset.recordings(split))


def evaluate(
    evaluations: Sequence[EvaluationSplit],
    model: Model,
    run: TrainingRun,
    *,
    watcher: Watcher,
    report: ReportLine,
) -> None:
    """Score the best weights, each evaluation into a folder of its own.

    Args:
        evaluations: On what.
        model: Is told of each that has scores, by `Model.finish`; its device is used.
        run: The training.
        watcher: Of the evaluations.
        report: Receives the means of each.

    Raises:
        InputError: Some could not be scored at all; the others are.
        OutputError: The folder cannot be written.
        PluginError: The model broke its contract.
    """
    loaded = load_model(
        model.spec.name, weights_file=run.weights, device=str(model.device), filters=model.filters
    )
    failed, names = [], folder_names([each.label for each in evaluations])
    for evaluation, name in zip(evaluations, names, strict=True):
        if evaluation.seen:
            watcher.note(f"note: {name}: of its recordings {evaluation.seen} were trained on")
        folder = run.folder / FOLDER / name
        try:
            document = _scored(evaluation, loaded, folder, watcher, run.recipe.protocol)
            if document is None:
                report({"evaluation": name, "split": evaluation.split, "maps": str(folder)})
                continue
            model.finish(dataclasses.replace(run, scores=document))
            report({"evaluation": name, **_means(document), "report": str(folder)})
        except InputError as error:
            failed.append(f"{name}: {error}")
    if failed:
        raise InputError(f"not evaluated: {'; '.join(failed)}")


def _scored(
    evaluation: EvaluationSplit,
    loaded: Loaded,
    folder: Path,
    watcher: Watcher,
    protocol: str | None,
) -> Mapping[str, Any] | None:
    """The scores; where ground truth is withheld, maps for the benchmark are written instead."""
    loaded = loaded.for_dataset(evaluation.dataset.name)
    if not evaluation.observed:
        job = Job(loaded)
        for task in tasks(evaluation.dataset, evaluation.split, folder):
            task.run(job, watcher)
        return None
    there = devices.for_metrics(str(loaded.model.device))
    session = open_session(
        evaluation.dataset, split=evaluation.split, protocol=protocol, device=there
    )
    return session.run(PredictedMaps(loaded, watcher), folder, watcher)


def _means(document: Mapping[str, Any]) -> dict[str, Any]:
    """The means of a report that its protocol publishes, with what they are of."""
    means = {name: next(iter(found.values()))["mean"] for name, found in document["scores"].items()}
    return {
        "split": document["dataset"]["split"],
        "protocol": document["protocol"]["name"],
        "skipped": sum(max(incident["frames"], 1) for incident in document["skipped"]),
        "scores": {name: mean for name, mean in means.items() if mean is not None},
    }
