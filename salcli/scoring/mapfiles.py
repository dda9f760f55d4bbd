"""Reads one predicted map from a file that anyone may have written."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from salcli.errors import InputError
from salcli.files.arrayfile import read_arrays
from salcli.media.images import SUFFIXES as PICTURES

__all__ = ["ARRAYS", "SUFFIXES", "Map", "read"]

Map: TypeAlias = npt.NDArray[Any]

ARRAYS = (".npy", ".npz")
"""Arrays `[H, W]`; an NPZ file with several needs one called `saliency`."""

SUFFIXES = (*ARRAYS, *sorted(PICTURES))
"""File formats of maps; if a frame has several files, the first of these formats counts."""

TINT = 16
"""Largest difference in levels between the colours of a grey picture after JPEG."""

LEVELS_16 = 65535


def read(path: Path) -> Map:
    """Read a map `[H, W]`: uint8 and floats as they are, 16 bit as float32 in [0, 1].

    Raises:
        InputError: The file cannot be read, or holds no map.
    """
    try:
        values = _array(path) if path.suffix.lower() in ARRAYS else _picture(path)
    except InputError:
        raise
    except Exception as error:  # numpy and Pillow raise many kinds for damaged files
        raise InputError(f"'{path}' cannot be read as a map: {error}") from error
    if values.ndim != 2 or 0 in values.shape:
        raise InputError(f"'{path}' is {list(values.shape)}, a map is [H, W]")
    return values


def _array(path: Path) -> Map:
    arrays = read_arrays(path)
    name = "saliency" if "saliency" in arrays else next(iter(arrays), "")
    if len(arrays) != 1 and name != "saliency":
        raise InputError(f"'{path}' holds {', '.join(arrays)}; the map must be called saliency")
    content = arrays[name]
    if content.dtype == np.bool_:
        content = content.astype(np.uint8) * np.uint8(255)
    if content.dtype != np.uint8 and content.dtype.kind != "f":
        raise InputError(f"'{path}' holds {content.dtype}; a map is uint8 or floating point")
    return content


def _picture(path: Path) -> Map:
    with Image.open(path) as image:
        if image.mode == "L":
            return np.asarray(image)
        if image.mode == "F":
            return np.asarray(image)
        if image.mode.startswith("I"):
            return np.asarray(image).astype(np.float32) / np.float32(LEVELS_16)
        colours = np.asarray(image.convert("RGB"))
    if int(np.ptp(colours, axis=2).max()) > TINT:
        raise InputError(f"'{path}' is a coloured picture, not a map; score grey maps, PNG or NPY")
    return colours[..., 0]
