"""Files of a folder and of a clip, listed lazily.

A video dataset has half a million frames in three folders each; listing all to read one is slow.
"""

from __future__ import annotations

import os
import re
from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TypeVar, overload

from natsort import natsorted

from salcli.gaze import tables
from salcli.gaze.files import count_frames
from salcli.gaze.pairing import last_number, pair
from salcli.media import mapvideo
from salcli.media.images import SUFFIXES
from salcli.types import Annotation, Eye, Recording

__all__ = [
    "Files",
    "FrameAnnotations",
    "WholeClip",
    "by_stem",
    "clip",
    "counter",
    "first_folder",
    "fixations_by_stem",
    "listed",
]

Item = TypeVar("Item")

TRUTH_SUFFIXES = SUFFIXES | {".mat"}
"""Suffixes of density maps and fixations of single frames."""


class Indexed(Sequence[Item]):
    """A sequence that creates its items on access."""

    @abstractmethod
    def item(self, index: int) -> Item:
        """The item at `index`, from 0."""

    @overload
    def __getitem__(self, index: int) -> Item: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Item]: ...

    def __getitem__(self, index: int | slice) -> Item | Sequence[Item]:
        """One item, or a list of them."""
        positions = range(len(self))
        if isinstance(index, slice):
            return [self.item(position) for position in positions[index]]
        return self.item(positions[index])


@dataclass(frozen=True)
class Files(Indexed[Path]):
    """Files of the first non-empty folder among some candidates, in natural order.

    Attributes:
        candidates: Folders, which need not exist.
        suffixes: Suffixes of the files that count, in lower case.
    """

    candidates: tuple[Path, ...]
    suffixes: frozenset[str] = SUFFIXES

    @cached_property
    def found(self) -> tuple[Path, Sequence[str]]:
        """The folder, and the names of its files."""
        for folder in self.candidates:
            if names := listed(folder, self.suffixes):
                return folder, names
        return self.candidates[0], ()

    @property
    def stems(self) -> Sequence[str]:
        """Names without suffix, in the same order."""
        return [name.rpartition(".")[0] for name in self.found[1]]

    def __len__(self) -> int:
        return len(self.found[1])

    def item(self, index: int) -> Path:
        """The file at `index`."""
        folder, names = self.found
        return folder / names[index]


@dataclass(frozen=True)
class FrameAnnotations(Indexed[Annotation]):
    """Annotations of a clip with a file for each frame, paired by their names.

    Attributes:
        frames: The frames themselves, if they are files.
        maps, fixations: Files of densities and of fixations.
        video: Its frames are counted if there are no files.
        digits: Label frames by their number with so many digits; `None` for their stem.
    """

    frames: Files | None
    maps: Files
    fixations: Files
    video: Path | None = None
    digits: int | None = None

    @cached_property
    def _rows(self) -> Sequence[tuple[str, int | None, int | None]]:
        """Label, and positions of the map and of the fixations of each frame."""
        # not `or`: a folder of frames that is still empty has no frames
        shown = self.frames if self.frames is not None else (self.maps or self.fixations)
        stems = shown.stems
        if self.frames is None and not stems and self.video is not None:
            stems = [f"{i + 1:04d}" for i in range(mapvideo.count_frames(self.video))]
        maps, fixations = (
            pair(stems, {stem: i for i, stem in reversed([*enumerate(files.stems)])})
            for files in (self.maps, self.fixations)
        )
        labels = self._labels(stems)
        return [
            (label, maps.get(stem), fixations.get(stem))
            for label, stem in zip(labels, stems, strict=True)
        ]

    @property
    def strays(self) -> Sequence[str]:
        """Names of maps and fixation files that belong to no frame."""
        placed = [{row[column] for row in self._rows} for column in (1, 2)]
        return [
            files[position].name
            for files, used in zip((self.maps, self.fixations), placed, strict=True)
            for position in range(len(files))
            if position not in used
        ]

    def _labels(self, stems: Sequence[str]) -> Sequence[str]:
        numbers = [number for stem in stems if (number := last_number(stem)) is not None]
        if self.digits is None or len(set(numbers)) != len(stems):
            return stems
        return [f"{number:0{self.digits}d}" for number in numbers]

    def __len__(self) -> int:
        return len(self._rows)

    def item(self, index: int) -> Annotation:
        """The annotation of the frame at `index`."""
        label, density, fixations = self._rows[index]
        return Annotation(
            label,
            density=None if density is None else self.maps[density],
            fixations=None if fixations is None else self.fixations[fixations],
        )


