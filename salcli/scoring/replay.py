"""Stored maps of one input, frame by frame, as if a model predicted them now."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from salcli.errors import InputError
from salcli.gaze.pairing import FileNames
from salcli.media import mapvideo
from salcli.media.inputs import VIDEO_SUFFIXES
from salcli.prediction.manifest import fingerprint
from salcli.scoring import mapfiles
from salcli.scoring.stored import listed
from salcli.types import Result, Size, Stimulus

__all__ = ["StoredStream"]


class StoredStream:
    """The maps in a folder, as `salcli predict` and others store them.

    Those of the input NAME are FOLDER/NAME/0001.png ..., FOLDER/NAME.mp4, FOLDER/NAME/grey.mp4 or
    FOLDER/NAME.png; FOLDER may be any of these itself, too. Which file belongs to which frame is
    said in `salcli.gaze.pairing`.
    """

    accepts = frozenset({"stills", "clips"})

    def __init__(self, folder: Path) -> None:
        """Maps at `folder`.

        Raises:
            InputError: There is nothing.
        """
        if not folder.exists():
            raise InputError(f"there are no predictions at '{folder}'; check the spelling")
        self._folder = folder
        self.label = f"maps in {folder}"

    def settings(self, stimulus: Stimulus) -> Mapping[str, Any]:
        """Name, size and age of the files."""
        return {"maps": fingerprint(self._place(stimulus))}

    def results(
        self, stimulus: Stimulus, first: int, *, size: Size, notice: Callable[[str], None]
    ) -> Iterator[Result]:
        """See `salcli.prediction.mapstream.MapStream`; maps have the size of their files."""
        place = self._place(stimulus)
        read = _video(place) if place.is_file() else _files(place)
        for index, frame in enumerate(stimulus.frames):
            if index >= first:
                label = stimulus.label(index)
                saliency = _checked(read(index, label), f"the map of frame {label} in '{place}'")
                yield Result(index, label, stimulus.time(index), saliency, frame=frame)

    def _place(self, stimulus: Stimulus) -> Path:
        """The folder or video with the maps."""
        if self._folder.is_file():
            return self._folder
        here = listed(self._folder)
        found = here.folders.get(stimulus.name) if stimulus.is_clip else None
        if found is not None and not listed(found).maps:
            found = listed(found).movies.get("grey")
        return found or here.movies.get(stimulus.name) or self._folder


def _video(path: Path) -> Callable[[int, str], mapfiles.Map]:
    if path.suffix.lower() in VIDEO_SUFFIXES:
        return lambda index, label: mapvideo.read(path, index)
    return lambda index, label: mapfiles.read(path)


def _files(folder: Path) -> Callable[[int, str], mapfiles.Map]:
    maps = FileNames(listed(folder).maps)

    def read(index: int, label: str) -> mapfiles.Map:
        path = maps.find(label)
        if path is None:
            raise InputError(f"'{folder}' has no map of frame {label}; predict it again")
        return mapfiles.read(path)

    return read


def _checked(found: mapfiles.Map, what: str) -> Any:
    saliency = found.astype(np.float32)
    if not np.isfinite(saliency).all() or saliency.min() < 0:
        raise InputError(f"{what} has values that are negative or not finite")
    return saliency
