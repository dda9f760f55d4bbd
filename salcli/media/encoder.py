"""H.264 in MP4 by ffmpeg, fed through a pipe: pictures, each with the time at which it is shown.

The pipe carries IVF, the simplest container with a time stamp per picture. There are no B-frames,
so that pictures are stored in the order of their times, and movies of the same settings can be
joined without encoding again. The output does not depend on the time, the number of cores or
ffmpeg's version text, so equal pictures give equal bytes.
"""

from __future__ import annotations

import errno
import math
import os
import re
import signal
import struct
import subprocess
import tempfile
from contextlib import ExitStack, suppress
from fractions import Fraction
from pathlib import Path

from salcli.errors import OutputError
from salcli.files.atomic import REASONS, reporting_os_errors
from salcli.media import program

__all__ = [
    "IVF_FRAME",
    "IVF_HEADER",
    "REPRODUCIBLE",
    "Encoder",
    "exact",
    "failure",
    "ffmpeg",
    "ticks",
]

QUALITY = 18
"""Hardly distinguishable from the original."""

NEEDED = "reinstall imageio-ffmpeg, or set IMAGEIO_FFMPEG_EXE to an ffmpeg program"

THREADS = "4"
"""Fixed, because the output of x264 depends on it."""

LEAST_TICKS = 90_000
"""Minimum ticks per second of a movie: nobody sees or hears an error of 6 microseconds."""

LARGEST_DENOMINATOR = 100_000
"""For frame rates: finer than NTSC's n * 1000 / 1001, and still allowed in a container."""

SQUARE = Fraction(1)

COLOUR = (
    "scale=out_color_matrix=bt709:out_range=tv:flags=bicubic+accurate_rnd+full_chroma_int,"
    "format={layout},"
    "setparams=colorspace=bt709:color_primaries=bt709:color_trc=bt709:range=tv"
)
"""The filters to BT.709, with tags: players disagree about the colours of untagged files."""

GREY = "scale=in_range=pc:out_range=pc,format={layout},setparams=range=pc"
"""The filters that keep every grey level."""

IVF_HEADER, IVF_FRAME = struct.Struct("<4sHH4sHHIII4x"), struct.Struct("<IQ")

REPRODUCIBLE = ("-map_metadata", "-1", "-map_chapters", "-1", "-fflags", "+bitexact")


