"""Decodes any video that ffmpeg reads: every frame once, with its presentation time.

Edit lists and rotation are honoured by ffmpeg. Pixels keep their stored grid (a sample aspect ratio
other than 1 is stated, not resampled) and their stored colours, as the published models saw them;
HDR (PQ, HLG) is tone-mapped to the range that they were made for. Interlaced video is deinterlaced,
a picture for each frame. Among several video streams, ffmpeg's choice is used: the largest that is
not a cover picture.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

from salcli.errors import InputError
from salcli.media import decoder
from salcli.media.frameindex import FrameIndex
from salcli.media.images import MOST_PIXELS, ahead
from salcli.media.portion import ROUNDING, WHOLE, Portion
from salcli.media.program import reading
from salcli.stream import prefetch
from salcli.types import Frame

__all__ = ["Video", "frame_rate", "is_video"]

logger = logging.getLogger(__name__)

EARLIER = (0.0, 10.0)
"""So many seconds before a frame ffmpeg seeks; in MPEG-TS it may land behind the last key frame."""

MOST_FRAMES = 10_000_000
"""Cap on estimated lengths (four days at 30 frames/s), since headers can say anything."""

REFUSED_DEMUXERS = {
    **dict.fromkeys(("tty", "bin", "xbin", "idf", "adf"), "it is text"),
    "svg_pipe": "it is a drawing in SVG; draw it as a PNG first",
    "concat": "it is a list of other files; name these instead",
}
"""Formats that ffmpeg reads, but that hold no pictures, with what is said of such a file."""

TONE_MAP = (
    "zscale=tin={transfer}:pin=bt2020:min={matrix}:t=linear:npl=100,format=gbrpf32le,"
    "zscale=p=bt709,tonemap=hable:desat=0,zscale=t=bt709:r=full,format=gbrp"
)
INTERLACED = re.compile(r"Video: .*(?:top|bottom) (?:coded )?first")
DEINTERLACE = "bwdif=mode=send_frame:deint=interlaced"

HDR = re.compile(r"(?P<matrix>[\w-]+)/[\w-]+/(?P<transfer>smpte2084|arib-std-b67)")


@dataclass(frozen=True)
class _Header:
    """What one decoded frame and ffmpeg's log say about a video.

    Attributes:
        size, pixel_aspect, first: See `Video`.
        fps, frames: Average frame rate, and number of frames, of the whole.
        before, after: Filters for all frames, and for those that are taken.
    """

    size: tuple[int, int]
    pixel_aspect: Fraction
    first: float
    fps: float
    before: list[str]
    after: list[str]
    frames: int


class Video:
    """The frames of a video file; each iteration decodes from the first frame.

    Attributes:
        path: The file.
        size: `(H, W)` as stored, after rotation.
        pixel_aspect: Width of a pixel divided by its height.
        fps: Average frame rate.
        first: Time stamp of the file's first frame in seconds.
        times: Presentation times in seconds as stored in the file, one for each frame decoded so
            far, or indexed.
        index: All frames, if they were indexed; see `use`.
    """

    def __init__(self, path: Path, portion: Portion = WHOLE) -> None:
        """Decode the first frame.

        Args:
            path: The file.
            portion: Which frames are yielded.

        Raises:
            InputError: The file is not a video, has no picture, or cannot be read.
        """
        self.path = path
        self.times: list[float] = []
        header = _probe(path)
        self.size, self.fps = header.size, header.fps / portion.every
        self.pixel_aspect, self.first = header.pixel_aspect, header.first
        self._header, self._portion = header, portion
        self.index: FrameIndex | None = None

    def __iter__(self) -> Iterator[Frame]:
        """RGB uint8 `[H, W, 3]`, decoded in the background.

        Raises:
            InputError: The stream is damaged or cut short; raised after the frames that decode.
        """
        return prefetch(self._decode(), ahead(self.size))

    def indexed(self, state: Mapping[str, Any]) -> FrameIndex | None:
        """Decode everything once, for an index of this state; `None` if something is damaged.

        Raises:
            SalcliError: ffmpeg cannot be run.
        """
        found = FrameIndex([], [], dict(state))
        source, options = reading(self.path), _through(*self.filters)
        with decoder.decoding(source, options, output=decoder.SUMS) as run:
            for checksum, time in run.sums():
                found.times.append(time)
                found.sums.append(checksum)
            damage = run.failure() or _missing_bytes(self.path)
        return None if damage else found

    def use(self, index: FrameIndex) -> None:
        """Know all frames from an index of this video and portion, so that `after` can seek."""
        self.index, self.times[:] = index, index.times

    def after(self, count: int) -> Iterator[Frame]:
        """The frames behind the first `count`; those are not decoded if the index tells all.

        Raises:
            InputError: As in iterating.
        """
        return prefetch(self._after(count), ahead(self.size))

    def excerpt(self, positions: range) -> list[Frame]:
        """Only the frames at these positions; the others are decoded, but not returned.

        Raises:
            InputError: The video is damaged, or has fewer frames.
        """
        first, last, step = positions[0], positions[-1], positions.step
        chosen = f"select=between(n\\,{first}\\,{last})*not(mod(n-{first}\\,{step}))"
        filters = _through(*self._header.before, chosen, *self._header.after)
        options = [*filters, "-frames:v", str(len(positions))]
        with decoder.decoding(reading(self.path), options) as run:
            frames = [frame for frame, _, _ in run]
            reason = run.failure()
        if len(frames) == len(positions):
            return frames
        raise InputError(
            f"'{self.path}' has no frames {first + 1} to {last + 1}: "
            f"{reason or 'it is shorter'}; get a complete copy"
        )

    @property
    def filters(self) -> list[str]:
        """Ffmpeg's filters through which the frames go."""
        header = self._header
        return [*header.before, *self._portion.filters(header.first), *header.after]

    def __length_hint__(self) -> int:
        """Number of frames according to the file's header, 0 if unknown; for progress only."""
        return self._portion.length(self._header.frames, self._header.fps)

    def _after(self, count: int) -> Iterator[Frame]:
        done = count
        for frame in self._sought(count):
            yield frame
            done += 1
        if self.index is None or done < len(self.index):
            logger.info("%s: no seek to frame %d; decoded from the start", self.path, done + 1)
            self.times.clear()  # of an index that may be anyone's
            yield from islice(self._decode(), done, None)

    def _sought(self, count: int) -> Iterator[Frame]:
        """Frames behind the first `count`, up to the first that is not that of the index."""
        index = self.index
        if index is None or count >= len(index) or self._portion.every > 1:
            return
        wanted, position = index.times[count], count
        filters = _through(*self.filters, f"trim=start={wanted - ROUNDING:.6f}")
        for earlier in EARLIER:
            seek = ["-seek_timestamp", "1", "-noaccurate_seek", "-ss", f"{wanted - earlier:.6f}"]
            with decoder.decoding([*seek, *reading(self.path)], filters) as run:
                for frame, time, _ in run:
                    if not index.has(position, frame, time):
                        break
                    yield frame
                    position += 1
            if position > count:
                return

    def _decode(self) -> Iterator[Frame]:
        index = -1
        with decoder.decoding(reading(self.path), _through(*self.filters)) as run:
            for index, (frame, time, _) in enumerate(run):
                if index == len(self.times):
                    self.times.append(time)
                yield frame
            reason = run.failure() or _missing_bytes(self.path)
        if reason:
            raise InputError(
                f"'{self.path}' is damaged or cut short: after {index + 1} frames: {reason}; "
                "get a complete copy, or repair it (ffmpeg -i IN -c:v libx264 OUT)"
            )
        if index < 0:
            raise InputError(f"'{self.path}' has no frames in this span; it is shorter")


