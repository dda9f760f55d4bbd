"""MP4 movies of a picture drawn for each frame of a clip, at the frame's own time, with its sound.

The pictures are encoded first. The sound is added at the end, when their length is known; trying
shows whether the container can hold its codec.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from salcli.errors import OutputError
from salcli.files.atomic import reporting_os_errors
from salcli.media.encoder import QUALITY, REPRODUCIBLE, SQUARE, Encoder, exact, failure, ffmpeg
from salcli.media.program import reading
from salcli.output.segments import Kept, Segments

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from salcli.types import Result

__all__ = ["Movie", "add_sound"]


class Movie:
    """Encodes pictures into the MP4 file `path`; error messages name `shown`.

    Args:
        path: Where the file is written.
        shown: Its final name.
        draw: Draws the picture `[H, W, 3]` of a result, or a grey one `[H, W]`; all must have the
            same size, odd or even.
        fps: Average number of pictures per second; results without a time are shown at this rate.
        source: The file that the pictures come from. If it has sound, all tracks are copied, from
            the first picture to the last.
        source_start: Time of the first frame of the source, if the first result may be a later one.
        pixel_aspect: Width of a pixel of the pictures divided by its height.
        quality: x264's constant rate factor; `None` for grey pictures, kept without loss.
        kept: Where to keep pictures in segments, so that an interrupted run can be resumed.
    """

    def __init__(
        self,
        path: Path,
        *,
        shown: Path,
        draw: Callable[[Result], npt.NDArray[np.uint8]],
        fps: float,
        source: Path | None,
        source_start: float | None = None,
        pixel_aspect: Fraction = SQUARE,
        quality: int | None = QUALITY,
        kept: Kept | None = None,
    ) -> None:
        self._path = path
        self._silent = path.with_name(f"{path.stem}.silent{path.suffix}")
        self._shown = shown
        self._draw = draw
        self._rate = exact(fps)
        self._source, self._source_start = source, source_start
        self._pixel_aspect = pixel_aspect
        self._quality = quality
        self._size: tuple[int, int] | None = None
        self._clock = _Clock(1 / float(self._rate))
        self._encoder: Encoder | None = None
        self._kept = kept
        self._segments = (
            Segments(kept.folder, self._silent, shown=shown, done=kept.frames) if kept else None
        )

    def add(self, result: Result) -> None:
        """Append the picture of a result.

        Raises:
            OutputError: The file cannot be written, or the picture differs in size.
        """
        picture = self._draw(result)
        size = (picture.shape[0], picture.shape[1])
        self._size = self._size or size
        if size != self._size:
            raise OutputError(
                f"cannot write '{self._shown}': frame '{result.label}' is {size[1]}x{size[0]}, the "
                f"first one {self._size[1]}x{self._size[0]}; choose stills for pictures "
                "of different sizes"
            )
        self._count_kept()
        time = self._clock.time(result.time)
        if self._segments is not None:
            self._segments.write(picture.data, time, self._opened)
            return
        self._encoder = self._encoder or self._opened(self._silent)
        self._encoder.write(picture.data, time)

    def _opened(self, path: Path) -> Encoder:
        assert self._size is not None
        return Encoder(
            path,
            shown=self._shown,
            size=self._size,
            rate=self._rate,
            pixel_aspect=self._pixel_aspect,
            quality=self._quality,
        )

    def _count_kept(self) -> None:
        """Give the pictures of an earlier run their times."""
        if self._kept is not None and self._segments is not None:
            for index in range(self._kept.frames):
                self._segments.skip(self._clock.time(self._kept.time(index)))
        self._kept = None

    def finish(self) -> None:
        """Complete the file, and add the sound of the source.

        Raises:
            OutputError: The file cannot be written, or the sound cannot be copied or converted.
        """
        self._count_kept()
        if writer := self._segments or self._encoder:
            writer.end()
        add_sound(
            self._silent,
            self._path,
            shown=self._shown,
            source=self._source,
            skipped=self._skipped(),
            end=self._clock.end,
        )

    def discard(self) -> None:
        """Remove the file, whatever state it is in."""
        if writer := self._segments or self._encoder:
            writer.kill()
        with reporting_os_errors(self._shown):
            self._silent.unlink(missing_ok=True)
            self._path.unlink(missing_ok=True)

    def _skipped(self) -> float:
        """Seconds from the first picture of the source to that of the movie."""
        first, start = self._clock.first, self._source_start
        return 0.0 if first is None or start is None else first - start


def add_sound(
    silent: Path, path: Path, *, shown: Path, source: Path | None, skipped: float, end: float
) -> None:
    """Turn the movie `silent` into the movie `path` with all sound of a source.

    Args:
        silent: The movie without sound, which is removed.
        path: Where the movie is written.
        shown: Its final name.
        source: The file with the sound; nothing is added if it has none.
        skipped: Seconds from the first picture of the source to that of the movie.
        end: Length of the movie in seconds.

    Raises:
        OutputError: The sound can be neither copied nor converted.
    """
    lead = _lead(source)
    with reporting_os_errors(shown):
        if source is None or lead is None:
            silent.replace(path)
        else:
            _join(silent, path, shown=shown, source=source, lead=lead + skipped, end=end)
            silent.unlink()


def _join(silent: Path, path: Path, *, shown: Path, source: Path, lead: float, end: float) -> None:
    """Combine pictures and sound; converts the sound only if it cannot be copied."""
    command = [
        *(*ffmpeg(), "-i", f"file:{silent}"),
        *("-itsoffset", f"{-lead:.6f}", "-t", f"{end:.6f}", *reading(source)),
        *("-map", "0:v:0", "-map", "1:a", "-c:v", "copy"),
        *(*REPRODUCIBLE, "-movflags", "+faststart", "-f", "mp4"),
    ]
    for codec in (["-c:a", "copy"], ["-c:a", "aac", "-b:a", "192k", "-flags:a", "+bitexact"]):
        done = subprocess.run(
            [*command, *codec, f"file:{path}"],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            check=False,
            start_new_session=True,
        )
        if done.returncode == 0:
            return
    raise failure(shown, done.returncode, done.stderr)


class _Clock:
    """The time of each picture since the first, in seconds; it never runs backwards.

    Attributes:
        first: What the source says of the first picture.
        end: When the latest picture ends.
    """

    def __init__(self, period: float) -> None:
        self._period = period
        self._zeros: list[float] = []
        self.first: float | None = None
        self._latest = self.end = 0.0

    def time(self, stamp: float | None) -> float:
        """The time of the next picture, whose source says `stamp`.

        A stamp that jumps back, as in damaged files and in recordings that were joined, follows the
        picture before it. So do later ones, unless they fit to the first.
        """
        if not self._zeros:
            self.first = stamp
        if stamp is None:
            stamp = self.end + (self._zeros[-1] if self._zeros else 0)
        fitting = (stamp - zero for zero in self._zeros if stamp - zero >= self._latest)
        time = next(fitting, None)
        if time is None:
            time = self.end
            self._zeros = [*self._zeros[:1], stamp - time]
        self._latest, self.end = time, time + self._period
        return time


def _lead(source: Path | None) -> float | None:
    """Seconds from the start of the file to its first picture; `None` for a source without sound.

    Measured by decoding, since containers start at any time, cut pictures by edit lists, and may
    start the sound first.
    """
    if source is None or not source.is_file():
        return None
    done = subprocess.run(
        [
            *(*ffmpeg(), *reading(source), "-map", "0:V:0", "-map", "0:a:0"),
            *("-frames:v", "1", "-fps_mode", "passthrough"),
            *("-c:v", "rawvideo", "-enc_time_base:v", "1:1000000", "-c:a", "copy"),
            *("-f", "framecrc", "-"),
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # usually: there is no sound to map
        check=False,
        start_new_session=True,
    )
    found = re.search(rb"^0, *-?\d+, *(-?\d+),", done.stdout, re.MULTILINE)
    return int(found[1]) / 1e6 if found else None
