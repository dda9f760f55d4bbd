"""Reads NumPy's files, which may be damaged or claim to hold more than memory does."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["read_arrays"]

RATIO, ALLOWANCE = 20, 2**26
"""An archive may unpack to so many times its size, and so many bytes more: a small map of one value
shrinks a thousandfold, a gigabyte of weights hardly at all."""


def read_arrays(path: Path) -> dict[str, npt.NDArray[Any]]:
    """The arrays of an `.npz` file by name, or that of an `.npy` file under the empty name.

    Raises:
        ValueError: The file cannot be read, or holds something else than plain arrays.
    """
    try:
        if path.suffix.lower() != ".npz":
            return {"": _array(path.read_bytes())}
        with zipfile.ZipFile(path) as archive:
            size, unpacked = path.stat().st_size, sum(m.file_size for m in archive.infolist())
            if unpacked > RATIO * size + ALLOWANCE:
                raise ValueError(f"it declares {unpacked:,} bytes in a file of {size:,}")
            members = archive.infolist()
            return {m.filename.removesuffix(".npy"): _array(archive.read(m)) for m in members}
    except Exception as error:  # numpy and zipfile raise many kinds for damaged files
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"it is not a file of plain arrays: {reason}") from error


def _array(content: bytes) -> npt.NDArray[Any]:
    array = np.load(io.BytesIO(content), allow_pickle=False)
    if not isinstance(array, np.ndarray):
        raise ValueError("an archive in the place of an array")
    return array
