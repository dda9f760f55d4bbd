"""Reads and writes the HDF5 files of the library pysaliency: stimuli, fixations, predictions.

Stimuli are a list of image files relative to the HDF5 file, fixations refer to them by position;
pixel i of a row reaches from i to i + 1, as here. Predictions are a data set for each image, named
by the end of its path, a saliency map of any range or a log-density.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from salcli.errors import InputError
from salcli.files.atomic import replacing

__all__ = [
    "SUFFIXES",
    "Predictions",
    "fixations_of",
    "read_stimuli",
    "shortest_names",
    "write_fixations",
    "write_predictions",
    "write_stimuli",
]

Points = npt.NDArray[np.float64]

SUFFIXES = frozenset({".hdf5", ".h5"})

MOST_NUMBERS = 2**28
"""Numbers of a data set in a file that can be meant."""


def read_stimuli(path: Path) -> list[Path]:
    """The image files of `FileStimuli`, in order.

    Raises:
        InputError: The file cannot be read, or holds something else.
    """
    with _opened(path, "FileStimuli") as file:
        names = [_text(name) for name in _array(file, "filenames")]
    return [path.parent / name for name in names]


def fixations_of(path: Path, stimulus: int) -> tuple[Points, npt.NDArray[np.int64]]:
    """Positions `[n, 2]` as (x, y) on a stimulus, by its position from 0, and who looked there.

    Raises:
        InputError: The file cannot be read, or holds something else.
    """
    points, observers, stimuli = _fixations(path)
    chosen = stimuli == stimulus
    return points[chosen], observers[chosen]


PLACES = {
    "Fixations": ("x", "y", "n", ("subject", "subjects")),
    "FixationTrains": ("train_xs", "train_ys", "train_ns", ("train_subjects",)),
    "ScanpathFixations": (
        *("scanpaths/xs", "scanpaths/ys", "scanpaths/n"),
        ("scanpaths/scanpath_attributes/subject",),
    ),
}
"""Data sets of positions, stimuli and observers, by the type of the file. Those of whole scanpaths
are `[scanpath, fixation]`, filled up with NaN."""


@lru_cache(maxsize=2)
def _fixations(path: Path) -> tuple[Points, npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Positions, observers (-1 where unknown) and stimuli of all fixations."""
    with _opened(path, *PLACES) as file:
        *places, subjects = PLACES[_text(file.attrs["type"])]
        xs, ys, stimuli = (_array(file, place) for place in places)
        known = next((place for place in subjects if place in file), None)
        observers = np.full(len(stimuli), -1) if known is None else np.ravel(_array(file, known))
        shape = (len(stimuli), -1)
        xs, ys = xs.reshape(shape), ys.reshape(shape)
        stimuli, observers = (
            np.broadcast_to(column[:, None], xs.shape) for column in (stimuli, observers)
        )
        there = np.isfinite(xs) & np.isfinite(ys)
        points = np.stack([xs[there], ys[there]], axis=1).astype(np.float64)
        return points, observers[there].astype(np.int64), stimuli[there].astype(np.int64)


