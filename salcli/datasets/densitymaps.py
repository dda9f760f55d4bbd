"""Writes density maps computed from the fixations of a dataset."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from salcli.errors import InputError
from salcli.files import atomic
from salcli.gaze import groundtruth, kernels
from salcli.gaze.kernels import Kernel
from salcli.maps import to_8bit
from salcli.output import png
from salcli.terminal.events import Watcher
from salcli.types import Recording

__all__ = ["WrittenMaps", "write_maps"]


@dataclass(frozen=True)
class WrittenMaps:
    """Result of writing the maps of one recording.

    Attributes:
        recording: Name of the recording.
        maps, skipped: Number of maps that were written, and that existed before.
        outside: Number of fixations outside their frame, which no map shows.
        problems: A line for each frame that could not be read.
    """

    recording: str
    maps: int
    skipped: int
    outside: int
    problems: tuple[str, ...]

    @property
    def line(self) -> str:
        """Summary in one line."""
        there = f", {self.skipped} there already" if self.skipped else ""
        outside = f", {self.outside} fixations outside" if self.outside else ""
        return f"{self.recording}: {self.maps} maps{there}{outside}"


def write_maps(
    recording: Recording,
    watcher: Watcher,
    *,
    output: Path,
    kernel: Kernel,
    overwrite: bool = False,
) -> WrittenMaps:
    """Write the maps of one recording: `output/CLIP/LABEL.png`, of a still `output/LABEL.png`.

    8-bit grey of the frame's size; the peak of each is 255. Without fixations a map is black.

    Raises:
        OutputError: The folder cannot be written.
    """
    watcher.start(recording.name, None)
    folder = output / recording.name.rpartition("/")[2] if recording.is_clip else output
    maps = skipped = outside = 0
    problems = []
    size: tuple[int, int] | None = None
    for index, annotation in _annotated(recording):
        path = folder / f"{annotation}.png"
        if path.exists() and not overwrite:
            skipped += 1
            continue
        try:
            if size is None or recording.frames is not None:
                size = groundtruth.frame_size(recording, index)
            found = groundtruth.read_fixations(recording.annotations[index], size)
        except InputError as error:
            problems.append(f"{recording.name}: {error}")
            continue
        outside += found.outside
        density = kernels.density(found.points, size, kernel=kernel)
        peak = float(density.max())
        atomic.write(path, png.encode(to_8bit(density / (peak or 1.0), "nearest")))
        watcher.step()
        maps += 1
    done = WrittenMaps(recording.name, maps, skipped, outside, tuple(problems))
    for problem in problems:
        watcher.say(f"salcli: error: {problem}")
    watcher.finish(done.line)
    return done


def _annotated(recording: Recording) -> Iterator[tuple[int, str]]:
    """Position and label of each frame that has fixations."""
    for index, annotation in enumerate(recording.annotations):
        if annotation.fixations is not None:
            yield index, annotation.label