class Encoder:
    """One running ffmpeg that writes pictures of one size into an MP4 file.

    Call `end` or `kill` when done.

    Args:
        path: Where the file is written.
        shown: Path named in error messages.
        size: `(H, W)` of every picture; the movie has exactly this size.
        rate: Average number of pictures per second; the last one is shown for `1 / rate`.
        pixel_aspect: Width of a pixel divided by its height.
        quality: x264's constant rate factor for RGB pictures. `None`: pictures are grey, and all
            256 levels are preserved.

    Raises:
        OutputError: ffmpeg was not found.
    """

    def __init__(
        self,
        path: Path,
        *,
        shown: Path,
        size: tuple[int, int],
        rate: Fraction,
        pixel_aspect: Fraction = SQUARE,
        quality: int | None = QUALITY,
    ) -> None:
        self._shown = shown
        self._ticks, self._latest = ticks(rate), -1
        height, width = size
        # 4:2:0, which every player supports, halves both sides
        layout = "yuv444p" if height % 2 or width % 2 else "yuv420p"
        grey = quality is None
        decoder, number, filters = ("pgm", 5, GREY) if grey else ("ppm", 6, COLOUR)
        command = [
            *(*ffmpeg(), "-f", "ivf", "-c:v", decoder, "-i", "pipe:0"),
            *("-fps_mode", "passthrough", "-enc_time_base", "demux"),
            *("-vf", f"{filters.format(layout=layout)},setsar={pixel_aspect}"),
            *("-c:v", "libx264", "-preset", "veryfast", "-bf", "0"),
            *(["-qp", "0"] if grey else ["-crf", str(quality)]),
            *("-threads", THREADS, "-x264-params", f"fps={rate}", "-flags:v", "+bitexact"),
            *("-bsf:v", f"setts=duration={round(self._ticks / rate)}", *REPRODUCIBLE),
            *("-video_track_timescale", str(self._ticks), "-movflags", "+faststart"),
            *("-f", "mp4", f"file:{path}"),
        ]
        # stated by each picture again, as the decoder wants it
        self._header = b"P%d\n%d %d\n255\n" % (number, width, height)
        with reporting_os_errors(shown), ExitStack() as stack:
            # a file, since a pipe that nobody reads would block ffmpeg
            self._messages = stack.enter_context(tempfile.TemporaryFile())
            try:
                self._process = subprocess.Popen(
                    command,
                    stdin=subprocess.PIPE,
                    stderr=self._messages,
                    start_new_session=True,  # salcli handles Ctrl-C
                )
            except OSError as error:
                raise OutputError(
                    f"cannot run '{command[0]}': {error.strerror}; {NEEDED}"
                ) from error
            self._resources = stack.pop_all()
        self._send(
            IVF_HEADER.pack(b"DKIF", 0, IVF_HEADER.size, b"", *size[::-1], self._ticks, 1, 0)
        )

    def write(self, picture: memoryview, time: float) -> None:
        """Append a picture, `H * W * 3` bytes or `H * W` of grey, shown from `time` on, in seconds.

        A picture that is not later than the one before it is shown right after that.

        Raises:
            OutputError: ffmpeg has ended, for example because the disk is full.
        """
        self._latest = max(round(time * self._ticks), self._latest + 1)
        length = len(self._header) + picture.nbytes
        self._send(IVF_FRAME.pack(length, self._latest) + self._header)
        self._send(picture)

    def _send(self, content: bytes | memoryview) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(content)
        except BrokenPipeError:
            self.end()
            raise OutputError(f"cannot write '{self._shown}': the encoder ended early") from None

    def end(self) -> None:
        """Complete the file.

        Raises:
            OutputError: It could not be completed.
        """
        with self._resources:
            code = self._wait()
            self._messages.seek(0)
            messages = self._messages.read()
        if code:
            raise failure(self._shown, code, messages)

    def kill(self) -> None:
        """Stop at once and leave the file as it is; harmless after `end`."""
        with self._resources:
            self._process.kill()
            self._wait()

    def _wait(self) -> int:
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # the exit code then says why
            self._process.stdin.close()
        return self._process.wait()


def exact(fps: float) -> Fraction:
    """A frame rate as a ratio that a container can hold."""
    return Fraction(fps).limit_denominator(LARGEST_DENOMINATOR)


def ticks(rate: Fraction) -> int:
    """Ticks per second of a movie, a whole number of which fit into `1 / rate`."""
    return rate.numerator * math.ceil(LEAST_TICKS / rate.numerator)


def ffmpeg() -> list[str]:
    """The start of a command line that never prompts and logs only errors.

    Raises:
        SalcliError: ffmpeg was not found.
    """
    return [program.ffmpeg(), "-v", "error", "-nostdin", "-y"]


def failure(shown: Path, code: int, messages: bytes) -> OutputError:
    """The error for the file `shown`, from ffmpeg's exit code and messages."""
    text = messages.decode(errors="replace")
    for number, remedy in REASONS.items():
        too_large = number == errno.EFBIG and code == -getattr(signal, "SIGXFSZ", 0)
        if os.strerror(number) in text or too_large:
            return OutputError(f"cannot write '{shown}': {os.strerror(number)}; {remedy}")
    lines = [re.sub(r"^\[[^\]]*\] *", "", line) for line in text.splitlines() if line.strip()]
    reason = lines[0] if lines else f"it ended with code {code}"
    return OutputError(
        f"cannot write '{shown}': ffmpeg failed: {reason}; omit this format, or check "
        "`salcli doctor`"
    )
