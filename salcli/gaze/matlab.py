"""Reads MATLAB's files of any version."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from scipy.io import loadmat

__all__ = ["load"]


def load(path: Path) -> dict[str, Any]:
    """The variables of a `.mat` file by name, indexed as in MATLAB.

    An element of a struct array is indexed by the names of its fields.

    Raises:
        Exception: scipy and h5py raise many kinds for a file that is damaged, or not MATLAB's.
    """
    try:
        content: dict[str, Any] = loadmat(path)
    except NotImplementedError:  # what scipy says of version 7.3, which is HDF5
        from salcli.gaze import matlab73  # h5py takes time to import, and few files are such

        return matlab73.load(path)
    return {name: value for name, value in content.items() if not name.startswith("__")}
