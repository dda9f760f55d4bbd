"""Which frames of a clip are taken: from a second on, for some seconds, each so-manieth."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from salcli.errors import UsageError

__all__ = ["WHOLE", "Portion"]

T = TypeVar("T")

ROUNDING = 0.0005
"""Seconds by which a time stamp may be rounded; containers count milliseconds or less."""


@dataclass(frozen=True)
class Portion:
    """Which frames of a clip are taken.

    Attributes:
        every: Only one of so many frames, beginning with the first in the span.
        start: Where the span begins, in seconds after the first frame.
        duration: Its length in seconds; `None` to the end.

    Raises:
        UsageError: A number is not in its range.
    """

    every: int = 1
    start: float = 0.0
    duration: float | None = None

    def __post_init__(self) -> None:
        ends = self.duration is None or self.duration > 0
        if not (self.every >= 1 and self.start >= 0 and ends):
            raise UsageError(
                "of a clip, every Nth frame can be taken (N at least 1), from a second on (at "
                "least 0), for some seconds (above 0)"
            )

    def of(self, timed: Iterable[tuple[T, float]]) -> Iterator[tuple[T, float]]:
        """What is taken of items in order, each with its seconds after the first."""
        count = 0
        for item, seconds in timed:
            if self.duration is not None and seconds >= self.start + self.duration - ROUNDING:
                return
            if seconds >= self.start - ROUNDING:
                if count % self.every == 0:
                    yield item, seconds
                count += 1

    def filters(self, first: float) -> list[str]:
        """The same as filters of ffmpeg, for a clip whose first frame is at the second `first`."""
        found = []
        if self.start:
            found.append(f"trim=start={first + self.start - ROUNDING:.6f}")
        if self.duration is not None:
            found.append(f"trim=end={first + self.start + self.duration - ROUNDING:.6f}")
        if self.every > 1:
            found.append(f"select=not(mod(n\\,{self.every}))")
        return found

    def length(self, frames: int, fps: float) -> int:
        """About how many of this many frames are taken."""
        seconds = max(0.0, frames / fps - self.start)
        span = seconds if self.duration is None else min(seconds, self.duration)
        return round(span * fps / self.every)


WHOLE = Portion()
