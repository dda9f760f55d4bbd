"""Reads files of fixations, in the formats that datasets publish."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from natsort import natsorted
from PIL import Image

from salcli.errors import InputError
from salcli.files.jsonfile import parse_json
from salcli.gaze import matlab, pysaliency, tables
from salcli.media import images
from salcli.types import Annotation, Eye

__all__ = ["Gaze", "count_frames", "read", "read_grey", "read_matrix"]

FIXATED = 127
"""Grey levels above this mark a fixation in a binary fixation map, which may have been a JPEG. In a
map without such levels, which holds 0 and 1 or counts, every level above 0 does."""

DISPLAY = (960, 1280)
"""Size (H, W) of the display of DIEM's recordings; videos were shown unscaled at its centre."""

FIXATION = 1
"""DIEM's code of a fixation; -1 is an error, 0 a blink, 2 a saccade."""

COLUMNS = 9
"""Columns of DIEM's events: frame, then x, y, dilation and event of each eye, left first."""


@dataclass(frozen=True)
class Gaze:
    """Fixated positions on one frame.

    Attributes:
        points: `[n, 2]` as (x, y), 0 at the outer edge of the first pixel.
        observers: `[n]`, the observer of each point, from 0; -1 where the file does not say.
        size: `(H, W)` of the coordinates; `None` for the frame's own.
    """

    points: npt.NDArray[np.float64]
    observers: npt.NDArray[np.int64]
    size: tuple[int, int] | None


def read(annotation: Annotation) -> Gaze:
    """The fixations of one frame from its file.

    Raises:
        InputError: The file cannot be read or has another layout.
    """
    path = annotation.fixations
    if path is None:
        return Gaze(np.empty((0, 2)), np.empty(0, np.int64), None)
    if path.is_dir():
        return _of_frame(_read_events(path, annotation.eye), path, annotation.index)
    match path.suffix.lower():
        case ".json":
            return _of_frame(_read_json(path), path, annotation.index)
        case ".mat":
            return _from_mat(path)
        case ".hdf5" | ".h5":
            points, observers = pysaliency.fixations_of(path, annotation.index or 0)
            return Gaze(points, observers, None)
        case ".csv" | ".tsv":
            return _from_table(path, annotation.index)
        case _:
            return _from_map(read_grey(path))


def _from_table(path: Path, index: int | None) -> Gaze:
    table = tables.read(path)
    try:
        found = table if index is None else table.of_frame(index)
    except ValueError as error:
        raise InputError(f"'{path}': {error}") from error
    return Gaze(found.points, found.observers, None)


def count_frames(path: Path) -> int:
    """Number of frames in a file or folder of a whole clip.

    Raises:
        InputError: The file cannot be read or has another layout.
    """
    clip = _read_events(path, "both") if path.is_dir() else _read_json(path)
    return clip.count


def read_grey(path: Path) -> npt.NDArray[np.uint8]:
    """A picture's grey levels `[H, W]`.

    Raises:
        InputError: It cannot be read.
    """
    return np.asarray(Image.fromarray(images.read(path)).convert("L"))


def read_matrix(path: Path) -> npt.NDArray[np.float32]:
    """The only matrix `[H, W]` of numbers in a `.mat` file, such as DHF1K's `I`.

    Raises:
        InputError: The file cannot be read, or holds none or several.
    """
    content = _load_mat(path)
    matrices = [value for value in content.values() if _is_matrix(value)]
    if len(matrices) != 1:
        raise InputError(f"'{path}' holds {len(matrices)} matrices, not one map")
    return np.asarray(matrices[0], dtype=np.float32)


@dataclass(frozen=True)
class _Clip:
    """Positions of a whole clip, sorted by frame; those of frame i begin at `starts[i]`."""

    points: npt.NDArray[np.float64]
    observers: npt.NDArray[np.int64]
    starts: npt.NDArray[np.int64]
    size: tuple[int, int] | None

    @property
    def count(self) -> int:
        return len(self.starts) - 1


def _of_frame(clip: _Clip, path: Path, index: int | None) -> Gaze:
    if index is None or index >= clip.count:
        raise InputError(f"'{path}' has {clip.count} frames, none at position {index}")
    part = slice(clip.starts[index], clip.starts[index + 1])
    return Gaze(clip.points[part], clip.observers[part], clip.size)


@lru_cache(maxsize=8)
def _read_json(path: Path) -> _Clip:
    """AViMoS: for each frame a list of [row, column], whole pixels from 0 of the frame."""
    try:
        content = parse_json(path.read_bytes(), list[Any])
        frames = [np.reshape(np.array(each, np.float64), (-1, 2)) for each in content]
    except (OSError, ValueError, TypeError, OverflowError) as error:
        raise InputError(
            f"'{path}' is not a list of the fixations [row, column] of each frame: {error}"
        ) from error
    points = np.concatenate([np.empty((0, 2)), *frames])[:, ::-1] + 0.5
    starts = np.cumsum([0, *map(len, frames)])
    return _Clip(points, np.full(len(points), -1), starts, None)


