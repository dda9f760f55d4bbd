"""One scoring: chooses metrics, frames and baselines, then scores one source after another."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import torch

from salcli.errors import InputError, UsageError
from salcli.plugins.registry import metrics as registered_metrics
from salcli.protocols import Protocol
from salcli.protocols import protocol as find_protocol
from salcli.protocols.scorer import Scorer
from salcli.scoring import write
from salcli.scoring.document import Report, versions
from salcli.scoring.evaluate import Evaluation, FrameScores, evaluate
from salcli.scoring.finished import FinishedParts, FinishedRecordings, digest
from salcli.scoring.frametruth import GroundTruthReader
from salcli.scoring.references import (
    FittedPriors,
    Observers,
    PriorMap,
    Redrawn,
    Reference,
    Rounded,
    fit_priors,
)
from salcli.scoring.seen import Seen, find_seen
from salcli.scoring.selection import FrameRef, Selection, select_frames
from salcli.scoring.sources import MapSource
from salcli.terminal.progress import Watcher
from salcli.types import Dataset

__all__ = ["Baselines", "Session", "folder_names", "open_session"]

Baselines: TypeAlias = Literal["quick", "full", "none"]

SAMPLES: Mapping[Baselines, tuple[int | None, int | None]] = {
    "quick": (100, 20),
    "full": (None, None),
    "none": (0, 0),
}
"""On how many frames the priors and 8 bit are measured, and the observers; `None` for all."""

REDRAWN_FRAMES = 50
"""On how many frames the metrics that draw random numbers are measured twice."""

DENSITIES_ONLY = "IG"
"""The metric that is meaningful only for maps that are densities."""

EVERYTHING = "all"

REASONS = 10
"""Number of reasons listed when nothing could be scored."""


@dataclass(frozen=True)
class Session:
    """What all sources of maps share.

    Attributes:
        selection: The frames.
        scorer: Measures them.
        left_out: Metrics of the protocol that are not computed, and why.
        priors: Fitted to the training split.
        baselines: Which baselines are measured; see `SAMPLES`.
    """

    selection: Selection
    scorer: Scorer
    left_out: Mapping[str, str]
    priors: FittedPriors
    baselines: Baselines

    def check_free(self, source: MapSource, folder: Path) -> None:
        """Refuse a folder that holds scores of something else.

        Raises:
            UsageError: It does.
        """
        dataset = self.selection.dataset
        data = {"name": dataset.name, "edition": dataset.edition, "split": self.selection.split}
        protocol = {"name": self.scorer.protocol.name}
        write.check_free(folder, write.identity(source.statement(), data, protocol))

    def seen(self, source: MapSource) -> Seen:
        """What the weights behind these maps know of the frames."""
        return find_seen(source.trained_on, self.selection)

    def run(
        self,
        source: MapSource,
        folder: Path,
        watcher: Watcher,
        *,
        plot: str = "png",
        parts: FinishedParts | None = None,
    ) -> dict[str, Any]:
        """Score one source and write the files of its report; returns what `scores.json` holds.

        Plots are of the kind `plot`, one of `plots.FORMATS`. If there are `parts`, all of them
        are scored already.

        Raises:
            InputError: Not a single frame could be scored.
            OutputError: The folder cannot be written.
            PluginError: A model broke its contract.
        """
        began = time.monotonic()
        selection = self.selection
        finished = parts or FinishedRecordings(folder, selection, self.digest(source))
        if finished.done and not parts:
            progress = f"{finished.done} of {finished.total} recordings are scored already"
            watcher.note(f"{source.label}: {progress}")
        reader = self.reader()
        evaluation = self._evaluate(source, reader, finished, folder, watcher)
        report = Report(
            source,
            selection,
            reader,
            self.scorer,
            evaluation,
            self.priors,
            self.left_out,
            time.monotonic() - began,
            self.seen(source),
        )
        document: dict[str, Any] = json.loads(json.dumps(report.document()))  # tuples to lists
        files = self.scorer.protocol.files
        write.write(folder, document, evaluation.results, files=files, plot=plot)
        finished.remove()
        return document

    def reader(self) -> GroundTruthReader:
        """Reads the ground truth of the frames."""
        redrawn = self._redrawn() if self.scorer.drawing else frozenset[FrameRef]()
        return GroundTruthReader(self.selection, self.scorer, self.priors.centre, redrawn=redrawn)

    def digest(self, source: MapSource) -> str:
        """Changes with everything that the values of the frames depend on."""
        selection = self.selection
        return digest(selection, self._settings(source), source.files(selection))

    def _evaluate(
        self,
        source: MapSource,
        reader: GroundTruthReader,
        finished: FinishedRecordings | FinishedParts,
        folder: Path,
        watcher: Watcher,
    ) -> Evaluation:
        """Score all frames; the table of frames is written while they come."""
        watcher.start(source.label, self.selection.total)
        with ExitStack() as stack:
            frames = stack.enter_context(
                write.frame_table(folder, self.selection, self.scorer.names)
            )

            def done(row: FrameScores) -> None:
                frames.add(row)
                finished.add(row)
                watcher.step()

            evaluation = evaluate(
                source,
                self.selection,
                reader,
                self.scorer,
                references=self.references(source, reader),
                before=finished.rows(),
                start=finished.start,
                done=done,
            )
            if not evaluation.results.frames:  # inside, so that no empty table is left
                finished.remove()
                raise InputError(_failure(source, evaluation))
        return evaluation

    def _settings(self, source: MapSource) -> dict[str, Any]:
        """All that the values of a frame depend on, except the files."""
        dataset = self.selection.dataset
        return {
            "predictions": source.statement(),
            "dataset": [dataset.name, dataset.edition, self.selection.split],
            "frames": self.selection.digest(),
            "protocol": self.scorer.statement(),
            "baselines": self.baselines,
            "priors": self.priors.statement(),
            "mean": self.priors.mean.tolist() if self.priors.mean is not None else None,
            "versions": versions(source, self.scorer),
        }

    def references(self, source: MapSource, reader: GroundTruthReader) -> list[Reference]:
        """Baselines, and the effect of rounding to 8 bit."""
        most, most_observers = SAMPLES[self.baselines]
        references: list[Reference] = []
        if self.scorer.drawing:
            references.append(Redrawn(self._redrawn(), self.scorer, source.rounding))
        if most == 0:
            return references
        refs = self._sample(most)
        references.append(PriorMap("centre", refs, self.priors.centre))
        if self.priors.mean is not None:
            references.append(PriorMap("mean-map", refs, self.priors.mean))
        observers = Observers.of(self._sample(most_observers), reader.kernel, self.scorer)
        if observers and self._has_observers(reader):
            references.append(observers)
        if source.is_float and self.scorer.protocol.preparation.bits is None:
            references.append(Rounded(refs, source.rounding))
        return references

    def _redrawn(self) -> frozenset[FrameRef]:
        """The frames on which the random spread is measured."""
        return self.selection.sample(REDRAWN_FRAMES, seed=self.scorer.seed, purpose="redrawn")

    def _sample(self, most: int | None) -> frozenset[FrameRef]:
        return self.selection.sample(most, seed=self.scorer.seed, purpose="baselines")

    def _has_observers(self, reader: GroundTruthReader) -> bool:
        """Whether the first readable frame tells observers apart."""
        for ref in self.selection.refs:
            try:
                return len(reader.observers(ref)) > 1
            except InputError:
                continue
        return False


def open_session(
    dataset: Dataset,
    *,
    split: str | None = None,
    protocol: str | None = None,
    metrics: Sequence[str] = (),
    seed: int = 0,
    limit: int | None = None,
    baselines: Baselines = "quick",
    device: torch.device | None = None,
) -> Session:
    """Choose what is scored and how.

    Args:
        dataset: Has the ground truth.
        split: Part of the dataset; by default the one that is usually scored.
        protocol: Name; by default `ntire` for AViMoS, `dhf1k` for clips, `mit` for images.
        metrics: Names, or `all`; by default those of the protocol's tables.
        seed: Random seed.
        limit: Maximum number of frames, drawn at random.
        baselines: Measure the baselines on some frames, on all, or not at all.
        device: Where metrics run; by default NumPy on the CPU.

    Raises:
        UnknownName: There is no such split, protocol or metric.
        UsageError: A metric needs what the dataset lacks.
        InputError: Nothing of the split is there.
    """
    split = split or dataset.evaluated
    selection = select_frames(dataset, split, limit=limit, seed=seed)
    chosen = find_protocol(protocol or _default_protocol(dataset.name, selection.has_clips))
    if chosen.limit is not None and selection.total > chosen.limit:
        selection = select_frames(dataset, split, limit=chosen.limit, seed=seed)
    names, left_out = _metrics(selection, chosen, metrics)
    scorer = Scorer(chosen, names, seed=seed, device=device)
    wanted = baselines != "none" or "baseline" in scorer.needs
    priors = fit_priors(selection, seed=seed) if wanted else FittedPriors()
    return Session(selection, scorer, left_out, priors, baselines)


def folder_names(labels: Sequence[str]) -> list[str]:
    """A folder name for each source, all different."""
    names: list[str] = []
    for label in labels:
        slug = stem = re.sub(r"[^\w.-]+", "-", label).strip("-.") or "maps"
        number = 2
        while slug in names:
            slug, number = f"{stem}-{number}", number + 1
        names.append(slug)
    return names


def _failure(source: MapSource, evaluation: Evaluation) -> str:
    lines = [each.line for each in (*evaluation.skipped, *source.notes)]
    more = f"\nand {len(lines) - REASONS} more like these" * (len(lines) > REASONS)
    reasons = "\n".join(lines[:REASONS]) + more
    return f"nothing of '{source.label}' could be scored: {reasons}"


def _default_protocol(name: str, clips: bool) -> str:
    if name == "avimos":
        return "ntire"
    return "dhf1k" if clips else "mit"


def _metrics(
    selection: Selection, protocol: Protocol, asked: Sequence[str]
) -> tuple[list[str], dict[str, str]]:
    """The metrics that are computed, and why others of the protocol are not."""
    everything = [variant.metric for variant in protocol.variants]
    explicit = [_spelled(name) for name in asked if name != EVERYTHING]
    names = list(dict.fromkeys(explicit + (everything if EVERYTHING in asked else []))) or list(
        protocol.published
    )
    left_out: dict[str, str] = {}
    for name in names:
        measured = Scorer(protocol, [name])  # refuses what the protocol does not define
        if "fixations" in measured.needs and not selection.has_fixations:
            data = selection.dataset.name
            reason = (
                f"fixations are needed, and '{data}' has density maps only here; add the "
                f"fixations ('salcli datasets list {data}' shows where)"
            )
            if name in explicit:
                raise UsageError(f"{name}: {reason}, or leave this metric out")
            left_out[name] = reason
        elif name == DENSITIES_ONLY and not asked:
            left_out[name] = "it is meaningful only for maps that are densities; ask for it by name"
    kept = [name for name in names if name not in left_out]
    if not kept:
        raise UsageError(f"no metric can be computed: {next(iter(left_out.values()))}")
    return kept, left_out


def _spelled(name: str) -> str:
    """The metric's own spelling, whatever the case; unknown names stay as they are."""
    return {known.casefold(): known for known in registered_metrics()}.get(name.casefold(), name)
