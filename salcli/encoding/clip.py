"""Encodes a clip plainly and with regions of interest, and measures both."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from salcli.encoding import quality
from salcli.encoding.document import BitMap, Measured
from salcli.encoding.quality import psnr
from salcli.encoding.segments import Encoding, Segment
from salcli.errors import InputError
from salcli.files.atomic import reporting_os_errors
from salcli.media import planar
from salcli.media.video import Video
from salcli.output.segments import join
from salcli.prediction.claims import Claim
from salcli.terminal.progress import Watcher

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["ClipEncoding", "Match"]

Match = Literal["quality", "size", "none"]

TRIALS = 6
"""How often a quality is tried."""

TRIED = 1500
"""Frames up to which all segments are tried; of longer clips, segments of about so many."""

SLOPE = 0.6
"""Usual loss of PSNR in dB, and a logarithm of bytes by `PER_BYTE`, per step of quality."""

PER_BYTE = 0.08

MANY = 16
"""Levels of offsets of which rounding makes fractions of a quality."""

MOST_MAPS = 12
"""Moments of which the offsets are kept."""

CLOSE = 0.03
"""Difference in dB, or part of the bytes, that counts as equal."""


@dataclass(frozen=True)
class ClipEncoding:
    """A clip, the attention of its frames, and how it is encoded.

    Attributes:
        video: The clip.
        records: Time and attention of each frame, see `salcli.cropping.measured.FrameRecords`.
        pieces: Its segments.
        encoding: With regions of interest.
        parts: Folder for files that outlive the process.
        claim: This process's claim on the input.
        watcher: Shows the progress.
    """

    video: Video
    records: Any
    pieces: Sequence[Segment]
    encoding: Encoding
    parts: Path
    claim: Claim
    watcher: Watcher

    @property
    def whole(self) -> Segment:
        """All frames as one segment."""
        return Segment(0, len(self.records))

    def plain(self) -> tuple[Path, npt.NDArray[np.float64]]:
        """The clip without regions of interest: the file, and the errors of each frame."""
        one = replace(self.encoding, strength=0.0)
        (path,) = self._encoded(one, [self.whole])
        return path, self._errors([path], [self.whole])

    def matched(self, plain: Path, errors: npt.NDArray[np.float64], match: Match) -> float:
        """The quality at which regions of interest give the plain encode's bytes, or its quality.

        Quality is PSNR, weighted by attention. It is searched by encoding some segments, or all
        of a short clip.
        """
        if match == "none":
            return self.encoding.quality
        chosen = self._sample()
        frames = np.concatenate([np.arange(each.first, each.end) for each in chosen])
        if match == "quality":
            target = psnr(float(errors[frames, 1].mean()))
        else:
            share = len(frames) / len(self.records)
            target = _grade(plain.stat().st_size * share)
        tried: dict[float, float] = {}
        codec = self.encoding.codec
        now = self.encoding.quality
        digits = 0 if codec.whole and codec.levels < MANY else 2
        for _ in range(TRIALS):
            now = min(max(round(now, digits), codec.best), codec.worst)
            if now in tried:
                break
            tried[now] = self._trial(now, chosen, match) - target
            if abs(tried[now]) <= CLOSE:
                break
            now = _next(tried)
        good = [one for one, excess in tried.items() if excess >= -CLOSE]
        if match == "quality" and good:
            return max(good)
        return min(tried, key=lambda one: abs(tried[one]))

    def _sample(self) -> list[Segment]:
        """Segments that quality is tried on, spread over the clip."""
        count = max(1, round(len(self.pieces) * min(1, TRIED / len(self.records))))
        at = np.unique(np.linspace(0, len(self.pieces) - 1, count).round().astype(int))
        return [self.pieces[index] for index in at]

    def _trial(self, value: float, chosen: Sequence[Segment], match: Match) -> float:
        """How good segments are at a quality; or how large, on the same scale."""
        files = self._encoded(replace(self.encoding, quality=value), chosen)
        if match == "size":
            return _grade(sum(file.stat().st_size for file in files))
        return psnr(float(self._errors(files, chosen)[:, 1].mean()))

    def regions(self, value: float, path: Path) -> npt.NDArray[np.float64]:
        """Write the clip with regions of interest, without sound; the errors of each frame."""
        files = self._encoded(replace(self.encoding, quality=value), self.pieces)
        times = self._times()
        starts = [float(times[piece.first]) for piece in self.pieces]
        join(files, starts, path, shown=path)
        return self._errors(files, self.pieces)

    def measured(
        self, value: float, path: Path, errors: npt.NDArray[np.float64], *, vmaf: bool
    ) -> Measured:
        """What is known of an encoded file, whose frames have these errors."""
        found = None
        if vmaf:
            found = quality.vmaf(self.video, path, self._attention(), self.encoding.grid)
        plain, weighted, attended, rest = map(psnr, errors.mean(axis=0).tolist())
        return Measured(
            value,
            path.stat().st_size,
            plain,
            weighted,
            attended,
            rest,
            found.plain if found else None,
            found.weighted if found else None,
        )

    def bit_maps(self, value: float, moments: Sequence[Segment]) -> tuple[BitMap, ...]:
        """The QP offsets in the middle of some of these segments, spread over the clip."""
        encoding, attention, found = replace(self.encoding, quality=value), self._attention(), []
        count = min(len(moments), MOST_MAPS)
        for number in range(count):
            each = moments[(2 * number + 1) * len(moments) // (2 * count)]
            middle = (each.first + each.end - 1) // 2
            together = encoding.codec.means == "addroi"
            part = slice(each.first, each.end) if together else slice(middle, middle + 1)
            rows = encoding.offsets(attention[part]).tolist()
            lines = tuple(" ".join(map(str, row)) for row in rows)
            found.append(BitMap(middle, encoding.side, lines))
        return tuple(found)

    def _times(self) -> npt.NDArray[np.float64]:
        times = np.maximum.accumulate(np.array(self.records["time"]))
        found: npt.NDArray[np.float64] = times - times[0]
        return found

    def _attention(self) -> npt.NDArray[Any]:
        shape = self.encoding.grid.shape
        found: npt.NDArray[Any] = self.records["attention"].reshape(-1, *shape)
        return found

    def _encoded(self, encoding: Encoding, chosen: Sequence[Segment]) -> list[Path]:
        """The files of segments, those that are not there yet encoded now, in one pass."""
        kind = f"{encoding.quality:.2f}-{encoding.strength:g}"
        files = [self.parts / f"{kind}-{each.first:09d}-{each.end:09d}.mp4" for each in chosen]
        todo = [(f, each) for f, each in zip(files, chosen, strict=True) if not f.is_file()]
        if not todo:
            return files
        times, attention = self._times(), self._attention()
        label = "plain" if not encoding.strength else f"quality {encoding.quality:g}"
        self.watcher.start(f"{self.video.path.name}: {label}", todo[-1][1].end)
        frames = self._frames()
        for file, each in todo:
            taken = (
                (float(times[index] - times[each.first]), planes)
                for index, planes in islice(frames, each.end - each.first)
            )
            self._skip_to(frames, each.first)
            encoding.encode(file, taken, attention[each.first : each.end])
        frames.close()
        return files

    def _frames(self) -> Any:
        return _PlanarFrames(planar.decode(self.video), self.claim, self.watcher)

    def _skip_to(self, frames: Any, index: int) -> None:
        while frames.index < index:
            next(frames)

    def _errors(self, files: Sequence[Path], chosen: Sequence[Segment]) -> npt.NDArray[np.float64]:
        """The errors of each frame of these segments."""
        frames, grid = self._frames(), self.encoding.grid
        attention, found = self._attention(), []
        self.watcher.start(f"{self.video.path.name}: measuring", chosen[-1].end)
        for file, each in zip(files, chosen, strict=True):
            self._skip_to(frames, each.first)
            source = (planes for _, planes in islice(frames, each.end - each.first))
            pairs = zip(planar.decode_file(file, grid.frame), source, strict=False)
            found.append(quality.errors(pairs, attention[each.first : each.end], grid))
        frames.close()
        return np.concatenate(found)


def _grade(size: float) -> float:
    """The logarithm of a size in bytes, on the scale of PSNR."""
    return float(np.log(size)) / PER_BYTE * SLOPE


class _PlanarFrames(Iterator[tuple[int, bytes]]):
    """Frames with their index; `index` is that of the next one."""

    def __init__(
        self, frames: Generator[bytes, None, None], claim: Claim, watcher: Watcher
    ) -> None:
        self._frames, self._claim, self._watcher = frames, claim, watcher
        self.index = 0

    def __next__(self) -> tuple[int, bytes]:
        planes = next(self._frames, None)
        if planes is None:
            raise InputError(f"the clip ended after {self.index} frames, earlier than before")
        self._claim.touch()
        self._watcher.step()
        self.index += 1
        return self.index - 1, planes

    def close(self) -> None:
        """End the decoder."""
        self._frames.close()


def _next(tried: dict[float, float]) -> float:
    """The quality to try next, of those tried with how much better than wanted each was."""
    good = max((one for one, excess in tried.items() if excess >= 0), default=None)
    bad = min((one for one, excess in tried.items() if excess < 0), default=None)
    if good is None or bad is None:
        latest = list(tried)[-1]
        return latest + tried[latest] / SLOPE
    part = tried[good] / (tried[good] - tried[bad])
    return good + (bad - good) * min(max(part, 0.1), 0.9)


def remove_trials(parts: Path) -> None:
    """Delete encoded segments.

    Raises:
        OutputError: The folder cannot be written.
    """
    with reporting_os_errors(parts):
        for file in parts.glob("*.mp4"):
            file.unlink()
