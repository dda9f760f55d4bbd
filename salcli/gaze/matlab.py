"""Reads MATLAB's files of any version.

Those of version 7.3 are HDF5 with attributes that say what is what. Numbers are a dataset with the
axes in reverse, since MATLAB counts along columns first. A cell array is a dataset of references to
its elements; a struct is a group of its fields, and a struct array a group of such datasets, one
for each field. Of an empty array the shape is stored instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.io import loadmat

from salcli.gaze import mat5

__all__ = ["load"]

Array = npt.NDArray[Any]

MOST_NUMBERS = 2**28
"""Numbers of an array in a file that can be meant."""

REFERENCED = "#refs#"
"""The group of what references refer to."""


def load(path: Path) -> dict[str, Any]:
    """The variables of a `.mat` file by name, indexed as in MATLAB.

    An element of a struct array is indexed by the names of its fields.

    Raises:
        Exception: scipy and h5py raise many kinds for a file that is damaged, or not MATLAB's.
    """
    try:
        mat5.check(path.read_bytes())
        content: dict[str, Any] = loadmat(path)
    except NotImplementedError:  # what scipy says of version 7.3, which is HDF5
        return _load_hdf5(path)
    return {name: value for name, value in content.items() if not name.startswith("__")}


def _load_hdf5(path: Path) -> dict[str, Any]:
    import h5py  # takes time, and few files are such

    with h5py.File(path, "r") as file:
        return {name: _value(node) for name, node in file.items() if name != REFERENCED}


def _value(node: Any) -> Array:
    if isinstance(node, Mapping):  # a group
        return _structs(dict(node.items()))
    if node.size > MOST_NUMBERS:
        raise ValueError(f"'{node.name}' declares {node.size:,} numbers")
    kind, stored = node.attrs.get("MATLAB_class", b""), node[()]
    if node.attrs.get("MATLAB_empty", 0):
        shape = tuple(map(int, stored))
        return np.empty(shape, object if kind in (b"cell", b"struct") else float)
    matrix: Array = stored.T
    if _refers(node):
        found = np.empty(matrix.shape, object)
        for place, reference in np.ndenumerate(matrix):
            found[place] = _value(node.file[reference])
        return found
    if kind == b"char":
        return np.array(["".join(map(chr, line)) for line in matrix])
    return matrix


def _structs(fields: dict[str, Any]) -> Array:
    """The elements `[n]` of a struct array, each a mapping; of a lone struct its only one."""
    values = {name: _value(field) for name, field in fields.items()}
    # a lone struct may have a cell array in a field, which refers too, but says that it is one
    if not all(_refers(field) and "MATLAB_class" not in field.attrs for field in fields.values()):
        return np.array([values], object)
    columns = [np.ravel(value, order="F") for value in values.values()]
    rows = [dict(zip(values, row, strict=True)) for row in zip(*columns, strict=True)]
    return np.array(rows, object)


def _refers(node: Any) -> bool:
    """Whether it is a dataset of references."""
    import h5py

    return isinstance(node, h5py.Dataset) and h5py.check_ref_dtype(node.dtype) is not None
