"""Which frames are scored: those of one split of a dataset, or a random part of them."""

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
from salcli.protocols.scorer import generator
from salcli.types import Annotation, Dataset, Recording

__all__ = ["Selection", "FrameRef", "draw_up", "is_observed"]

FrameRef: TypeAlias = tuple[int, int]
"""Number of a recording, and position of a frame in it, both from 0."""


@dataclass(frozen=True)
class Selection:
    """The recordings of a split, and which of their frames are scored.

    Attributes:
        dataset: Whose they are.
        split: Which part of it.
        recordings: In order; those whose frames cannot even be counted are left out.
        counts: Frames of each recording.
        chosen: Positions of those that are scored, in order.
        problems: Why recordings were left out: name and reason.
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
    def spots(self) -> Iterator[FrameRef]:
        """The frames that are scored, in order."""
        return ((n, index) for n, indices in enumerate(self.chosen) for index in indices)

    def annotation(self, spot: FrameRef) -> Annotation:
        """What is known of a frame."""
        return self.recordings[spot[0]].annotations[spot[1]]

    def key(self, spot: FrameRef) -> str:
        """A name that no other frame of the dataset has."""
        return f"{self.recordings[spot[0]].name}/{self.annotation(spot).label}"

    def place(self, flat: int) -> FrameRef:
        """The frame at a position among all frames of all recordings, scored or not."""
        number = bisect_right(self._ends, flat)
        return number, flat - (self._ends[number] - self.counts[number])

    @cached_property
    def _ends(self) -> Sequence[int]:
        return list(accumulate(self.counts))

    def sample(self, most: int | None, *, seed: int, purpose: str) -> frozenset[FrameRef]:
        """So many of the frames that are scored, drawn at random; all of them for `None`."""
        spots = list(self.spots)
        if most is None or len(spots) <= most:
            return frozenset(spots)
        drawn = generator(seed, purpose).choice(len(spots), most, replace=False)
        return frozenset(spots[int(i)] for i in drawn)

    def digest(self) -> str:
        """SHA-256 of the names of all frames that are scored."""
        hashed = hashlib.sha256()
        for spot in self.spots:
            hashed.update(f"{self.key(spot)}\n".encode())
        return hashed.hexdigest()


def draw_up(dataset: Dataset, split: str, *, limit: int | None, seed: int) -> Selection:
    """All frames of a split, or `limit` of them drawn at random where there are more.

    Raises:
        UnknownName: There is no such split.
        InputError: Nothing of it is there.
        UsageError: Nobody published what observers did on it.
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
            f"so nothing can be scored; {_cure(dataset, split)}"
        )
    chosen = _chosen(counts, limit, seed)
    return Selection(dataset, split, recordings, counts, chosen, problems, list(dataset.problems))


def _cure(dataset: Dataset, split: str) -> str:
    if split != dataset.evaluated:
        return (
            f"'{dataset.evaluated}' is usually scored (--split), and 'salcli predict --data' "
            "writes what a benchmark takes"
        )
    return (
        f"'salcli datasets list {dataset.name}' shows where they belong; if the benchmark keeps "
        f"them back, 'salcli predict --data {dataset.name}' writes what it takes"
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
