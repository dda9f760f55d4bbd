"""Maps stored in a folder, made by anyone, and found by the names of clips and frames.

How names are compared is said in `salcli.gaze.pairing`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from salcli.datasets.collection import some
from salcli.errors import InputError
from salcli.gaze.pairing import FileNames, pair
from salcli.media import mapvideo
from salcli.media.inputs import VIDEO_SUFFIXES
from salcli.scoring import mapfiles
from salcli.scoring.origin import origin_of
from salcli.scoring.results import Problems
from salcli.scoring.selection import FrameRef, Selection
from salcli.scoring.sources import FrameMap
from salcli.types import Recording

__all__ = ["StoredMaps", "listed"]


class StoredMaps:
    """`FOLDER/CLIP/LABEL.png`, `FOLDER/CLIP.mp4`, `FOLDER/IMAGE.png`.

    Attributes:
        folder: It has the maps.
        label: Name of the folder.
        rounding: How floating-point maps become 8 bit where a protocol requires it: as the model
            rounds that made them.
        is_float: False: the effect of rounding is not measured on stored maps.
        notes: Files that belong to no frame, and maps of several models.
        trained_on: What the models that made the maps were trained on.
    """

    is_float = False

    def __init__(self, folder: Path) -> None:
        """Maps below `folder`.

        Raises:
            InputError: There is no such folder.
        """
        if not folder.is_dir():
            raise InputError(f"there is no folder '{folder}' of predictions")
        self.folder, self.label = folder, folder.resolve().name
        self.notes = Problems()
        self._origin = origin_of(folder)
        self.trained_on = self._origin.trained_on
        self.rounding: Literal["floor", "nearest", "up"] = self._origin.rounding or "nearest"
        if len(self._origin.models) > 1:
            self.notes.add(str(folder), f"maps of several models: {', '.join(self._origin.models)}")
        self._formats = Counter[str]()
        self._used = defaultdict[Path, set[Path]](set)
        self._list = lru_cache(maxsize=64)(listed)

    def files(self, selection: Selection) -> Iterator[Path]:
        """Files that belong to a frame or a clip of the selection."""
        for found in self._found(selection):
            yield from [found] if isinstance(found, Path) else found.values()

    def maps(self, selection: Selection, start: int = 0) -> Iterator[FrameMap]:
        """The map of each frame of the selection, in order, or the reason why it is missing."""
        for number, found in enumerate(self._found(selection)):
            if isinstance(found, dict) and len(selection.chosen[number]) < selection.counts[number]:
                for folder in {path.parent for path in found.values()}:
                    # of frames that were not drawn: no surplus
                    self._used[folder].update(self._list(folder).maps.values())
            for index in selection.chosen[number]:
                path = self._use(selection, (number, index), found)
                if number >= start:
                    yield self._read((number, index), path)
        self._note_surplus()

    def statement(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {
            "kind": "stored",
            "folder": str(self.folder),
            "formats": dict(self._formats),
            "made by": list(self._origin.models),
        }

    def _found(self, selection: Selection) -> Iterator[Path | dict[str, Path]]:
        """For each recording a video of maps, or the map of each frame by the frame's label."""
        here = self._list(self.folder)
        names = [_name(recording) for recording in selection.recordings if recording.is_clip]
        clips = pair(names, {**here.folders, **here.movies})
        stills = [r.annotations[0].label for r in selection.recordings if not r.is_clip]
        index = lru_cache(maxsize=64)(lambda folder: FileNames(self._list(folder).maps, stills))
        for recording in selection.recordings:
            yield (
                self._clip(recording, clips) if recording.is_clip else self._still(recording, index)
            )

    def _clip(self, recording: Recording, clips: Mapping[str, Path]) -> Path | dict[str, Path]:
        nested = self.folder.joinpath(*Path(recording.name).parts[-2:])
        found = nested if nested.is_dir() else clips.get(_name(recording), nested)
        self._used[self.folder].add(self.folder / found.relative_to(self.folder).parts[0])
        if found.suffix.lower() in VIDEO_SUFFIXES and not found.is_dir():
            return found
        return pair([each.label for each in recording.annotations], self._list(found).maps)

    def _still(
        self, recording: Recording, index: Callable[[Path], FileNames[Path]]
    ) -> dict[str, Path]:
        label, name = recording.annotations[0].label, _name(recording)
        for folder in (self.folder, self.folder / recording.source.parent.name, self.folder / name):
            path = index(folder).find(label) or index(folder).find(name)
            if path is not None:
                self._used[folder].add(path)
                return {label: path}
        return {}

    def _use(
        self, selection: Selection, ref: FrameRef, found: Path | Mapping[str, Path]
    ) -> Path | None:
        """The file with the map of a frame, which counts as used now; `None` if there is none."""
        if isinstance(found, Path):
            self._formats["video"] += 1
            return found
        path = found.get(selection.annotation(ref).label)
        if path is not None:
            self._used[path.parent].add(path)
            self._formats[path.suffix.lower().removeprefix(".")] += 1
        return path

    def _read(self, ref: FrameRef, path: Path | None) -> FrameMap:
        if path is None:
            return FrameMap(ref, None, f"no map of it in '{self.folder}'")
        try:
            movie = path.suffix.lower() in VIDEO_SUFFIXES
            return FrameMap(ref, mapvideo.read(path, ref[1]) if movie else mapfiles.read(path))
        except InputError as error:
            return FrameMap(ref, None, str(error))

    def _note_surplus(self) -> None:
        """Note the maps that belong to no frame, in the folders that were searched."""
        for folder, used in list(self._used.items()):
            here = self._list(folder)
            there = {*here.maps.values()}
            if folder == self.folder:
                there |= {*here.folders.values(), *here.movies.values()}
            surplus = [path for path in sorted(there - used) if path not in self._used]
            if surplus:
                names = some([path.name for path in surplus])
                self.notes.add(str(folder), f"files of no scored frame: {names}")


@dataclass(frozen=True)
class Listing:
    """Content of a folder, by name without suffix."""

    maps: Mapping[str, Path]
    folders: Mapping[str, Path]
    movies: Mapping[str, Path]


def listed(folder: Path) -> Listing:
    """Maps, sub-folders and videos, without hidden files; empty if there is no such folder.

    Of a map in two formats, the first of `mapfiles.SUFFIXES` counts.
    """
    entries = sorted(folder.iterdir()) if folder.is_dir() else []
    visible = [path for path in entries if not path.name.startswith(".")]
    maps: dict[str, Path] = {}
    for suffix in mapfiles.SUFFIXES:
        for path in visible:
            if path.suffix.lower() == suffix:
                maps.setdefault(path.stem, path)
    return Listing(
        maps,
        {path.name: path for path in visible if path.is_dir()},
        {path.stem: path for path in visible if path.suffix.lower() in VIDEO_SUFFIXES},
    )


def _name(recording: Recording) -> str:
    return recording.name.rpartition("/")[2]
