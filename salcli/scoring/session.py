"""Puts a scoring together: which metrics, which frames, which baselines; then source by source."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from salcli.errors import InputError, UsageError
from salcli.plugins.registry import metrics as known_metrics
from salcli.progress import Watcher
from salcli.protocols import Protocol
from salcli.protocols import protocol as find_protocol
from salcli.protocols.scorer import Scorer
from salcli.scoring import write
from salcli.scoring.document import Report, versions
from salcli.scoring.evaluate import FrameScores, score
from salcli.scoring.journal import Journal
from salcli.scoring.references import Fit, Observers, Prior, Probe, Rounded, fit
from salcli.scoring.selection import FrameRef, Selection, draw_up
from salcli.scoring.sources import MapSource
from salcli.scoring.truths import GroundTruthReader
from salcli.types import Dataset

__all__ = ["BASELINES", "Session", "folder_names", "open_session"]

BASELINES = {"quick": (100, 20), "full": (None, None), "none": (0, 0)}
"""On how many frames the priors and 8 bit are measured, and the observers; `None` for all."""

DENSITIES_ONLY = "IG"
"""The metric that means something for maps that are densities only."""

EVERYTHING = "all"

REASONS = 10
"""Told where nothing could be scored."""


@dataclass(frozen=True)
class Session:
    """What is the same for all sources of maps.

    Attributes:
        agenda: Which frames.
        scorer: How they are measured.
        left_out: Metrics of the protocol that are not computed, and why.
        fit: Priors.
        baselines: A key of `BASELINES`.
    """

    agenda: Selection
    scorer: Scorer
    left_out: Mapping[str, str]
    fit: Fit
    baselines: str

    def check_free(self, source: MapSource, folder: Path) -> None:
        """Refuse a folder that holds scores of something else.

        Raises:
            UsageError: It does.
        """
        dataset = self.agenda.dataset
        data = {"name": dataset.name, "edition": dataset.edition, "split": self.agenda.split}
        protocol = {"name": self.scorer.protocol.name}
        write.check_free(folder, write.identity(source.statement(), data, protocol))

    def run(self, source: MapSource, folder: Path, watcher: Watcher) -> dict[str, Any]:
        """Score one source, and write the files of its report.

        Raises:
            InputError: Not a single frame could be scored.
            OutputError: The folder cannot be written.
            PluginError: A model broke its contract.
        """
        began = time.monotonic()
        journal = Journal(folder, self.agenda, self._settings(source), source.files(self.agenda))
        if journal.whole:
            known = f"{journal.whole} of {journal.total} recordings are scored already"
            watcher.note(f"{source.label}: {known}")
        metrics = [each.spec.name for each in self.scorer.measures]
        truths = GroundTruthReader(self.agenda, self.scorer, self.fit.centre)
        watcher.start(source.label, self.agenda.total)
        with ExitStack() as stack:
            frames = stack.enter_context(write.frame_table(folder, self.agenda, metrics))

            def done(row: FrameScores) -> None:
                frames.add(row)
                journal.add(row)
                watcher.step()

            outcome = score(
                source,
                self.agenda,
                truths,
                self.scorer,
                probes=self._probes(source, truths),
                before=journal.rows(),
                start=journal.start,
                done=done,
            )
            if not outcome.ledger.frames:
                journal.remove()
                lines = [each.line for each in (*outcome.skipped, *source.notes)]
                more = f"\nand {len(lines) - REASONS} more like these" * (len(lines) > REASONS)
                reasons = "\n".join(lines[:REASONS]) + more
                raise InputError(f"nothing of '{source.label}' could be scored: {reasons}")
        report = Report(
            source,
            self.agenda,
            truths,
            self.scorer,
            outcome,
            self.fit,
            self.left_out,
            time.monotonic() - began,
        )
        document = report.document()
        write.write(folder, document, outcome.ledger)
        journal.remove()
        return document

    def _settings(self, source: MapSource) -> dict[str, Any]:
        """All that the values of a frame depend on, but the files."""
        return {
            "predictions": source.statement(),
            "dataset": [self.agenda.dataset.name, self.agenda.dataset.edition, self.agenda.split],
            "frames": self.agenda.digest(),
            "protocol": self.scorer.statement(),
            "baselines": self.baselines,
            "priors": self.fit.statement(),
            "mean": self.fit.mean.tolist() if self.fit.mean is not None else None,
            "versions": versions(source, self.scorer),
        }

    def _probes(self, source: MapSource, truths: GroundTruthReader) -> list[Probe]:
        """Baselines, and what 8 bit changes."""
        most, most_observers = BASELINES[self.baselines]
        if most == 0:
            return []
        spots = self._sample(most)
        probes: list[Probe] = [Prior("centre", spots, self.fit.centre)]
        if self.fit.mean is not None:
            probes.append(Prior("mean-map", spots, self.fit.mean))
        observers = Observers.of(self._sample(most_observers), truths.kernel, self.scorer)
        if observers and self._has_observers(truths):
            probes.append(observers)
        if source.is_float and self.scorer.protocol.preparation.bits is None:
            probes.append(Rounded(spots, source.rounding))
        return probes

    def _sample(self, most: int | None) -> frozenset[FrameRef]:
        return self.agenda.sample(most, seed=self.scorer.seed, purpose="baselines")

    def _has_observers(self, truths: GroundTruthReader) -> bool:
        """Whether the first frame that can be read says who looked where."""
        for spot in self.agenda.spots:
            try:
                return len(truths.subjects(spot)) > 1
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
    baselines: str = "quick",
    device: torch.device | None = None,
) -> Session:
    """What is scored, and how.

    Args:
        dataset: Whose ground truth.
        split: Part of it; the one that is usually scored without.
        protocol: Name; that of the dataset's kind without: `ntire` for AViMoS, `dhf1k` for clips,
            `mit` for images.
        metrics: Names, or `all`; those of the protocol's tables without.
        seed: Of everything random.
        limit: Frames at most, drawn at random.
        baselines: A key of `BASELINES`.
        device: Where metrics run; NumPy on the CPU without.

    Raises:
        UnknownName: There is no such split, protocol or metric.
        UsageError: A metric needs what the dataset has not.
        InputError: Nothing of the split is there.
    """
    split = split or dataset.evaluated
    agenda = draw_up(dataset, split, limit=limit, seed=seed)
    chosen = find_protocol(protocol or _default_protocol(dataset.name, agenda.has_clips))
    if chosen.limit is not None and agenda.total > chosen.limit:
        agenda = draw_up(dataset, split, limit=chosen.limit, seed=seed)
    names, left_out = _metrics(agenda, chosen, metrics)
    scorer = Scorer(chosen, names, seed=seed, device=device)
    priors = baselines != "none" or "baseline" in scorer.needs
    return Session(agenda, scorer, left_out, fit(agenda, seed=seed) if priors else Fit(), baselines)


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


def _default_protocol(name: str, clips: bool) -> str:
    if name == "avimos":
        return "ntire"
    return "dhf1k" if clips else "mit"


def _metrics(
    agenda: Selection, protocol: Protocol, asked: Sequence[str]
) -> tuple[list[str], dict[str, str]]:
    """The metrics that are computed, and why others of the protocol are not."""
    fixations = any(
        recording.annotations[end].fixations is not None
        for recording in agenda.recordings
        for end in (0, -1)
    )
    everything = [variant.metric for variant in protocol.variants]
    explicit = [_spelled(name) for name in asked if name != EVERYTHING]
    names = list(dict.fromkeys(explicit + (everything if EVERYTHING in asked else []))) or list(
        protocol.published
    )
    left_out: dict[str, str] = {}
    for name in names:
        measured = Scorer(protocol, [name])  # refuses what the protocol does not define
        if "fixations" in measured.needs and not fixations:
            reason = (
                f"fixations are needed, and '{agenda.dataset.name}' has density maps only here; "
                f"add the fixations ('salcli datasets list {agenda.dataset.name}' shows where)"
            )
            if name in explicit:
                raise UsageError(f"{name}: {reason}, or leave it out of --metrics")
            left_out[name] = reason
        elif name == DENSITIES_ONLY and not asked:
            left_out[name] = "it means something for maps that are densities only; see --metrics"
    kept = [name for name in names if name not in left_out]
    if not kept:
        raise UsageError(f"no metric can be computed: {next(iter(left_out.values()))}")
    return kept, left_out


def _spelled(name: str) -> str:
    """The metric's own spelling, whatever the case; unknown names stay as they are."""
    return {known.casefold(): known for known in known_metrics()}.get(name.casefold(), name)
