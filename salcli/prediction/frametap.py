"""Counts the frames that a model takes, and keeps those for which no map has come back yet."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Iterator

from salcli.types import Frame

__all__ = ["FrameTap"]


class FrameTap:
    """Passes frames to a model, and keeps those for which no map has come back yet.

    Memory is bounded by how far the model looks ahead. A model may iterate more than once.

    Attributes:
        taken: How many frames the model has taken.
        pending: Size `(H, W)` of each frame without a map, and with `keep` the frame itself.
            Whoever receives a map pops the first.
    """

    def __init__(self, frames: Iterable[Frame], *, keep: bool) -> None:
        self._frames = frames
        self._keep = keep
        self._latest: Iterator[Frame] = iter(())
        self.taken = 0
        self.pending: deque[tuple[tuple[int, int], Frame | None]] = deque()

    def __iter__(self) -> Iterator[Frame]:
        self._latest = iter(self._frames)
        return _TappedFrames(self, self._latest)

    def remember(self, index: int, frame: Frame) -> None:
        """Note that the frame at `index` is being taken, unless it was taken before."""
        if index == self.taken:
            self.taken += 1
            size = (frame.shape[0], frame.shape[1])
            self.pending.append((size, frame if self._keep else None))

    def has_more(self) -> bool:
        """Whether the model left frames unread; call this once it has ended."""
        if self.taken == 0:
            self._latest = iter(self._frames)
        return next(self._latest, None) is not None

    def close(self) -> None:
        """Stop the decoding."""
        if isinstance(self._latest, Generator):
            self._latest.close()


class _TappedFrames(Iterator["Frame"]):
    """Not a generator: dropping one would close the source before `FrameTap.has_more` reads it."""

    def __init__(self, tap: FrameTap, frames: Iterator[Frame]) -> None:
        self._tap, self._frames, self._index = tap, frames, 0

    def __next__(self) -> Frame:
        frame = next(self._frames)
        self._tap.remember(self._index, frame)
        self._index += 1
        return frame
