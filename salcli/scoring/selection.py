"""Selects the frames that are scored: those of one split of a dataset, or a random part."""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import TypeAlias

import numpy as np

from salcli.errors import InputError, UsageError
from salcli.files.atomic import ESCAPED
from salcli.protocols.scorer import generator
from salcli.types import Annotation, Dataset, Recording

__all__ = ["FrameRef", "Selection", "is_observed", "select_frames"]

FrameRef: TypeAlias = tuple[int, int]
"""Number of a recording and position of a frame in it, both from 0."""


@dataclass(frozen=True)
class Selection:
    """The recordings of a split, and which of their frames are scored.

    Attributes:
        dataset: It has the recordings.
        split: Name of the part of the dataset.
        recordings: In order, without those whose frames could not be counted.
        counts: Number of frames of each recording.
        chosen: For each recording the positions of the frames that are scored, in order.
        problems: Name of each recording that was left out, and the reason.
        missing: What the dataset found missing or wrong in the split.
    """

    dataset: Dataset
    split: str
    recordings: Sequence[Recording]
    counts: Sequence[int]
    chosen: Sequence[Sequence[int]]
    problems: Sequence[tuple[str, str]] = ()
    missing: Sequence[str] = ()

    @property
    def total(self) -> int:
        """Number of frames that are scored."""
        return sum(map(len, self.chosen))

    @property
    def has_clips(self) -> bool:
        """Whether frames are averaged per video as well."""
        return any(recording.is_clip for recording in self.recordings)

    @property
    def has_fixations(self) -> bool:
        """Whether the first or last frame of any recording has fixations."""
        ends = (r.annotations[end] for r in self.recordings for end in (0, -1))
        return any(end.fixations is not None for end in ends)

    @property
    def names_by_frame(self) -> list[str]:
        """For each frame of all recordings, scored or not, the name of its recording."""
        pairs = zip(self.recordings, self.counts, strict=True)
        return [recording.name for recording, count in pairs for _ in range(count)]

    @property
    def refs(self) -> Iterator[FrameRef]:
        """The frames that are scored, in order."""
        return ((n, index) for n, indices in enumerate(self.chosen) for index in indices)

    def annotation(self, ref: FrameRef) -> Annotation:
        """The files with a frame's ground truth."""
        return self.recordings[ref[0]].annotations[ref[1]]

    def key(self, ref: FrameRef) -> str:
        """The frame's name, unique in the dataset."""
        return f"{self.recordings[ref[0]].name}/{self.annotation(ref).label}"

    def place(self, flat: int) -> FrameRef:
        """The frame at a position among all frames of all recordings, scored or not."""
        number = bisect_right(self._ends, flat)
        return number, flat - (self._ends[number] - self.counts[number])

    @cached_property
    def _ends(self) -> Sequence[int]:
        return list(accumulate(self.counts))

    def sample(self, most: int | None, *, seed: int, purpose: str) -> frozenset[FrameRef]:
        """At most `most` of the frames that are scored, drawn at random; all of them for `None`."""
        refs = list(self.refs)
        if most is None or len(refs) <= most:
            return frozenset(refs)
        drawn = generator(seed, purpose).choice(len(refs), most, replace=False)
        return frozenset(refs[int(i)] for i in drawn)

    def digest(self) -> str:
        """SHA-256 of the names of all frames that are scored."""
        hashed = hashlib.sha256()
        for ref in self.refs:
            hashed.update(f"{self.key(ref)}\n".encode(errors=ESCAPED))
        return hashed.hexdigest()


def select_frames(dataset: Dataset, split: str, *, limit: int | None, seed: int) -> Selection:
    """Select all frames of a split, or at random `limit` of them if there are more.

    Raises:
        UnknownName: There is no such split.
        InputError: Nothing of the split is there.
        UsageError: The split has no ground truth.
    """
    recordings, counts, problems = [], [], []
    for recording in dataset.recordings(split):
        try:
            count = len(recording.annotations)
        except InputError as error:
            problems.append((recording.name, str(error)))
            continue
        if count:
            recordings.append(recording)
            counts.append(count)
        else:
            problems.append((recording.name, f"no frames in '{recording.source}'"))
    if recordings and not any(is_observed(recording) for recording in recordings):
        raise UsageError(
            f"split '{split}' of dataset '{dataset.name}' has neither density maps nor fixations, "
            f"so nothing can be scored; {_remedy(dataset, split)}"
        )
    chosen = _chosen(counts, limit, seed)
    return Selection(dataset, split, recordings, counts, chosen, problems, list(dataset.problems))


def _remedy(dataset: Dataset, split: str) -> str:
    if split != dataset.evaluated:
        return (
            f"the split '{dataset.evaluated}' is usually scored, and 'salcli predict' writes "
            "what a benchmark takes"
        )
    return (
        f"'salcli datasets list {dataset.name}' shows where they belong; if the benchmark keeps "
        f"them back, 'salcli predict' writes what it takes"
    )


def is_observed(recording: Recording) -> bool:
    """Whether the first or the last frame has ground truth."""
    ends = (recording.annotations[0], recording.annotations[-1])
    return any(end.density is not None or end.fixations is not None for end in ends)


def _chosen(counts: Sequence[int], limit: int | None, seed: int) -> list[Sequence[int]]:
    total = sum(counts)
    if limit is None or total <= limit:
        return [range(count) for count in counts]
    drawn = np.sort(generator(seed, "limit").choice(total, limit, replace=False))
    starts = np.cumsum([0, *counts[:-1]])
    parts = np.split(drawn, np.searchsorted(drawn, starts[1:]))
    return [(part - start).tolist() for part, start in zip(parts, starts, strict=True)]