@lru_cache(maxsize=8)
def _read_events(folder: Path, eye: Eye) -> _Clip:
    """DIEM: one text file per observer with a row per frame, positions on the display.

    The name of the folder above ends in the size of the video, which was shown in the middle.
    """
    size = _size_in_name(folder)
    files = natsorted(folder.glob("*.txt"))
    tables = [_read_table(path) for path in files]
    if not tables:
        raise InputError(f"'{folder}' holds no event files (*.txt)")
    rows = np.concatenate(tables)
    observers = np.repeat(np.arange(len(tables)), [len(table) for table in tables])
    points, fixated = _look(rows, eye)
    fixated &= np.isfinite(points).all(1)
    frames = rows[:, 0].astype(np.int64)
    order = np.flatnonzero(fixated)[np.argsort(frames[fixated], kind="stable")]
    starts = np.searchsorted(frames[order], np.arange(1, frames.max(initial=0) + 2))
    offset = (DISPLAY[1] - size[1]) / 2, (DISPLAY[0] - size[0]) / 2
    return _Clip(points[order] - offset, observers[order], starts, size)


def _look(
    rows: npt.NDArray[np.float64], eye: Eye
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """Positions on the display, and whether each is a fixation."""
    left, right = rows[:, 1:3], rows[:, 5:7]
    left_fixates, right_fixates = rows[:, 4] == FIXATION, rows[:, 8] == FIXATION
    if eye == "left":
        return left, left_fixates
    if eye == "right":
        return right, right_fixates
    return (left + right) / 2, left_fixates & right_fixates


def _read_table(path: Path) -> npt.NDArray[np.float64]:
    try:
        table = np.loadtxt(path, dtype=np.float64, ndmin=2)
    except (OSError, ValueError) as error:
        raise InputError(f"'{path}' is not a table of gaze events: {error}") from error
    if table.size and table.shape[1] != COLUMNS:
        raise InputError(f"'{path}' has {table.shape[1]} columns, gaze events have {COLUMNS}")
    return table.reshape(-1, COLUMNS)


def _size_in_name(folder: Path) -> tuple[int, int]:
    name = folder.resolve().parent.name
    width, cross, height = name.rpartition("_")[2].partition("x")
    if not cross or not width.isdecimal() or not height.isdecimal():
        raise InputError(
            f"the folder '{name}' does not end in the size of its video, _WIDTHxHEIGHT"
        )
    return int(height), int(width)


def _from_map(levels: npt.NDArray[Any]) -> Gaze:
    """A binary fixation map `[H, W]`."""
    y, x = np.nonzero(levels > (FIXATED if levels.max(initial=0) > FIXATED else 0))
    # The pixel's centre, so that scaling to another size hits the right pixel.
    points = np.stack([x + 0.5, y + 0.5], axis=1)
    return Gaze(points, np.full(len(points), -1), (levels.shape[0], levels.shape[1]))


def _from_mat(path: Path) -> Gaze:
    """SALICON's layout, or a binary fixation map as a matrix.

    SALICON: `gaze`, one struct per observer with `fixations`; `resolution` [h, w]. Positions there
    are (x, y) pixels from 1; the centre of pixel 1 lies at 0.5 here.
    """
    content = _load_mat(path)
    if "gaze" not in content and sum(map(_is_matrix, content.values())) == 1:
        return _from_map(read_matrix(path))
    try:
        height, width = (int(n) for n in np.ravel(content["resolution"]))
        observers = np.ravel(content["gaze"])
        records = [np.reshape(record["fixations"], (-1, 2)) for record in observers]
        points = np.concatenate([np.empty((0, 2)), *records]).astype(np.float64)
        if height < 1 or width < 1:
            raise ValueError(f"the resolution is {height} x {width}")
    except Exception as error:  # numpy raises many kinds for another layout
        raise _not_salicon(path, error) from error
    whose = np.repeat(np.arange(len(records)), [len(record) for record in records])
    return Gaze(points - 0.5, whose, (height, width))


def _load_mat(path: Path) -> dict[str, Any]:
    try:
        return matlab.load(path)
    except Exception as error:  # scipy and h5py raise many kinds for a damaged file
        raise _not_salicon(path, error) from error


def _not_salicon(path: Path, error: Exception) -> InputError:
    return InputError(
        f"'{path}' does not hold SALICON-like fixations (gaze.fixations, resolution) or a map: "
        f"{error}"
    )


def _is_matrix(value: Any) -> bool:
    """Whether it is more than one row and one column of numbers."""
    return (
        isinstance(value, np.ndarray)
        and value.dtype.kind in "biuf"
        and value.ndim == 2
        and min(value.shape) > 1
    )
