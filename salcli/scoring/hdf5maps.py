"""Maps of images in one HDF5 file, as the library pysaliency writes its predictions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from salcli.errors import InputError
from salcli.gaze.pysaliency import SUFFIXES, Predictions
from salcli.scoring.results import Problems
from salcli.scoring.selection import Selection
from salcli.scoring.sources import FrameMap, MapSource
from salcli.scoring.stored import StoredMaps
from salcli.specs import TrainedOn

__all__ = ["HDF5Maps", "stored_maps"]


def stored_maps(place: Path) -> MapSource:
    """Maps in a folder, or in an HDF5 file.

    Raises:
        InputError: There is neither, or the file cannot be read.
    """
    return HDF5Maps(place) if place.suffix.lower() in SUFFIXES else StoredMaps(place)


class HDF5Maps:
    """The predictions in a file; see `StoredMaps` for the attributes.

    Raises:
        InputError: The file cannot be read.
    """

    is_float = False
    rounding: Literal["floor", "nearest", "up"] = "nearest"
    trained_on: Sequence[TrainedOn] = ()

    def __init__(self, path: Path) -> None:
        self.path, self.label, self.notes = path, path.stem, Problems()
        self._predictions = Predictions(path)

    def files(self, selection: Selection) -> Iterator[Path]:
        """The only file."""
        yield self.path

    def maps(self, selection: Selection, start: int = 0) -> Iterator[FrameMap]:
        """The map of each image of the selection, in order, or the reason why it is missing."""
        for number, recording in enumerate(selection.recordings):
            for index in selection.chosen[number] if number >= start else ():
                name = self._predictions.name_for(recording.source)
                if recording.is_clip or name is None:
                    yield FrameMap((number, index), None, f"no map of it in '{self.path}'")
                    continue
                try:
                    yield FrameMap((number, index), self._predictions.read(name))
                except InputError as error:
                    yield FrameMap((number, index), None, str(error))

    def statement(self) -> dict[str, Any]:
        """Ready for JSON."""
        formats = {"hdf5": len(self._predictions.names)}
        return {"kind": "stored", "folder": str(self.path), "formats": formats, "made by": []}
