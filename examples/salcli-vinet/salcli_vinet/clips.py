"""Which 32 frames predict which frame, and the samples that validate."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby, islice
from typing import Literal, TypeAlias, TypeVar

from salcli.authoring import Sampling

__all__ = ["CLIP", "DHF1K_VALIDATION", "Rule", "windows"]

T = TypeVar("T")
Rule: TypeAlias = Literal["vinet", "paven"]

CLIP = 32
"""Frames from which a map is computed."""

BEGINNING = 2 * CLIP - 1
"""From so many frames on, the length of a clip does not matter."""


def vinet(index: int, count: int) -> Sequence[int]:
    """ViNet's rule, by its script for short clips: backwards where enough frames follow.

    Otherwise the frames that end with this one, the first repeated where there are fewer. `count`
    is the number of frames, at most `BEGINNING`.
    """
    if index < min(CLIP - 1, count - CLIP):
        return range(index + CLIP - 1, index - 1, -1)
    return [max(0, place) for place in range(index - CLIP + 1, index + 1)]


def paven(index: int, count: int) -> Sequence[int]:
    """The rule of PAVEN's tool: never backwards, and the last frame repeated."""
    first = max(0, index - CLIP + 1)
    return [min(place, count - 1) for place in range(first, first + CLIP)]


RULES: dict[Rule, Callable[[int, int], Sequence[int]]] = {"vinet": vinet, "paven": paven}


def windows(frames: Iterable[T], rule: Rule) -> Iterator[tuple[list[T], list[T]]]:
    """All windows of `CLIP` frames in order, each behind the frames whose map is computed from it.

    Every frame is in its place once; several that follow each other may share a window. At most
    `BEGINNING` frames are kept.
    """
    coming = iter(frames)
    kept = list(islice(coming, BEGINNING))
    places = groupby(range(len(kept)), key=lambda index: list(RULES[rule](index, len(kept))))
    for window, indices in places:
        yield [kept[index] for index in indices], [kept[place] for place in window]
    for frame in coming:
        kept = [*kept[-CLIP + 1 :], frame]
        yield [frame], kept


class EveryFew(Sampling):
    """Validates on samples that begin every so many frames."""

    def __init__(self, step: int) -> None:
        self.step = step

    def validation_starts(self, frames: int, span: int) -> Sequence[int]:
        """As published: 0, 128, 256, ... for DHF1K, while more than a sample follows."""
        return range(0, max(frames - span, 1), self.step)


DHF1K_VALIDATION = EveryFew(128)
