"""Parts of a clip that several workers predict, and how they become what one would have made.

A part is predicted into a folder of its own, after as many frames before it as the model needs, and
in the same batches as ever. An index of all frames is made first, so that those before need not be
decoded. Whoever finishes the last part predicts the clip as usual: the frames of the parts count as
those of an interrupted run.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from salcli.files.atomic import reporting_os_errors
from salcli.output import frametable, segments, writers
from salcli.prediction.finished import FinishedFrame, kept_in
from salcli.types import Format

__all__ = [
    "FOLDER",
    "ClipPart",
    "claim_files",
    "cut",
    "forget_parts",
    "index_file",
    "move",
    "starts_in",
]

FOLDER = ".salcli-cut"
"""Holds the parts, in the folder of the results."""


@dataclass(frozen=True)
class ClipPart:
    """Frames of a clip that one worker predicts.

    Attributes:
        start: How many frames are before it.
        stop: How many are before its end; `None` for the last part, which goes to the end.
        starts: The starts of all parts.
    """

    start: int
    stop: int | None
    starts: tuple[int, ...]

    def folder(self, results: Path) -> Path:
        """Where its files are until the clip is complete."""
        return results / FOLDER / f"{self.start:09d}"

    def claim_file(self, results: Path) -> Path:
        """Path of the claim of whoever works on it."""
        return results / FOLDER / f"{self.start:09d}.salcli-claim"

    def others(self) -> list[ClipPart]:
        """All parts, itself too."""
        ends = [*self.starts[1:], None]
        return [
            ClipPart(start, stop, self.starts)
            for start, stop in zip(self.starts, ends, strict=True)
        ]


def cut(frames: int, count: int, formats: Sequence[Format], *, batch_size: int) -> list[ClipPart]:
    """At most so many parts of about one length, for a clip of about so many frames.

    They begin with a whole batch and, where movies are wanted, with a segment of these.
    """
    movies = not set(writers.PICTURES).isdisjoint(formats)
    step = math.lcm(batch_size, segments.LENGTH if movies else 1)
    starts = {round(number * frames / count / step) * step for number in range(count)}
    ordered = tuple(sorted(start for start in starts if start == 0 or start < frames))
    return ClipPart(0, None, ordered).others()


def move(
    part: Path, folder: Path, *, frames: Sequence[FinishedFrame], formats: Sequence[str], start: int
) -> None:
    """Move the files of a finished part, behind the first `start` frames; may be repeated.

    Raises:
        OutputError: A file cannot be moved.
    """
    with reporting_os_errors(folder):
        kept_in(folder).mkdir(parents=True, exist_ok=True)
        for frame in frames:
            for file in writers.files_of(
                frame.label, formats, part, single=False, clip=True, extras=frame.extras
            ):
                with suppress(FileNotFoundError):  # moved before
                    file.replace(folder / file.name)
        for file in kept_in(part).glob("*.mp4"):
            file.replace(kept_in(folder) / file.name)
    if "csv" in formats:
        frametable.append(kept_in(part), kept_in(folder), start)


def starts_in(folder: Path) -> list[int]:
    """The starts of the parts of which there is anything."""
    with suppress(OSError):
        names = [path.name for path in (folder / FOLDER).iterdir()]
        return sorted(int(name) for name in names if name.isdecimal())
    return []


def index_file(folder: Path) -> Path:
    """The index of the frames of a clip that is cut; see `salcli.media.frameindex`."""
    return folder / FOLDER / "index.json"


def claim_files(folder: Path) -> list[Path]:
    """The claims on parts of the clip whose results are in a folder."""
    return sorted((folder / FOLDER).glob("*.salcli-claim"))


def forget_parts(folder: Path) -> None:
    """Delete all parts.

    Raises:
        OutputError: The folder cannot be written.
    """
    with reporting_os_errors(folder):
        if (folder / FOLDER).is_dir():
            shutil.rmtree(folder / FOLDER)
