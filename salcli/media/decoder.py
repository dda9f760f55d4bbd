"""Runs ffmpeg as a decoder: pictures arrive through a pipe, their times through a file.

Each frame arrives as a PPM picture, which states its size; no metadata are trusted. Each time is a
line in a small file beside the log, written before the frame itself. Frames are never duplicated or
dropped (`-fps_mode passthrough`).
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from tempfile import gettempdir

import numpy as np

from salcli.errors import SalcliError
from salcli.files.atomic import temporary_folder
from salcli.media import program
from salcli.types import Frame

__all__ = ["PICTURES", "SUMS", "DecoderProcess", "decoding"]

NO_TIME = -(2**63)
"""What ffmpeg writes for a frame without a timestamp."""

DAMAGE = re.compile(
    r"corrupt input packet|corrupt decoded frame|File ended prematurely|partial file|"
    r"Decoding error: .*|Error during demuxing: .*"
)
"""What ffmpeg logs when data are missing, although it exits successfully."""

CORRUPT = re.compile(
    r"exceeds containing master element|inside parent with finite size|"
    r"concealing \d+ DC, \d+ AC, \d+ MV errors"
)
"""What it logs then in other words; its threads may lose the "corrupt decoded frame"."""


class DecoderProcess:
    """One ffmpeg process: yields (frame, time in seconds, whether the file itself states it)."""

    def __init__(self, process: subprocess.Popen[bytes], folder: Path) -> None:
        self.process, self.log, self.clock = process, folder / "log", folder / "times"
        self.rate: float = 0.0

    def __iter__(self) -> Iterator[tuple[Frame, float, bool]]:
        pictures = self.process.stdout
        if not isinstance(pictures, BufferedReader) or not pictures.peek(1):
            return
        times = self._times()
        while (frame := _read_ppm(pictures)) is not None:
            yield frame, *next(times)

    def sums(self) -> Iterator[tuple[int, float]]:
        """With the output `SUMS`: checksum and time of each frame."""
        assert self.process.stdout is not None
        times: Iterator[tuple[float, bool]] | None = None
        for line in self.process.stdout:
            if line.startswith(b"#"):
                continue
            times = times or self._times()
            yield int(line.split(b",")[5], 16), next(times)[0]

    def _times(self) -> Iterator[tuple[float, bool]]:
        """The time of each frame, and whether the file itself states it."""
        latest = since = 0.0  # the last stated time, and where ffmpeg's own count stood then
        with self.clock.open(encoding="ascii") as clock:
            while True:
                fields = clock.readline().split()
                if len(fields) != 4:
                    raise OSError("ffmpeg could not write the time of a frame")
                stamp, unit, number, period = fields
                self.rate = 1 / _ratio(period)
                timed = int(stamp) != NO_TIME
                counted = int(number) * _ratio(period)
                if timed:
                    latest, since = int(stamp) * _ratio(unit), counted
                yield latest + counted - since, timed

    def failure(self) -> str | None:
        """Why ffmpeg stopped, in its own words; `None` if it read everything without error."""
        if self.process.stdout:
            self.process.stdout.close()  # otherwise ffmpeg could wait for us while we wait for it
        code = self.process.wait()
        log = self.text()
        if damage := DAMAGE.search(log):
            return damage.group()
        if CORRUPT.search(log):
            return "corrupt data"
        if code == 0:
            return None
        if "does not contain any stream" in log:
            return "it contains no video stream"
        lines = [line for line in log.splitlines() if line and not line.startswith("Exiting")]
        causes = re.findall(r"(?:Error opening input|Error initializing filters?): (.*)", log)
        return causes[0] if causes else lines[-1] if lines else f"ffmpeg ended with code {code}"

    def text(self) -> str:
        """Everything that ffmpeg has logged so far."""
        return self.log.read_text(encoding="utf-8", errors="replace")


PICTURES = ("-c:v", "ppm", "-f", "image2pipe")
SUMS = ("-c:v", "rawvideo", "-f", "framecrc")
"""Outputs: the frames, or their checksums."""


@contextmanager
def decoding(
    source: list[str], options: list[str], *, output: Sequence[str] = PICTURES
) -> Iterator[DecoderProcess]:
    """Decode in a process that is always terminated when the block ends.

    Args:
        source: Arguments for reading it, such as those of `salcli.media.program.reading`.
        options: Arguments for the frames: filters, how many.
        output: `PICTURES` or `SUMS`.

    Raises:
        SalcliError: ffmpeg cannot be run, or the temporary folder cannot be written.
    """
    found = program.ffmpeg()
    try:
        with temporary_folder() as folder:
            yield from _started(found, source, [*options, *output], folder=folder)
    except OSError as error:
        raise SalcliError(
            f"ffmpeg could not run: {error}; is there space in '{gettempdir()}' (TMPDIR)?"
        ) from error


def _started(
    ffmpeg: str, source: list[str], options: list[str], *, folder: Path
) -> Iterator[DecoderProcess]:
    command = [ffmpeg, "-hide_banner", "-nostdin", "-nostats", "-v", "verbose", "-copyts"]
    command += [*source, "-an", "-sn", "-dn", *options, "-fps_mode", "passthrough"]
    command += ["-stats_enc_pre", str(folder / "times")]
    command += ["-stats_enc_pre_fmt", "{ptsi} {tbi} {pts} {tb}"]
    command += ["-pix_fmt", "rgb24", "pipe:1"]
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,  # salcli handles Ctrl-C: ffmpeg must not appear to fail first
        ) as process,
    ):
        try:
            yield DecoderProcess(process, folder)
        finally:
            process.kill()


def _read_ppm(pipe: BufferedReader) -> Frame | None:
    """The next whole picture; `None` at the end of the stream, even if it is cut short."""
    if pipe.readline() != b"P6\n":
        return None
    width, height = map(int, pipe.readline().split())
    pipe.readline()  # the largest value, 255
    frame = np.empty((height, width, 3), dtype=np.uint8)
    whole = pipe.readinto(frame.data.cast("B")) == frame.nbytes
    return frame if whole else None


def _ratio(text: str) -> float:
    numerator, denominator = text.split("/")
    return int(numerator) / int(denominator)
