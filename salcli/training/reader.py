"""Reads frames of recordings at any position, with a bounded cache of decoded frames."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from functools import cache
from itertools import islice
from pathlib import Path
from typing import TypeAlias

from salcli.media import images
from salcli.media.video import Video
from salcli.types import Frame, Recording

__all__ = ["Excerpt", "FrameReader"]

FrameKey: TypeAlias = tuple[Path, int]


class FrameReader:
    """Frames of stills, videos and folders of frames.

    Args:
        memory: Bytes of decoded frames that are cached; the least recently used go first.
    """

    def __init__(self, memory: int = 0) -> None:
        self._memory, self._used = memory, 0
        self._frames = OrderedDict[FrameKey, Frame]()

    def read(self, recording: Recording, positions: range) -> list[Frame]:
        """The frames at these positions, counted from 0; a still has one.

        Raises:
            InputError: A file is damaged or has fewer frames.
        """
        keys = [_key(recording, position) for position in positions]
        if not all(key in self._frames for key in keys):
            decoded = _decode(recording, positions)
            for key, frame in zip(keys, decoded, strict=True):
                self._remember(key, frame)
            return decoded
        for key in keys:
            self._frames.move_to_end(key)
        return [self._frames[key] for key in keys]

    @property
    def used(self) -> int:
        """Bytes of the frames in the cache."""
        return self._used

    def _remember(self, key: FrameKey, frame: Frame) -> None:
        forgotten = self._frames.pop(key, None)
        self._used -= forgotten.nbytes if forgotten is not None else 0
        if frame.nbytes > self._memory:
            return
        frame.flags.writeable = False  # everybody who reads it again gets this very array
        self._frames[key] = frame
        self._used += frame.nbytes
        while self._used > self._memory:
            _, oldest = self._frames.popitem(last=False)
            self._used -= oldest.nbytes


class Excerpt:
    """Consecutive frames of a recording, decoded lazily; iterating again starts again."""

    def __init__(self, recording: Recording, positions: range) -> None:
        self._recording, self._positions = recording, positions

    def __iter__(self) -> Iterator[Frame]:
        """RGB uint8 `[H, W, 3]`; fewer where a video ends before."""
        recording, positions = self._recording, self._positions
        if recording.is_clip and recording.frames is None:
            return islice(_video(recording.source), positions.start, positions.stop)
        return (_decode(recording, range(i, i + 1))[0] for i in positions)


def _key(recording: Recording, position: int) -> FrameKey:
    return (recording.frames[position], 0) if recording.frames else (recording.source, position)


def _decode(recording: Recording, positions: range) -> list[Frame]:
    if recording.frames is not None:
        return [images.read(recording.frames[position]) for position in positions]
    if recording.is_clip:
        return _video(recording.source).excerpt(positions)
    return [images.read(recording.source)]


@cache
def _video(path: Path) -> Video:
    return Video(path)
