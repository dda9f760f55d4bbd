"""An index of all frames of a video: the time and a checksum of each, from one pass over the file.

With it, decoding can begin anywhere: what a seek gives is believed only if times and checksums are
those of the index, since after a seek ffmpeg's times are off by some frames in AVI, and its first
pictures damaged in other files.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from salcli.errors import InputError
from salcli.files import atomic
from salcli.files.jsonfile import read_json
from salcli.types import Frame

__all__ = ["FrameIndex"]

EQUAL = 1e-6
"""Seconds by which equal times may differ, since they are sums."""


@dataclass(frozen=True)
class FrameIndex:
    """The frames of a video, in order.

    Attributes:
        times: In seconds.
        sums: Checksums (Adler-32) of the pictures as RGB.
        state: What the index depends on besides: the version of the file, and which frames are
            taken.
    """

    times: list[float]
    sums: list[int]
    state: dict[str, Any]

    def __len__(self) -> int:
        return len(self.times)

    def has(self, position: int, frame: Frame, time: float) -> bool:
        """Whether this is the frame at a position."""
        return (
            position < len(self)
            and abs(time - self.times[position]) < EQUAL
            and zlib.adler32(frame.data, 0) == self.sums[position]
        )

    def write(self, path: Path) -> None:
        """Keep it in a file.

        Raises:
            OutputError: The file cannot be written.
        """
        atomic.write(path, json.dumps(asdict(self)).encode())

    @classmethod
    def read(cls, path: Path, state: Mapping[str, Any]) -> FrameIndex | None:
        """What was kept in a file, if it is of this state."""
        try:
            found = read_json(path, cls)
        except InputError:
            return None
        whole = len(found.times) == len(found.sums)
        return found if whole and found.state == state else None
