"""The prediction of many inputs as an order for an executor."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from salcli.errors import InputError, UsageError
from salcli.models.loading import Loaded, load_model
from salcli.prediction import claims, manifest
from salcli.prediction.job import Job, Outcome
from salcli.prediction.parts import cut
from salcli.prediction.produce import context_of
from salcli.prediction.task import PredictionTask
from salcli.terminal.events import Watcher

__all__ = ["PredictionOrder", "merged", "report"]


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
        return partial(_predict, self.loaded(device))

    def loaded(self, device: str) -> Job:
        """The job of the model, loaded on a device."""
        return self.job(load_model(**self.model, device=device))

    def work(self, loaded: Loaded) -> Callable[[PredictionTask, Watcher], Outcome]:
        """What is done with each input, by a model that is loaded already."""
        return partial(_predict, self.job(loaded))

    def job(self, loaded: Loaded) -> Job:
        """The job of a model."""
        loaded = loaded.for_dataset(self.dataset) if self.dataset is not None else loaded
        return Job(loaded, **self.settings)

    def cut(
        self,
        tasks: Sequence[PredictionTask],
        loaded: Loaded,
        parts: int,
        *,
        note: Callable[[str], None],
    ) -> list[PredictionTask]:
        """The tasks, in which each clip is cut into so many parts; notes which it indexes for that.

        Raises:
            UsageError: The model looks back at whole clips.
        """
        job, found = self.job(loaded), list[PredictionTask]()
        for task in tasks:
            own = task.settings(job)
            try:
                frames = own.clip_length(task.source)
            except InputError:
                frames = 0  # whoever works on it says why
            if not frames or task.video:
                found.append(task)
                continue
            if context_of(loaded.model, clip=True) is None:
                raise UsageError(
                    f"a map of {loaded.label} depends on all frames before it, so clips cannot be "
                    f"cut into parts; leave '{task.source}' to one worker"
                )
            if not own.is_finished(task.source, task.place):
                own.index(task.source, task.place, note)
            pieces = cut(frames, parts, own.formats, batch_size=loaded.model.batch_size)
            found += [replace(task, part=piece) for piece in pieces]
        return found

    def title(self, unit: PredictionTask) -> str:
        """The input."""
        return str(unit.source)

    def size(self, unit: PredictionTask) -> int:
        """The bytes of the input: about proportional to its length."""
        return manifest.size_of(unit.source)

    def died(self, unit: PredictionTask, worker: str) -> None:
        """Take the claim on the input from the worker."""
        claims.abandon(unit.claim_file(single=self._single(unit)), worker)

    def failed(self, unit: PredictionTask, error: str, *, died: bool) -> Outcome:
        """An outcome that says why."""
        if died:
            unit.place.note_failure(error, single=self._single(unit))
        results = unit.place.output if self._single(unit) else unit.place.folder
        return Outcome(unit.source, results, "failed", error=error)

    def _single(self, unit: PredictionTask) -> bool:
        kind = unit.overrides.get("kind", self.settings.get("kind", "auto"))
        return manifest.is_single(unit.source, kind)


def merged(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """One outcome for each input, of those of its parts."""
    found: dict[tuple[str, str], list[Outcome]] = {}
    for outcome in outcomes:
        found.setdefault((str(outcome.source), str(outcome.results)), []).append(outcome)
    order = ("failed", "done", "skipped", "elsewhere", "part")
    best = [min(each, key=lambda one: order.index(one.status)) for each in found.values()]
    return [replace(one, status="elsewhere") if one.status == "part" else one for one in best]


def _predict(job: Job, task: PredictionTask, watcher: Watcher) -> Outcome:
    return report(task.run(job, watcher), watcher)


def report(outcome: Outcome, watcher: Watcher) -> Outcome:
    """Tell the outcome of an input; gives it back."""
    for problem in outcome.problems:
        watcher.note(f"left out: {problem}")
    watcher.finish(_line(outcome))
    return outcome


def _line(outcome: Outcome) -> str:
    frames = "1 map" if outcome.frames == 1 else f"{outcome.frames} maps"
    if outcome.status == "skipped":
        return f"{outcome.source}: already done, {frames} in {outcome.results}"
    if outcome.status == "part":
        return f"{outcome.source}: {frames} of a part, {outcome.seconds:.1f} s"
    if outcome.status == "elsewhere":
        return f"{outcome.source}: left to another process; {outcome.holder}"
    speed = outcome.frames / outcome.seconds if outcome.seconds else 0.0
    return (
        f"{outcome.source}: {frames} in {outcome.results}, {outcome.seconds:.1f} s, "
        f"{speed:.1f} frames/s"
    )
