"""Scores all frames: maps and ground truth are read in order, metrics run in threads.

NumPy releases the interpreter lock while it computes, so threads share the work. Since the values
of a frame depend on that frame alone, the number of threads makes no difference. Only a few frames
are in memory at any time.
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
from salcli.scoring.frametruth import FrameTruth, GroundTruthReader, Note
from salcli.scoring.mapfiles import Map
from salcli.scoring.references import Reference
from salcli.scoring.results import Problems, Results
from salcli.scoring.selection import FrameRef, Selection
from salcli.scoring.sources import FrameMap, MapSource
from salcli.types import Annotation

__all__ = ["Evaluation", "FrameScores", "evaluate", "metric_threads"]

Values = dict[str, float]

INFINITE = "is infinite, since the map is 0 where somebody looked; it is left out of the means"

AHEAD = 2
"""Maximum number of frames per thread that wait for it."""

MOST_THREADS = 8
"""A 1080p frame and its ground truth take some 40 megabytes; reading is in one thread anyway."""


@dataclass(frozen=True)
class FrameScores:
    """The scores of one frame.

    Attributes:
        ref: The frame.
        values: By metric; empty for a frame that is skipped.
        problem: Why it is skipped.
        references: Values of each reference that was measured on it.
        unfit: Why a reference could not be measured on it.
        size: Type and size of the map, and size of the frame; empty without a map.
        density, outside, notes: As in `FrameTruth`.
    """

    ref: FrameRef
    values: Values = field(default_factory=dict)
    problem: str = ""
    references: Mapping[str, Values] = field(default_factory=dict)
    unfit: Mapping[str, str] = field(default_factory=dict)
    size: str = ""
    density: str = ""
    outside: int = 0
    notes: Sequence[Note] = ()


@dataclass
class Evaluation:
    """All values of one source of maps.

    Attributes:
        results: Values of the scored frames.
        skipped: Frames without values, and why.
        references: For each reference its values, and the model's on the same frames.
        sizes: Number of maps by their type and size and the size of the frame.
        densities: Number of density maps by where they came from.
        outside: Number of fixations outside their frame.
        odd: Oddities of the ground truth.
        notes: Infinite values, and references that could not be measured.
    """

    results: Results
    skipped: Problems = field(default_factory=Problems)
    references: dict[str, tuple[Results, Results]] = field(default_factory=dict)
    sizes: Counter[str] = field(default_factory=Counter)
    densities: Counter[str] = field(default_factory=Counter)
    outside: int = 0
    odd: Problems = field(default_factory=Problems)
    notes: Problems = field(default_factory=Problems)

    def add(self, row: FrameScores, recording: str, label: str) -> None:
        """Add one frame."""
        number, index = row.ref
        self.sizes.update(filter(None, [row.size]))
        self.densities.update(filter(None, [row.density]))
        self.outside += row.outside
        for about, reason, where in row.notes:
            self.odd.add(about, reason, label=where)
        if row.problem:
            self.skipped.add(recording, row.problem, label=label)
        else:
            self.results.add(number, index, row.values)
        notes = [f"{name} {INFINITE}" for name, v in row.values.items() if math.isinf(v)]
        notes += [f"baseline {name}: {reason}" for name, reason in row.unfit.items()]
        for note in notes:
            self.notes.add(recording, note, label=label)
        for name, values in row.references.items():
            if name not in self.references:
                continue  # of a row that somebody edited
            reference, own = self.references[name]
            reference.add(number, index, values)
            own.add(number, index, row.values)


def evaluate(
    source: MapSource,
    selection: Selection,
    reader: GroundTruthReader,
    scorer: Scorer,
    *,
    references: Sequence[Reference] = (),
    before: Iterable[FrameScores] = (),
    start: int = 0,
    done: Callable[[FrameScores], None] = lambda row: None,
) -> Evaluation:
    """Score every frame; one that cannot be scored is counted with its reason.

    Args:
        source: Gives the maps.
        selection: The frames.
        reader: Reads the ground truth.
        scorer: Computes the metrics.
        references: What else is measured, each on some of the frames.
        before: Scores of the recordings before `start`, which an earlier run made.
        start: Number of the first recording to score now.
        done: Called with each frame in order, in this thread.

    Raises:
        PluginError: A model broke its contract.
    """
    evaluation = Evaluation(Results(scorer.names))
    for name, reason in selection.problems:
        evaluation.skipped.add(name, reason)
    for reference in references:
        evaluation.references[reference.name] = Results(scorer.names), Results(scorer.names)
    pipeline = _Pipeline(source, selection, reader, scorer, references)
    with closing(pipeline.rows(start)) as rows:
        for row in chain(before, rows):
            recording = selection.recordings[row.ref[0]].name
            evaluation.add(row, recording, selection.annotation(row.ref).label)
            done(row)
    return evaluation


@dataclass(frozen=True)
class _Pipeline:
    """Reads frames in this thread, and scores them in others."""

    source: MapSource
    selection: Selection
    reader: GroundTruthReader
    scorer: Scorer
    references: Sequence[Reference]

    def rows(self, start: int) -> Generator[FrameScores, None, None]:
        """The scores of each frame from recording `start` on, in order."""
        threads = metric_threads()
        pending = deque[Future[FrameScores]]()
        # Each thread computes alone: nested thread pools, as BLAS has one, would slow each other
        # down, and sums would depend on the number of cores.
        with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(threads) as pool:
            for task in self._tasks(start):
                pending.append(pool.submit(task.run))
                while len(pending) > AHEAD * threads:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()

    def _tasks(self, start: int) -> Generator[_FrameTask, None, None]:
        selection, scorer = self.selection, self.scorer
        current, shares = -1, dict[str, frozenset[int]]()
        for frame_map in self.source.maps(selection, start):
            number, index = ref = frame_map.ref
            if current != number:
                name = selection.recordings[number].name
                current, shares = number, scorer.shares(name, selection.counts[number])
            left_out = frozenset(name for name, share in shares.items() if index not in share)
            frame_map, truth = self._read(frame_map)
            references = [reference for reference in self.references if ref in reference.refs]
            key = selection.key(ref)
            yield _FrameTask(frame_map, truth, scorer, self.source, references, key, left_out)

    def _read(self, frame_map: FrameMap) -> tuple[FrameMap, FrameTruth | None]:
        """The map with its ground truth; without ground truth, the map becomes the problem."""
        if frame_map.saliency is None:
            return frame_map, None
        try:
            truth = self.reader.read(frame_map.ref)
        except InputError as error:
            return FrameMap(frame_map.ref, None, str(error)), None
        if self.scorer.protocol.preparation.resize == "fit":
            return frame_map, truth
        annotation = self.selection.annotation(frame_map.ref)
        return frame_map, _noted(truth, frame_map.saliency, self.source.label, annotation)


@dataclass(frozen=True)
class _FrameTask:
    """One frame, ready to be scored in any thread."""

    frame_map: FrameMap
    truth: FrameTruth | None
    scorer: Scorer
    source: MapSource
    references: Sequence[Reference]
    key: str
    leave_out: frozenset[str]

    def run(self) -> FrameScores:
        saliency, truth, ref = self.frame_map.saliency, self.truth, self.frame_map.ref
        if saliency is None or truth is None:
            return FrameScores(ref, problem=self.frame_map.problem)
        row = FrameScores(
            ref,
            size=_size_text(saliency, truth),
            density=truth.density,
            outside=truth.outside,
            notes=truth.notes,
        )
        try:
            values = self.scorer.frame(
                saliency,
                truth.arrays,
                key=self.key,
                rounding=self.source.rounding,
                leave_out=self.leave_out,
            )
        except ValueError as error:
            return replace(row, problem=str(error))
        references: dict[str, Values] = {}
        unfit: dict[str, str] = {}
        for each in self.references:
            try:
                references[each.name] = each.values(self.scorer, saliency, truth, key=self.key)
            except ValueError as error:  # its map fits the frame, but not the ground truth
                unfit[each.name] = str(error)
        return replace(row, values=values, references=references, unfit=unfit)


def _noted(truth: FrameTruth, saliency: Map, label: str, annotation: Annotation) -> FrameTruth:
    """The ground truth, with a note if the map's proportions differ from the frame's."""
    height, width = saliency.shape
    if alike((height, width), truth.size):
        return truth
    frame = f"{truth.size[1]}x{truth.size[0]}"
    reason = f"maps of {width}x{height} are stretched to frames of {frame}"
    return replace(truth, notes=[*truth.notes, (label, reason, annotation.label)])


def metric_threads() -> int:
    """One for each core that this process may use."""
    has_affinity = hasattr(os, "sched_getaffinity")
    cores = len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1
    return min(cores, MOST_THREADS)


def _size_text(saliency: Map, truth: FrameTruth) -> str:
    (h, w), (height, width) = saliency.shape, truth.size
    kind = "8-bit" if saliency.dtype == np.uint8 else str(saliency.dtype)
    return f"{kind} {w}x{h} on {width}x{height}"