class Predictions:
    """A file of predictions; its data sets are found by the ends of the images' paths.

    Args:
        path: The file.

    Raises:
        InputError: It cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with _opened(path) as file:
            self.names = list(_data_sets(file))
        self._known = set(self.names)

    def name_for(self, image: Path) -> str | None:
        """The data set of an image; `None` if there is none."""
        parts = image.parts
        ends = ("/".join(parts[start:]) for start in range(len(parts)))
        return next((end for end in ends if end in self._known), None)

    def read(self, name: str) -> npt.NDArray[np.float32]:
        """A map `[H, W]` whose peak is 1 and whose least value is 0, or a density whose peak is 1.

        A map without a value above 0 is a log-density.

        Raises:
            InputError: It cannot be read, or is no map of finite numbers.
        """
        with _opened(self.path) as file:
            values = np.asarray(_array(file, name), np.float64)
        if values.ndim != 2 or not values.size or np.isnan(values).any() or values.max() == np.inf:
            raise InputError(f"'{self.path}': '{name}' is no map [H, W] of finite numbers")
        if values.max() <= 0 and values.min() < 0:
            density: npt.NDArray[np.float32] = np.exp(values - values.max()).astype(np.float32)
            return density
        if not np.isfinite(values).all():
            raise InputError(f"'{self.path}': '{name}' is no map [H, W] of finite numbers")
        low, high = min(values.min(), 0.0), values.max()
        found: npt.NDArray[np.float32] = ((values - low) / ((high - low) or 1.0)).astype(np.float32)
        return found


def write_stimuli(path: Path, images: Sequence[Path], sizes: Sequence[tuple[int, int]]) -> None:
    """Write `FileStimuli` of RGB images of these sizes (H, W).

    Raises:
        OutputError: The file cannot be written.
    """
    import h5py

    folder = path.absolute().parent
    names = [os.path.relpath(image.absolute(), folder) for image in images]
    with replacing(path) as part, h5py.File(part, "w") as file:
        _describe(file, "FileStimuli", "2.1", size=len(names))
        file.create_dataset("filenames", data=names, dtype=h5py.string_dtype())
        shapes = file.create_dataset("shapes", len(names), h5py.vlen_dtype(np.int64))
        for index, size in enumerate(sizes):
            shapes[index] = np.array([*size, 3])


def write_fixations(path: Path, fixations: Iterable[tuple[Points, npt.NDArray[np.int64]]]) -> int:
    """Write `Fixations` without history or times: positions and observers of each stimulus.

    Returns:
        How many there are.

    Raises:
        OutputError: The file cannot be written.
    """
    import h5py

    found = list(fixations)
    points = np.concatenate([np.empty((0, 2)), *(each for each, _ in found)])
    subjects = np.concatenate([np.empty(0, np.int64), *(who for _, who in found)])
    numbers = np.repeat(np.arange(len(found)), [len(each) for each, _ in found])
    unknown = np.full((len(points), 1), np.nan)
    with replacing(path) as part, h5py.File(part, "w") as file:
        _describe(file, "Fixations", "1.2", names=["subject"])
        histories = ["t_hist", "x_hist", "y_hist"]
        file.attrs["__variable_length_arrays__"] = np.bytes_(json.dumps(histories))
        columns = {"x": points[:, 0], "y": points[:, 1], "t": np.zeros(len(points))}
        columns |= dict.fromkeys(histories, unknown)
        columns |= {"n": numbers, "lengths": np.zeros(len(points), int), "subject": subjects}
        for name, column in columns.items():
            file.create_dataset(name, data=column)
    return len(points)


def write_predictions(path: Path, maps: Iterable[tuple[str, npt.NDArray[Any]]]) -> int:
    """Write maps `[H, W]` with the names of their data sets, one after the other.

    Returns:
        How many there are.

    Raises:
        OutputError: The file cannot be written.
    """
    import h5py

    count = 0
    with replacing(path) as part, h5py.File(part, "w") as file:
        for name, map_ in maps:
            file.create_dataset(name, data=map_, compression=9)
            count += 1
    return count


def shortest_names(images: Sequence[Path]) -> list[str]:
    """The ends of the images' paths, as short as they can be to tell all apart."""
    longest = max((len(image.parts) for image in images), default=0)
    for length in range(1, longest + 1):
        names = ["/".join(image.parts[-length:]) for image in images]
        if len(set(names)) == len(names):
            return names
    return [image.as_posix() for image in images]


def _describe(
    file: Any, kind: str, version: str, *, size: int | None = None, names: Any = ()
) -> None:
    file.attrs["type"], file.attrs["version"] = np.bytes_(kind), np.bytes_(version)
    file.attrs["__attributes__"] = np.bytes_(json.dumps(list(names)))
    if size is not None:
        file.attrs["size"] = size


@contextmanager
def _opened(path: Path, *kinds: str) -> Iterator[Any]:
    import h5py  # takes time, and few files are such

    try:
        with h5py.File(path, "r") as file:
            kind = _text(file.attrs.get("type", b""))
            if kinds and kind not in kinds:
                raise InputError(f"'{path}' holds '{kind}', not {kinds[0]} of pysaliency")
            yield file
    except InputError:
        raise
    except Exception as error:  # h5py raises many kinds for a damaged file
        text = " ".join(str(error).split())
        raise InputError(f"'{path}' cannot be read as HDF5 of pysaliency: {text}") from error


def _array(file: Any, name: str) -> npt.NDArray[Any]:
    found = file[name]
    if found.size is None or found.size > MOST_NUMBERS:
        raise ValueError(f"'{name}' declares {found.size} numbers")
    return np.asarray(found[()])


def _data_sets(group: Any, prefix: str = "") -> Iterator[str]:
    for name, node in group.items():
        if isinstance(node, Mapping):  # a group
            yield from _data_sets(node, f"{prefix}{name}/")
        else:
            yield f"{prefix}{name}"


def _text(value: Any) -> str:
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)
