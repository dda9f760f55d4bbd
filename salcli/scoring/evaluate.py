"""Scores all frames of an agenda: maps and ground truth are read in order, metrics run in threads.

NumPy lets go of the interpreter while it computes, so that threads share the work; and since each
frame's values depend on that frame alone, it makes no difference how many there are. At any time a
few frames are in memory.
"""

from __future__ import annotations

import math
import os
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import chain

import numpy as np
from threadpoolctl import threadpool_limits

from salcli.datasets.check import alike
from salcli.errors import InputError
from salcli.protocols.scorer import Scorer
from salcli.scoring.incidents import Problems
from salcli.scoring.mapfiles import Map
from salcli.scoring.references import Probe
from salcli.scoring.results import Results
from salcli.scoring.selection import FrameRef, Selection
from salcli.scoring.sources import FrameMap, MapSource
from salcli.scoring.truths import FrameTruth, GroundTruthReader, Note
from salcli.types import Annotation

__all__ = ["Evaluation", "FrameScores", "score"]

Values = dict[str, float]

INFINITE = "is infinite, since the map is 0 where somebody looked; it is left out of the means"

AHEAD = 2
"""Frames per thread that wait for it at most."""

MOST_THREADS = 8
"""A frame of 1080p and its ground truth take some 40 megabytes; reading is in one thread anyway."""


@dataclass(frozen=True)
class FrameScores:
    """What became of one frame.

    Attributes:
        spot: Which.
        values: By metric; empty for a frame that is skipped.
        problem: Why it is skipped.
        probes: Values of what else was measured on it.
        unfit: What else could not be measured on it, and why.
        size: Kind and size of the map and size of the frame; empty without either.
        density, outside, notes: As in `truths.Known`.
    """

    spot: FrameRef
    values: Values = field(default_factory=dict)
    problem: str = ""
    probes: Mapping[str, Values] = field(default_factory=dict)
    unfit: Mapping[str, str] = field(default_factory=dict)
    size: str = ""
    density: str = ""
    outside: int = 0
    notes: Sequence[Note] = ()


@dataclass
class Evaluation:
    """All values of one source of maps.

    Attributes:
        ledger: The values of its frames.
        skipped: Frames without values, and why.
        probes: For each probe its values and the model's on the same frames.
        sizes: How many maps had which size on which frame size, and of which type.
        densities: How many density maps came from where.
        outside: How many fixations lay outside their frame.
        odd: What was odd in the ground truth.
        notes: Infinite values, and what else could not be measured.
    """

    ledger: Results
    skipped: Problems = field(default_factory=Problems)
    probes: dict[str, tuple[Results, Results]] = field(default_factory=dict)
    sizes: Counter[str] = field(default_factory=Counter)
    densities: Counter[str] = field(default_factory=Counter)
    outside: int = 0
    odd: Problems = field(default_factory=Problems)
    notes: Problems = field(default_factory=Problems)

    def add(self, row: FrameScores, recording: str, label: str) -> None:
        """Enter one frame."""
        number, index = row.spot
        self.sizes.update(filter(None, [row.size]))
        self.densities.update(filter(None, [row.density]))
        self.outside += row.outside
        for about, reason, where in row.notes:
            self.odd.add(about, reason, label=where)
        if row.problem:
            self.skipped.add(recording, row.problem, label=label)
        else:
            self.ledger.add(number, index, row.values)
        notes = [f"{name} {INFINITE}" for name, v in row.values.items() if math.isinf(v)]
        notes += [f"baseline {name}: {reason}" for name, reason in row.unfit.items()]
        for note in notes:
            self.notes.add(recording, note, label=label)
        for name, values in row.probes.items():
            theirs, own = self.probes[name]
            theirs.add(number, index, values)
            own.add(number, index, row.values)


