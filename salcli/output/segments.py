"""The pictures of a movie in segments that outlive the process, joined without encoding again.

A segment is a movie of its own that has its final name only when it is whole. Boundaries are at the
same pictures whether or not a run was interrupted, so that the joined movie has the same bytes.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from salcli.files.atomic import reporting_os_errors, temporary
from salcli.media.encoder import REPRODUCIBLE, Encoder, failure, ffmpeg

__all__ = ["LENGTH", "Kept", "Segments", "count_pictures", "join"]

LENGTH = 100
"""Pictures of a segment: as many are encoded again after a run was killed, at most."""


@dataclass(frozen=True)
class Kept:
    """Where unfinished movies and tables are kept, so that an interrupted run can be resumed.

    Attributes:
        folder: Holds them.
        frames: How many first frames are in them already; the run goes on behind these.
        time: Presentation time in seconds of the frame at an index, known once frames of later
            ones come.
    """

    folder: Path
    frames: int = 0
    time: Callable[[int], float | None] = lambda index: None


class Segments:
    """Takes pictures like an `Encoder`, and joins them at the end; call `end` or `kill`.

    Args:
        folder: Holds the segments.
        path: Where the movie is written at the end; segments are named after `shown`.
        shown: Path named in error messages.
        done: How many first pictures are in segments already; a multiple of `LENGTH`.
    """

    def __init__(self, folder: Path, path: Path, *, shown: Path, done: int) -> None:
        self._folder, self._path, self._shown = folder, path, shown
        self._done, self._starts = done, list[float]()
        self._count = 0
        self._encoder: Encoder | None = None
        for file in sorted(folder.glob(f"{shown.stem}-*.mp4")):
            if file.stem.rpartition("-")[2] >= f"{done:09d}":
                file.unlink()

    def skip(self, time: float) -> None:
        """Count a picture that is in a segment already."""
        if self._count % LENGTH == 0:
            self._starts.append(time)
        self._count += 1

    def write(
        self, picture: memoryview, time: float, open_encoder: Callable[[Path], Encoder]
    ) -> None:
        """Append a picture that is shown from `time` on; starts an encoder for each segment.

        Raises:
            OutputError: See `Encoder.write`.
        """
        if self._encoder is None:
            with reporting_os_errors(self._shown):
                self._folder.mkdir(parents=True, exist_ok=True)
            self._encoder = open_encoder(temporary(self._file(self._count)))
        self.skip(time)
        self._encoder.write(picture, time - self._starts[-1])
        if self._count % LENGTH == 0:
            self._encoder.end()
            self._encoder = None
            file = self._file(self._count - LENGTH)
            with reporting_os_errors(self._shown):
                temporary(file).replace(file)

    def end(self) -> None:
        """Join all segments.

        Raises:
            OutputError: They cannot be joined.
        """
        if self._encoder is not None:
            self._encoder.end()
            self._encoder = None
        starts = range(0, self._count, LENGTH)
        files = [self._file(start) for start in starts]
        if self._count % LENGTH:
            files[-1] = temporary(files[-1])
        join(files, self._starts, self._path, shown=self._shown)

    def kill(self) -> None:
        """Stop at once; whole segments stay."""
        if self._encoder is not None:
            self._encoder.kill()
            temporary(self._file(self._count // LENGTH * LENGTH)).unlink(missing_ok=True)

    def _file(self, start: int) -> Path:
        return _segment(self._folder, self._shown, start)


def join(files: Sequence[Path], starts: Sequence[float], path: Path, *, shown: Path) -> None:
    """Join movies of the same settings without encoding again; errors name `shown`.

    Args:
        files: The movies, in order.
        starts: Seconds at which each begins; one more is the end of the last.
        path: Where the joined movie is written.
        shown: Its final name.

    Raises:
        OutputError: They cannot be joined.
    """
    names = [str(file.absolute()).replace("'", r"'\''") for file in files]
    lines = [f"file 'file:{name}'" for name in names]
    for number, (start, end) in enumerate(pairwise(starts)):
        lines[number] += f"\nduration {end - start:.6f}"
    script = temporary(files[0].with_name(f"{shown.stem}.ffconcat"))
    with reporting_os_errors(shown):
        script.write_bytes(os.fsencode("\n".join(["ffconcat version 1.0", *lines, ""])))
    command = [
        *(*ffmpeg(), "-f", "concat", "-safe", "0", "-i", f"file:{script}", "-c", "copy"),
        *(*REPRODUCIBLE, "-movflags", "+faststart", "-f", "mp4", f"file:{path}"),
    ]
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        check=False,
        start_new_session=True,
    )
    if done.returncode:
        raise failure(shown, done.returncode, done.stderr)
    with reporting_os_errors(shown):
        script.unlink()


def count_pictures(folder: Path, shown: Path) -> int:
    """How many first pictures of the movie `shown` are in whole segments."""
    count = 0
    while _segment(folder, shown, count).is_file():
        count += LENGTH
    return count


def _segment(folder: Path, shown: Path, start: int) -> Path:
    return folder / f"{shown.stem}-{start:09d}.mp4"
