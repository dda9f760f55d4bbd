"""H.264 in MP4 by ffmpeg, fed through a pipe.

The output does not depend on the time, the number of cores or ffmpeg's version text, so equal
pictures give equal bytes.
"""

from __future__ import annotations

import errno
import os
import re
import signal
import subprocess
import tempfile
from contextlib import ExitStack, suppress
from fractions import Fraction
from pathlib import Path

from salcli.atomic import REASONS, reporting_os_errors
from salcli.errors import OutputError
from salcli.media import program

__all__ = ["REPRODUCIBLE", "Encoder", "failure", "ffmpeg"]

QUALITY = 18
"""Hardly distinguishable from the original."""

NEEDED = "reinstall imageio-ffmpeg, or set IMAGEIO_FFMPEG_EXE to an ffmpeg program"

THREADS = "4"
"""Fixed, because the output of x264 depends on it."""

REPRODUCIBLE = ("-map_metadata", "-1", "-map_chapters", "-1", "-fflags", "+bitexact")


class Encoder:
    """One running ffmpeg that writes RGB pictures of one size into an MP4 file.

    Call `end` or `kill` when done.

    Args:
        path: Where the file is written.
        shown: Path named in error messages.
        size: `(H, W)` of every picture; the movie has exactly this size.
        rate: Pictures per second.
        quality: x264's constant rate factor.

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
        quality: int = QUALITY,
    ) -> None:
        self._shown = shown
        height, width = size
        # 4:2:0, which every player supports, halves both sides
        layout = "yuv444p" if height % 2 or width % 2 else "yuv420p"
        command = [
            *ffmpeg(),
            *("-f", "rawvideo", "-pix_fmt", "rgb24", "-s:v", f"{width}x{height}"),
            *("-framerate", str(rate), "-i", "pipe:0", "-vf", _matrix(layout)),
            *("-c:v", "libx264", "-preset", "veryfast", "-crf", str(quality), "-threads", THREADS),
            *("-flags:v", "+bitexact", *REPRODUCIBLE, "-movflags", "+faststart"),
            *("-f", "mp4", f"file:{path}"),
        ]
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

    def write(self, picture: memoryview) -> None:
        """Append a picture: `H * W * 3` bytes.

        Raises:
            OutputError: ffmpeg has ended, for example because the disk is full.
        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(picture)
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


def _matrix(layout: str) -> str:
    """The filter to BT.709, with tags: players disagree about the colours of untagged files."""
    tags = "colorspace=bt709:color_primaries=bt709:color_trc=bt709:range=tv"
    scale = "scale=out_color_matrix=bt709:out_range=tv:flags=bicubic+accurate_rnd+full_chroma_int"
    return f"{scale},format={layout},setparams={tags}"