@dataclass(frozen=True)
class WholeClip(Indexed[Annotation]):
    """Annotations of a clip from files that hold all frames.

    Attributes:
        counter: Counts the frames; called on first access.
        density, fixations, eye: As in `Annotation`.
    """

    counter: Callable[[], int]
    density: Path | None = None
    fixations: Path | None = None
    eye: Eye = "both"

    @cached_property
    def _count(self) -> int:
        return self.counter()

    def __len__(self) -> int:
        return self._count

    def item(self, index: int) -> Annotation:
        """The annotation of the frame at `index`."""
        return Annotation(f"{index + 1:04d}", self.density, self.fixations, index, self.eye)


def clip(
    name: str,
    *,
    frames: Sequence[Path],
    video: Path | None = None,
    maps: Sequence[Path],
    fixations: Sequence[Path],
    fps: float,
    digits: int | None = None,
    group: str = "",
) -> Recording | None:
    """A clip with a file for each frame; `None` if there are neither frames nor a video.

    `frames`, `maps` and `fixations` are folders of which the first that has files counts.
    """
    folder = first_folder(frames, filled=video is not None)
    annotated = FrameAnnotations(
        Files((folder,)) if folder else None,
        Files(tuple(maps), TRUTH_SUFFIXES),
        Files(tuple(fixations), TRUTH_SUFFIXES),
        video=video,
        digits=digits,
    )
    source = folder or video
    if source is None:
        return None
    return Recording(name, source, annotated, group, fps=fps, frames=annotated.frames)


def counter(source: Path, density: Path | None, fixations: Path | None) -> Callable[[], int]:
    """A function that counts the frames of a clip whose maps or fixations are one file."""
    if fixations is not None and fixations.suffix.lower() not in tables.SUFFIXES:
        return partial(count_frames, fixations)
    if source.is_dir() and density is None:
        return partial(len, Files((source,)))
    return partial(mapvideo.count_frames, density or source)


def first_folder(candidates: Sequence[Path], *, filled: bool = False) -> Path | None:
    """The first folder that exists, and is not empty if it must be `filled`."""
    there = (folder for folder in candidates if folder.is_dir())
    return next((folder for folder in there if not filled or any(folder.iterdir())), None)


def listed(folder: Path, suffixes: frozenset[str]) -> list[str]:
    """Names of the files with these suffixes in natural order, without hidden ones."""
    names = _names(folder, suffixes)
    # numbers of one length, as of almost all frames, are in natural order already
    evenly = {re.sub(r"\d+(?=\.\w+$)", lambda digits: "0" * len(digits[0]), n) for n in names}
    return names if len(evenly) == 1 else natsorted(names)


def _names(folder: Path, suffixes: frozenset[str]) -> list[str]:
    if not folder.is_dir():
        return []
    with os.scandir(folder) as entries:
        names = sorted(entry.name for entry in entries)
    return [
        name
        for name in names
        if not name.startswith(".") and name[name.rfind(".") :].lower() in suffixes
    ]


def by_stem(candidates: Sequence[Path], suffixes: frozenset[str]) -> dict[str, Path]:
    """Files with these suffixes in the folders `candidates` by their stem; the first counts."""
    found: dict[str, Path] = {}
    for folder in candidates:
        for name in _names(folder, suffixes):
            path = folder / name
            found.setdefault(path.stem, path)
    return found


def fixations_by_stem(folders: Sequence[Path]) -> dict[str, Path]:
    """Files of fixations of single frames by their stem.

    Records (`.mat`, tables) come before binary maps, which have lost repeats and who looked.
    """
    return by_stem(folders, SUFFIXES) | by_stem(folders, tables.SUFFIXES | {".mat"})
