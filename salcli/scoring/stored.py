"""Maps stored in a folder, made by anyone, and found by the names of clips and frames."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from salcli.datasets.collection import some
from salcli.errors import InputError
from salcli.media import mapvideo
from salcli.media.inputs import VIDEO_SUFFIXES
from salcli.scoring import mapfiles
from salcli.scoring.results import Problems
from salcli.scoring.selection import FrameRef, Selection
from salcli.scoring.sources import FrameMap
from salcli.types import Recording

__all__ = ["StoredMaps"]


class StoredMaps:
    """`FOLDER/CLIP/LABEL.png`, `FOLDER/CLIP.mp4`, `FOLDER/IMAGE.png`; numbers padded or not.

    Attributes:
        folder: It has the maps.
        label: Name of the folder.
        rounding: How floating-point maps become 8 bit where a protocol requires it.
        is_float: False: the effect of rounding is not measured on stored maps.
        notes: Files that belong to no frame.
    """

    rounding: Literal["floor", "nearest"] = "nearest"
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
        self._formats = Counter[str]()
        self._used = defaultdict[Path, set[Path]](set)
        self._list = lru_cache(maxsize=64)(_listed)

    def files(self, selection: Selection) -> Iterator[Path]:
        """Files that belong to a frame or a clip of the selection."""
        for recording in selection.recordings:
            found = self._find(recording)
            yield from [found] if isinstance(found, Path) else found.values()

    def maps(self, selection: Selection, start: int = 0) -> Iterator[FrameMap]:
        """The map of each frame of the selection, in order, or the reason why it is missing."""
        for number, recording in enumerate(selection.recordings):
            found = self._find(recording)
            if isinstance(found, dict) and len(selection.chosen[number]) < selection.counts[number]:
                for other in found.values():  # of a frame that was not drawn: no surplus
                    self._used[other.parent].add(other)
            for index in selection.chosen[number]:
                path = self._use(selection, (number, index), found)
                if number >= start:
                    yield self._read((number, index), path)
        self._note_surplus()

    def statement(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {"kind": "stored", "folder": str(self.folder), "formats": dict(self._formats)}

    def _find(self, recording: Recording) -> Path | dict[Hashable, Path]:
        """A video of maps, or maps by the key of the frame."""
        name = recording.name.rpartition("/")[2]
        if not recording.is_clip:
            return self._still(recording, name)
        here = self._list(self.folder)
        movie = here.movies.get(_key(name))
        folder = movie or here.folders.get(_key(name), self.folder / recording.name)
        self._used[self.folder].add(folder)
        return folder if movie else dict(self._list(folder).maps)

    def _still(self, recording: Recording, name: str) -> dict[Hashable, Path]:
        label = recording.annotations[0].label
        for folder in (self.folder, self.folder / recording.source.parent.name, self.folder / name):
            maps_here = self._list(folder).maps
            for key in (_key(label), _key(name)):
                if key in maps_here:
                    self._used[folder].add(maps_here[key])
                    return {_key(label): maps_here[key]}
        return {}

    def _use(
        self, selection: Selection, ref: FrameRef, found: Path | Mapping[Hashable, Path]
    ) -> Path | None:
        """The file with the map of a frame, which counts as used now; `None` if there is none."""
        label = selection.annotation(ref).label
        if isinstance(found, Path):
            self._formats["video"] += 1
            return found
        path = found.get(_key(label), found.get(_number(label)))
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
class _Listing:
    """Content of a folder, by key."""

    maps: Mapping[Hashable, Path]
    folders: Mapping[Hashable, Path]
    movies: Mapping[Hashable, Path]


def _listed(folder: Path) -> _Listing:
    """Maps, sub-folders and videos, without hidden files; empty if there is no such folder.

    Of a map in two formats, the first of `mapfiles.SUFFIXES` counts.
    """
    entries = sorted(folder.iterdir(), key=lambda p: (_rank(p), p.name)) if folder.is_dir() else []
    visible = [path for path in entries if not path.name.startswith(".")]
    found: dict[Hashable, Path] = {}
    for path in visible:
        if path.suffix.lower() in mapfiles.SUFFIXES:
            found.setdefault(_key(path.stem), path)
    return _Listing(
        _numbered(list(found.values())) | found,
        {_key(path.name): path for path in visible if path.is_dir()},
        {_key(path.stem): path for path in visible if path.suffix.lower() in VIDEO_SUFFIXES},
    )


def _rank(path: Path) -> int:
    suffix = path.suffix.lower()
    return (
        mapfiles.SUFFIXES.index(suffix) if suffix in mapfiles.SUFFIXES else len(mapfiles.SUFFIXES)
    )


def _numbered(files: Sequence[Path]) -> dict[Hashable, Path]:
    """The maps of a clip by the number at the end of their stems, if these differ."""
    numbers = [_number(path.stem) for path in files]
    known = [number for number in numbers if number is not None]
    if len(set(known)) != len(files):
        return {}
    return dict(zip(numbers, files, strict=True))


def _key(name: str) -> Hashable:
    """The same for `1` and `0001`."""
    return ("number", int(name)) if name.isdecimal() else name


def _number(name: str) -> Hashable:
    """The number at the end; `None` without one."""
    found = re.search(r"\d+$", name)
    return ("number", int(found.group())) if found else None
