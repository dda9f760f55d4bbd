"""Scores what a training made: on which data, and as `salcli score` does it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from salcli.loading import Loaded
    from salcli.progress import Watcher
    from salcli.training.prepare import Training
    from salcli.training.rundir import ReportLine
    from salcli.types import Dataset

__all__ = ["FOLDER", "NONE", "Exam", "choose", "evaluate"]

FOLDER = "evaluation"
"""Below the folder of a run."""

NONE = "none"
"""What says that nothing is evaluated."""


@dataclass(frozen=True)
class Exam:
    """Data on which the result of a training is evaluated.

    Attributes:
        label: What the folder of its report is called.
        dataset, split: The recordings.
        known: How many of them were trained on.
        observed: Whether there is anything to compare with; otherwise maps are predicted.
    """

    label: str
    dataset: Dataset
    split: str
    known: int
    observed: bool


def choose(asked: Sequence[str] | None, training: Training) -> tuple[Sequence[Exam], Sequence[str]]:
    """What is evaluated on, and why some of what the recipe names is left out.

    Args:
        asked: `NAME[:SPLIT][=DIR]` each; `None` for what the recipe names, as far as it is there.
        training: Its datasets need no folder, and are evaluated on what was not trained on.

    Raises:
        SalcliError: What was asked for is not there.
    """
    from salcli.errors import SalcliError

    if asked is not None:
        return [_exam(text, training) for text in asked if text != NONE], ()
    exams, missing = [], []
    for text in training.recipe.evaluate:
        try:
            exams.append(_exam(text, training))
        except SalcliError as error:
            missing.append(f"not evaluated on {text}, as the recipe would: {error}")
    return exams, missing


def _exam(text: str, training: Training) -> Exam:
    from salcli.datasets.open import open_dataset
    from salcli.errors import UsageError
    from salcli.scoring.selection import is_observed

    named, _, folder = text.partition("=")
    name, _, split = named.partition(":")
    trained = {dataset.name: dataset for dataset in training.datasets}
    own = trained.get(name)
    dataset = own if own and not folder else open_dataset(name, [Path(folder)] if folder else [])
    label = "-".join(filter(None, [Path(folder).name if name == "folder" else name, split]))
    if not split:
        split = dataset.evaluated
        if own and _known(dataset, split, training):
            dataset, split = own, "valid"
    observed = any(is_observed(recording) for recording in dataset.recordings(split))
    if not observed and dataset.submission is None:
        raise UsageError(
            f"split '{split}' of dataset '{name}' has no ground truth, and nobody collects "
            "predictions for it; leave it out of --evaluate"
        )
    return Exam(label or name, dataset, split, _known(dataset, split, training), observed)


def _known(dataset: Dataset, split: str, training: Training) -> int:
    """How many recordings were trained on."""
    trained = (recording for corpus in training.corpora for recording in corpus.training)
    seen = {recording.source.resolve() for recording in trained}
    return sum(recording.source.resolve() in seen for recording in dataset.recordings(split))


def evaluate(
    exams: Sequence[Exam], training: Training, output: Path, *, device: str, report: ReportLine
) -> None:
    """Score the best weights, each exam into a folder of its own; then let the model finish.

    Raises:
        InputError: Some could not be scored at all; the others are.
        OutputError: The folder cannot be written.
        PluginError: The model broke its contract.
    """
    from salcli.errors import InputError
    from salcli.loading import load_model
    from salcli.progress import watch
    from salcli.scoring.session import folder_names
    from salcli.training.rundir import BEST

    loaded = load_model(training.model.spec.name, weights_file=output / BEST, device=device)
    names = folder_names([exam.label for exam in exams])
    failed = []
    with watch(len(exams), quiet=False) as watcher:
        for exam, name in zip(exams, names, strict=True):
            if exam.known:
                watcher.note(f"note: {name}: of its recordings {exam.known} were trained on")
            folder = output / FOLDER / name
            examined = loaded.for_dataset(exam.dataset.name)
            try:
                if exam.observed:
                    document = _score(exam, examined, folder, watcher, training.recipe.protocol)
                    training.model.finish_evaluation(output, document)
                    report({"evaluation": name, **_means(document), "report": str(folder)})
                else:
                    _predict(exam, examined, folder, watcher)
                    report({"evaluation": name, "split": exam.split, "maps": str(folder)})
            except InputError as error:
                failed.append(f"{name}: {error}")
    if failed:
        raise InputError(f"not evaluated: {'; '.join(failed)}")


def _score(
    exam: Exam, loaded: Loaded, folder: Path, watcher: Watcher, protocol: str | None
) -> Mapping[str, Any]:
    from salcli import devices
    from salcli.scoring.predicted import PredictedMaps
    from salcli.scoring.session import open_session

    there = devices.for_metrics(str(loaded.model.device))
    session = open_session(exam.dataset, split=exam.split, protocol=protocol, device=there)
    return session.run(PredictedMaps(loaded, watcher), folder, watcher)


def _means(document: Mapping[str, Any]) -> dict[str, Any]:
    """What is told of a report: the means that its protocol publishes."""
    means = {name: next(iter(found.values()))["mean"] for name, found in document["scores"].items()}
    return {
        "split": document["dataset"]["split"],
        "protocol": document["protocol"]["name"],
        "skipped": sum(max(incident["frames"], 1) for incident in document["skipped"]),
        "scores": {name: mean for name, mean in means.items() if mean is not None},
    }


def _predict(exam: Exam, loaded: Loaded, folder: Path, watcher: Watcher) -> None:
    """Maps in the layout that the benchmark takes, where ground truth is withheld."""
    from salcli.datasets.submission.predict import tasks
    from salcli.prediction.job import Job

    job = Job(loaded)
    for task in tasks(exam.dataset, exam.split, folder):
        task.run(job, watcher)
