"""Encodes a clip in segments, each with its own regions of interest, and joins them.

`addroi` states the same regions for a whole run of ffmpeg. So a clip is cut where it cuts, and
where a shot is long; each segment is a file that outlives the process.
"""

from __future__ import annotations

import math
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from salcli.encoding import codecs
from salcli.encoding.codecs import Codec
from salcli.encoding.offsets import Grid, offsets, rectangles
from salcli.files.atomic import replacing
from salcli.media.encoder import IVF_FRAME, IVF_HEADER, failure, ffmpeg, ticks

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["Encoding", "Segment", "segments", "write_kvazaar"]

LONGEST = 4.0
"""Seconds of a segment; a key frame begins each, as players that seek want them anyway."""

SHORTEST = 12
"""Frames of a segment, unless a shot is shorter."""


UNIT = 64
"""Side of the blocks of kvazaar's offsets, its largest coding units: smaller ones cost more bits
than they save."""

RESUMED = 250
"""Frames of a segment of an encoder that needs none."""


@dataclass(frozen=True)
class Segment:
    """Frames that are encoded together: the first, and the one behind the last."""

    first: int
    end: int


def segments(
    ranges: Sequence[range], times: npt.NDArray[np.float64], *, per_frame: bool
) -> list[Segment]:
    """The segments of shots, of about equal length within a shot.

    An encoder whose regions may differ from frame to frame needs no segments but for resuming.
    """
    if per_frame:
        ends = [*range(0, len(times), RESUMED), len(times)]
        return [Segment(a, b) for a, b in pairwise(ends)]
    found = []
    for shot in ranges:
        seconds = float(times[shot.stop - 1] - times[shot.start])
        parts = max(1, min(round(seconds / LONGEST), len(shot) // SHORTEST))
        bounds = np.linspace(shot.start, shot.stop, parts + 1).round().astype(int)
        found += [Segment(int(a), int(b)) for a, b in pairwise(bounds)]
    return found


@dataclass(frozen=True)
class Encoding:
    """How a clip is encoded.

    Attributes:
        codec: The encoder.
        quality: Its quality.
        strength: Of the regions of interest, see `offsets`; 0 for none.
        size: `(H, W)` of the frames, even.
        rate: Average frames per second.
        pixel_aspect: Width of a pixel divided by its height.
        tags: See `salcli.media.planar.colour_tags`.
        grid: Cells of the attention.
    """

    codec: Codec
    quality: float
    strength: float
    size: tuple[int, int]
    rate: Fraction
    pixel_aspect: Fraction
    tags: Sequence[str]
    grid: Grid

    def encode(
        self, path: Path, frames: Iterator[tuple[float, bytes]], attention: npt.NDArray[Any]
    ) -> None:
        """Write a file of frames, with their seconds from 0 on; `attention` is that of each.

        Raises:
            OutputError: It cannot be written.
        """
        with replacing(path) as part, ExitStack() as stack:
            log = stack.enter_context(tempfile.TemporaryFile())
            roi = stack.enter_context(tempfile.NamedTemporaryFile("w", suffix=".roi"))
            chain, file = self._regions(attention, roi)
            roi.flush()
            command = [
                *(*ffmpeg(), "-f", "ivf", "-c:v", "rawvideo", "-i", "pipe:0"),
                *("-fps_mode", "passthrough", "-enc_time_base", "demux"),
                *("-vf", ",".join([*chain, f"setsar={self.pixel_aspect}"]), *self.tags),
                *codecs.arguments(self.codec, self.quality, file),
                *("-video_track_timescale", str(ticks(self.rate))),
                *("-f", "mp4", f"file:{part}"),
            ]
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stderr=log, start_new_session=True
            )
            stack.callback(process.kill)
            with suppress(BrokenPipeError):
                self._feed(process, frames)
            code = process.wait()
            if code:
                log.seek(0)
                raise failure(path, code, log.read())

    def _regions(self, attention: npt.NDArray[Any], roi: Any) -> tuple[list[str], Path | None]:
        """Filters of ffmpeg, or a file, that state the regions of interest."""
        if not self.strength:
            return [], None
        if self.codec.means == "addroi":
            cells = self.offsets(attention)
            return codecs.roi_filters(rectangles(cells, self.grid), self.codec.scale), None
        for one in attention:
            write_kvazaar(roi, self.offsets(one[None]))
        return [], Path(roi.name)

    @property
    def side(self) -> int:
        """Pixels of the side of a block that has its own offset."""
        return self.grid.cell if self.codec.means == "addroi" else UNIT

    def offsets(self, attention: npt.NDArray[Any]) -> npt.NDArray[np.int8]:
        """The offsets of blocks, of the attention of frames that have them in common."""
        more = self.quality % 1 if self.codec.whole else 0.0
        step = math.ceil(1.5 * self.strength / (self.codec.levels - 1))
        mean: npt.NDArray[np.float32] = attention.mean(axis=0, dtype=np.float32)
        cells = offsets(mean, self.strength, more=more, step=step)
        return cells if self.side == self.grid.cell else self.grid.blocks(cells, self.side)

    def _feed(
        self, process: subprocess.Popen[bytes], frames: Iterator[tuple[float, bytes]]
    ) -> None:
        pipe, latest, unit = process.stdin, -1, ticks(self.rate)
        assert pipe is not None
        with pipe:
            width, height = self.size[::-1]
            head = IVF_HEADER.pack(b"DKIF", 0, IVF_HEADER.size, b"I420", width, height, unit, 1, 0)
            pipe.write(head)
            for time, planes in frames:
                latest = max(round(time * unit), latest + 1)
                pipe.write(IVF_FRAME.pack(len(planes), latest))
                pipe.write(planes)


def write_kvazaar(file: Any, cells: npt.NDArray[np.int8]) -> None:
    """Write the offsets of a frame as kvazaar reads them: `W H`, then the values row by row."""
    rows = "\n".join(" ".join(map(str, row)) for row in cells.tolist())
    file.write(f"{cells.shape[1]} {cells.shape[0]}\n{rows}\n")