def is_video(path: Path) -> bool:
    """Whether ffmpeg finds a picture in the file."""
    try:
        _probe(path)
    except InputError:
        return False
    return True


def _probe(path: Path) -> _Header:
    with decoder.decoding(reading(path), ["-frames:v", "1"]) as run:
        first = next(iter(run), None)
        reason = run.failure()
        log, rate = run.text(), run.rate
    found, _, made = log.partition("\nOutput #0")
    demuxer = re.search(r"^Input #0, (\w+)", found, re.MULTILINE)
    if demuxer and demuxer[1] in REFUSED_DEMUXERS:
        first, reason = None, REFUSED_DEMUXERS[demuxer[1]]
    elif "(attached pic)" in made:
        first, reason = None, "its only picture is a cover"
    if first is None:
        _check_pixels(path, log)
        reason = reason or "none of its frames can be decoded"
        raise InputError(
            f"'{path}' is neither an image nor a video that can be read: {reason}; "
            "check that it is complete and really a media file"
        )
    frame, time, timed = first
    fps = frame_rate(log, rate, timed=timed)
    hdr = HDR.search(found)
    aspect = re.search(r"SAR (\d+):(\d+)", made)
    return _Header(
        size=(frame.shape[0], frame.shape[1]),
        pixel_aspect=Fraction(int(aspect[1]), int(aspect[2])) if aspect else Fraction(1),
        first=time,
        fps=fps,
        before=[DEINTERLACE] if INTERLACED.search(found) else [],
        after=[_tone_map(hdr["transfer"], hdr["matrix"])] if hdr else [],
        frames=_promised(log, fps),
    )


def _through(*filters: str) -> list[str]:
    """Options that send the frames through filters, in order."""
    return ["-vf", ",".join(filters)] if filters else []


def _check_pixels(path: Path, log: str) -> None:
    """Raise if a video was refused because its pictures are too large."""
    if found := re.search(r"Picture size (\d+x\d+) exceeds specified max pixel count", log):
        raise InputError(
            f"'{path}' has pictures of {found[1]}, more than {MOST_PIXELS:,} pixels; "
            "shrink it first"
        )


def frame_rate(log: str, rate: float, *, timed: bool) -> float:
    """The average rate, exact if the two decimals of ffmpeg's log agree with its own ratio.

    It times frames without timestamps at `rate`, so they have that rate.
    """
    stated = re.search(r"Video: .*?, ([\d.]+)(k?) fps", log)
    if not timed or not stated:
        return rate
    average = float(stated[1]) * (1000 if stated[2] else 1)
    candidates = (rate, round(average) * 1000 / 1001)  # 29.97 means 30000/1001
    return next((exact for exact in candidates if abs(exact - average) < 0.006), average)


def _tone_map(transfer: str, matrix: str) -> str:
    return TONE_MAP.format(
        transfer=transfer, matrix="bt2020nc" if matrix in ("unknown", "reserved") else matrix
    )


def _promised(log: str, fps: float) -> int:
    duration = re.search(r"Duration: (\d+):(\d+):([\d.]+)", log)
    if duration is None:
        return 0
    hours, minutes, seconds = map(float, duration.groups())
    return min(round((hours * 3600 + minutes * 60 + seconds) * fps), MOST_FRAMES)


def _missing_bytes(path: Path) -> str | None:
    """Say how many bytes an AVI file lacks; ffmpeg plays the rest without a warning."""
    with path.open("rb") as file:
        start = file.read(12)
    if start[:4] != b"RIFF" or start[8:] != b"AVI ":
        return None
    missing = int.from_bytes(start[4:8], "little") + 8 - path.stat().st_size
    return f"{missing} bytes are missing at the end" if missing > 0 else None
