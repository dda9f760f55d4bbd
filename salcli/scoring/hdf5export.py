"""Writes a dataset of images as the library pysaliency reads it: three HDF5 files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from salcli.errors import InputError, UsageError
from salcli.gaze import groundtruth, pysaliency
from salcli.gaze.pairing import FileNames
from salcli.scoring import mapfiles
from salcli.types import Recording

__all__ = ["Exported", "export"]


@dataclass(frozen=True)
class Exported:
    """How much was written.

    Attributes:
        stimuli, fixations, maps: Their numbers.
        problems: A line for each image whose fixations or map could not be read.
    """

    stimuli: int
    fixations: int
    maps: int
    problems: Sequence[str]


def export(
    recordings: Sequence[Recording],
    folder: Path,
    *,
    predictions: Path | None = None,
    done: Callable[[], None] = lambda: None,
) -> Exported:
    """Write `stimuli.hdf5`, `fixations.hdf5` and, with a folder of maps, `predictions.hdf5`.

    Args:
        recordings: Stills of a dataset, with fixations or without.
        folder: Where the files go.
        predictions: A folder of maps that are found by the names of the images.
        done: Called after each image.

    Raises:
        UsageError: These are clips.
        InputError: An image cannot be read.
        OutputError: The folder cannot be written.
    """
    if any(recording.is_clip for recording in recordings):
        raise UsageError("pysaliency has no clips; choose a dataset of images")
    problems: list[str] = []
    images = [recording.source for recording in recordings]
    sizes = [groundtruth.frame_size(recording) for recording in recordings]
    pysaliency.write_stimuli(folder / "stimuli.hdf5", images, sizes)

    def fixations() -> Iterator[Any]:
        for recording, size in zip(recordings, sizes, strict=True):
            annotation = recording.annotations[0]
            try:
                found = groundtruth.read_fixations(annotation, size)
            except InputError as error:
                problems.append(str(error))
                found = groundtruth.read_fixations(type(annotation)(annotation.label), size)
            yield found.points, found.observers
            done()

    count = pysaliency.write_fixations(folder / "fixations.hdf5", fixations())
    written = 0
    if predictions is not None:
        maps = _maps(recordings, predictions, problems)
        written = pysaliency.write_predictions(folder / "predictions.hdf5", maps)
    return Exported(len(images), count, written, problems)


def _maps(
    recordings: Sequence[Recording], folder: Path, problems: list[str]
) -> Iterator[tuple[str, Any]]:
    names = pysaliency.shortest_names([recording.source for recording in recordings])
    labels = [recording.annotations[0].label for recording in recordings]
    there = [path for path in sorted(folder.iterdir()) if path.suffix in mapfiles.SUFFIXES]
    files = FileNames({path.stem: path for path in there}, labels)
    for label, name in zip(labels, names, strict=True):
        file = files.find(label)
        try:
            if file is None:
                raise InputError(f"no map of '{label}' in '{folder}'")
            yield name, mapfiles.read(file)
        except InputError as error:
            problems.append(str(error))
