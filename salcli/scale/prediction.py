"""The prediction of many inputs as an order for an executor."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from salcli.models.loading import Loaded, load_model
from salcli.prediction import claims, manifest
from salcli.prediction.job import Job, Outcome, is_single
from salcli.prediction.task import PredictionTask
from salcli.terminal.events import Watcher

__all__ = ["PredictionOrder"]


@dataclass(frozen=True)
class PredictionOrder:
    """Everything that determines the predictions; an `Order`.

    Attributes:
        model: Arguments of `salcli.models.loading.load_model` besides the device. They include the
            batch size, on which last bits of the maps depend.
        settings: Arguments of `salcli.prediction.job.Job` besides the model.
        dataset: The dataset that the inputs are of, if they are of one.
    """

    model: Mapping[str, Any]
    settings: Mapping[str, Any]
    dataset: str | None = None

    def begin(self, device: str) -> Callable[[PredictionTask, Watcher], Outcome]:
        """Load the model."""
        return self.work(load_model(**self.model, device=device))

    def work(self, loaded: Loaded) -> Callable[[PredictionTask, Watcher], Outcome]:
        """What is done with each input, by a model that is loaded already."""
        return partial(_predict, self.job(loaded))

    def job(self, loaded: Loaded) -> Job:
        """The job of a model."""
        loaded = loaded.for_dataset(self.dataset) if self.dataset is not None else loaded
        return Job(loaded, **self.settings)

    def title(self, unit: PredictionTask) -> str:
        """The input."""
        return str(unit.source)

    def size(self, unit: PredictionTask) -> int:
        """The bytes of the input: about proportional to its length."""
        return manifest.size_of(unit.source)

    def died(self, unit: PredictionTask, worker: str) -> None:
        """Take the claim on the input from the worker."""
        claims.abandon(unit.place.claim_file(single=self._single(unit)), worker)

    def failed(self, unit: PredictionTask, error: str, *, died: bool) -> Outcome:
        """An outcome that says why."""
        if died:
            unit.place.note_failure(error, single=self._single(unit))
        return Outcome(unit.source, unit.place.output, "failed", error=error)

    def _single(self, unit: PredictionTask) -> bool:
        kind = unit.overrides.get("kind", self.settings.get("kind", "auto"))
        return is_single(unit.source, kind)


def _predict(job: Job, task: PredictionTask, watcher: Watcher) -> Outcome:
    outcome = task.run(job, watcher)
    for problem in outcome.problems:
        watcher.note(f"left out: {problem}")
    watcher.finish(_line(outcome))
    return outcome


def _line(outcome: Outcome) -> str:
    frames = "1 map" if outcome.frames == 1 else f"{outcome.frames} maps"
    if outcome.status == "skipped":
        return f"{outcome.source}: already done, {frames} in {outcome.results}"
    if outcome.status == "elsewhere":
        return f"{outcome.source}: left to another process; {outcome.holder}"
    speed = outcome.frames / outcome.seconds if outcome.seconds else 0.0
    return (
        f"{outcome.source}: {frames} in {outcome.results}, {outcome.seconds:.1f} s, "
        f"{speed:.1f} frames/s"
    )
