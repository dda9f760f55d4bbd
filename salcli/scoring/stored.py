"""Maps that lie in a folder, made by anyone, and found by the names of clips and frames."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from salcli import mapvideo
from salcli.datasets.collection import some
from salcli.errors import InputError
from salcli.folders import VIDEO_SUFFIXES
from salcli.scoring import maps
from salcli.scoring.agenda import Agenda
from salcli.scoring.incidents import Incidents
from salcli.scoring.source import Shown
from salcli.types import Recording

__all__ = ["StoredMaps"]


class StoredMaps:
    """`FOLDER/CLIP/LABEL.png`, `FOLDER/CLIP.mp4`, `FOLDER/IMAGE.png`; numbers padded or not.

    Attributes:
        label: What it is called.
        rounding: How floating-point maps become 8 bit where a protocol wants that.
        is_float: Whether rounding to 8 bit would change them; not asked of stored maps.
        notes: Files that are no frame's.
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
        self.notes = Incidents()
        self._formats = Counter[str]()
        self._used: dict[Path, set[Path]] = {}
        self._listing = lru_cache(maxsize=64)(_listed)

    def maps(self, agenda: Agenda) -> Iterator[Shown]:
        """The map of each frame of the agenda, in order; what is missing has a reason."""
        for number, recording in enumerate(agenda.recordings):
            found = self._find(recording)
            for index in agenda.chosen[number]:
                yield self._shown(agenda, (number, index), found)
        self._note_others()

    def statement(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {"kind": "stored", "folder": str(self.folder), "formats": dict(self._formats)}

    def _find(self, recording: Recording) -> Path | Mapping[Hashable, Path]:
        """A video of maps, or maps by the key of the frame."""
        name = recording.name.rpartition("/")[2]
        if not recording.is_clip:
            return self._still(recording, name)
        folders, files = self._listing(self.folder, folders=True)
        del files
        movie = _movies(self.folder).get(_key(name))
        if movie is not None:
            self._used.setdefault(self.folder, set()).add(movie)
            return movie
        folder = folders.get(_key(name))
        if folder is None and (self.folder / recording.name).is_dir():
            folder = self.folder / recording.name
        if folder is None:
            return {}
        self._used.setdefault(self.folder, set()).add(folder)
        _, found = self._listing(folder, folders=False)
        return found

    def _still(self, recording: Recording, name: str) -> Mapping[Hashable, Path]:
        label = recording.annotations[0].label
        for folder in (self.folder, self.folder / recording.source.parent.name, self.folder / name):
            _, files = self._listing(folder, folders=False)
            for key in (_key(label), _key(name)):
                if key in files:
                    self._used.setdefault(folder, set()).add(files[key])
                    return {_key(label): files[key]}
        return {}

    def _shown(
        self, agenda: Agenda, spot: tuple[int, int], found: Path | Mapping[Hashable, Path]
    ) -> Shown:
        label = agenda.annotation(spot).label
        try:
            if isinstance(found, Path):
                self._formats["video"] += 1
                return Shown(spot, mapvideo.read(found, spot[1]))
            path = found.get(_key(label), found.get(_number(label)))
            if path is None:
                return Shown(spot, None, f"no map of it in '{self.folder}'")
            self._used.setdefault(path.parent, set()).add(path)
            self._formats[path.suffix.lower().removeprefix(".")] += 1
            return Shown(spot, maps.read(path))
        except InputError as error:
            return Shown(spot, None, str(error))

    def _note_others(self) -> None:
        """Say which maps are no frame's, in the folders that were looked at."""
        for folder, used in self._used.items():
            folders, files = self._listing(folder, folders=folder == self.folder)
            there = {*files.values(), *folders.values(), *_movies(folder).values()}
            inner = {path for path in self._used if path != folder}
            surplus = sorted(there - used - inner)
            if surplus:
                names = some([path.name for path in surplus])
                self.notes.add(str(folder), f"not of anything that is scored: {names}")


def _listed(
    folder: Path, *, folders: bool
) -> tuple[Mapping[Hashable, Path], Mapping[Hashable, Path]]:
    """Sub-folders if wanted, and maps, by their keys; of two formats the first counts."""
    if not folder.is_dir():
        return {}, {}
    inner: dict[Hashable, Path] = {}
    found: dict[Hashable, Path] = {}
    for path in sorted(folder.iterdir(), key=lambda path: (_rank(path), path.name)):
        if path.name.startswith("."):
            continue
        if path.suffix.lower() in maps.SUFFIXES:
            found.setdefault(_key(path.stem), path)
        elif folders and path.is_dir():
            inner[_key(path.name)] = path
    return inner, _numbered(list(found.values())) | found


def _movies(folder: Path) -> dict[Hashable, Path]:
    return {
        _key(path.stem): path
        for path in sorted(folder.iterdir())
        if path.suffix.lower() in VIDEO_SUFFIXES
    }


def _rank(path: Path) -> int:
    suffix = path.suffix.lower()
    return maps.SUFFIXES.index(suffix) if suffix in maps.SUFFIXES else len(maps.SUFFIXES)


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