def score(
    source: MapSource,
    agenda: Selection,
    truths: GroundTruthReader,
    scorer: Scorer,
    *,
    probes: Sequence[Probe] = (),
    before: Iterable[FrameScores] = (),
    start: int = 0,
    done: Callable[[FrameScores], None] = lambda row: None,
) -> Evaluation:
    """Measure every frame; one that cannot be measured is counted with its reason.

    Args:
        source: Gives the maps.
        agenda: Which frames.
        truths: Reads what observers did.
        scorer: What measures.
        probes: What else is measured, each on some of the frames.
        before: The frames of the recordings before `start`, which were measured earlier.
        start: Number of the first recording that is measured now.
        done: Called with each frame in order, in this thread.

    Raises:
        PluginError: A model broke its contract.
    """
    metrics = [each.spec.name for each in scorer.measures]
    outcome = Evaluation(Results(metrics))
    for name, reason in agenda.problems:
        outcome.skipped.add(name, reason)
    for probe in probes:
        outcome.probes[probe.name] = Results(metrics), Results(metrics)
    with closing(_rows(source, agenda, truths, scorer, probes, start)) as rows:
        for row in chain(before, rows):
            recording, label = (
                agenda.recordings[row.spot[0]].name,
                agenda.annotation(row.spot).label,
            )
            outcome.add(row, recording, label)
            done(row)
    return outcome


def _rows(
    source: MapSource,
    agenda: Selection,
    truths: GroundTruthReader,
    scorer: Scorer,
    probes: Sequence[Probe],
    start: int,
) -> Generator[FrameScores, None, None]:
    threads = _threads()
    pending = deque[Future[FrameScores]]()
    shares: tuple[int, Mapping[str, frozenset[int]]] = (-1, {})
    resized = scorer.protocol.preparation.resize != "fit"
    # Each of these threads computes alone: with a pool of its own below each, as BLAS has one, they
    # are in each other's way, and sums would depend on the number of cores.
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(threads) as pool:
        for shown in source.maps(agenda, start):
            number, index = shown.spot
            if shares[0] != number:
                name = agenda.recordings[number].name
                shares = number, scorer.shares(name, agenda.counts[number])
            left_out = frozenset(name for name, share in shares[1].items() if index not in share)
            try:
                known = truths.read(shown.spot) if shown.saliency is not None else None
            except InputError as error:
                shown, known = FrameMap(shown.spot, None, str(error)), None
            if shown.saliency is not None and known is not None and resized:
                known = _remarked(
                    known, shown.saliency, source.label, agenda.annotation(shown.spot)
                )
            chosen = [probe for probe in probes if shown.spot in probe.spots]
            key = agenda.key(shown.spot)
            job = _Measured(shown, known, scorer, source, chosen, key, left_out)
            pending.append(pool.submit(job.run))
            while len(pending) > AHEAD * threads:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


@dataclass(frozen=True)
class _Measured:
    """One frame, ready to be measured in any thread."""

    shown: FrameMap
    known: FrameTruth | None
    scorer: Scorer
    source: MapSource
    probes: Sequence[Probe]
    key: str
    leave_out: frozenset[str]

    def run(self) -> FrameScores:
        saliency, known = self.shown.saliency, self.known
        if saliency is None or known is None:
            return FrameScores(self.shown.spot, problem=self.shown.problem)
        row = FrameScores(
            self.shown.spot,
            size=_size_text(saliency, known),
            density=known.density,
            outside=known.outside,
            notes=known.notes,
        )
        try:
            values = self.scorer.frame(
                saliency,
                known.truth,
                key=self.key,
                rounding=self.source.rounding,
                leave_out=self.leave_out,
            )
        except ValueError as error:
            return replace(row, problem=str(error))
        probes: dict[str, Values] = {}
        unfit: dict[str, str] = {}
        for probe in self.probes:
            try:
                probes[probe.name] = probe.values(self.scorer, saliency, known, key=self.key)
            except ValueError as error:  # its map fits the frame, and not the ground truth
                unfit[probe.name] = str(error)
        return replace(row, values=values, probes=probes, unfit=unfit)


def _remarked(known: FrameTruth, saliency: Map, label: str, annotation: Annotation) -> FrameTruth:
    """With a note if the map has other proportions than the frame."""
    height, width = saliency.shape
    if alike((height, width), known.size):
        return known
    frame = f"{known.size[1]}x{known.size[0]}"
    reason = f"maps of {width}x{height} are stretched to frames of {frame}"
    return replace(known, notes=[*known.notes, (label, reason, annotation.label)])


def _threads() -> int:
    """One for each core that this process may use."""
    known = hasattr(os, "sched_getaffinity")
    cores = len(os.sched_getaffinity(0)) if known else os.cpu_count() or 1
    return min(cores, MOST_THREADS)


def _size_text(saliency: Map, known: FrameTruth) -> str:
    (h, w), (height, width) = saliency.shape, known.size
    kind = "8-bit" if saliency.dtype == np.uint8 else str(saliency.dtype)
    return f"{kind} {w}x{h} on {width}x{height}"
