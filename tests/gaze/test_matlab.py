"""Files as MATLAB 7.3 saves them give what files of earlier versions give.

Nobody has MATLAB here, so they are written as it writes them: HDF5 behind a block of 512 bytes,
axes in reverse, elements of cells and struct arrays as references.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from scipy.io import loadmat, savemat

from salcli.datasets.open import open_dataset
from salcli.errors import InputError
from salcli.gaze import groundtruth, matlab
from salcli.gaze.files import read_matrix
from salcli.types import Annotation

Miniature = Callable[[str], Path]


def save(path: Path, variables: Mapping[str, Any]) -> None:
    """Arrays, texts, mappings (structs), lists of mappings (struct arrays), other lists (cells)."""
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, value in variables.items():
            put(file, name, value)
    head = b"MATLAB 7.3 MAT-file, Platform: GLNXA64, Created on: Sat Nov 21 2026 HDF5 schema 1.00 ."
    with path.open("r+b") as raw:
        raw.write(head.ljust(116) + bytes(8) + b"\x00\x02IM")


def put(group: h5py.Group, name: str, value: Any) -> h5py.Dataset | h5py.Group:
    if isinstance(value, Mapping):
        node = group.create_group(name)
        for field, content in value.items():
            put(node, field, content)
        return marked(node, "struct")
    if isinstance(value, list) and isinstance(value[0], Mapping):
        node = group.create_group(name)
        for field in value[0]:
            refer(node, field, [element[field] for element in value])
        return marked(node, "struct")
    if isinstance(value, list):
        return marked(refer(group, name, value), "cell")
    if isinstance(value, str):
        codes = np.array([[ord(letter)] for letter in value], np.uint16)
        return marked(group.create_dataset(name, data=codes), "char")
    matrix = np.atleast_2d(value)
    if not matrix.size:
        node = group.create_dataset(name, data=np.array(matrix.shape, np.uint64))
        node.attrs["MATLAB_empty"] = np.uint8(1)
    else:
        node = group.create_dataset(name, data=matrix.T, compression="gzip")
    return marked(node, {"float64": "double", "bool": "logical"}.get(f"{value.dtype}", "uint8"))


def refer(group: h5py.Group, name: str, elements: Sequence[Any]) -> h5py.Dataset:
    """A dataset `[1, n]`, as MATLAB writes n x 1 of them."""
    heap = group.file.require_group("#refs#")
    nodes = [put(heap, f"n{len(heap)}", element) for element in elements]
    found = group.create_dataset(name, (1, len(nodes)), dtype=h5py.ref_dtype)
    for index, node in enumerate(nodes):
        found[0, index] = node.ref
    return found


def marked(node: Any, kind: str) -> Any:
    node.attrs["MATLAB_class"] = np.bytes_(kind)
    return node


def as_73(path: Path) -> None:
    """Save a SALICON file again, as version 7.3."""
    content = loadmat(path)
    observers = [
        {field: row[field] for field in ("location", "timestamp", "fixations")}
        for row in content["gaze"].ravel()
    ]
    gaze_ = observers if len(observers) > 1 else observers[0]
    image = str(content["image"][0])
    save(path, {"gaze": gaze_, "image": image, "resolution": content["resolution"]})


def read(path: Path) -> groundtruth.Fixations:
    return groundtruth.read_fixations(Annotation("a", fixations=path), (36, 48))


def test_salicon_in_both_versions_says_the_same(miniature: Miniature, tmp_path: Path) -> None:
    """One observer of each file has fixated nothing, which is stored as a shape."""
    for recording in open_dataset("salicon", [miniature("salicon")]).recordings("train"):
        (annotation,) = recording.annotations
        assert annotation.fixations is not None
        copy = tmp_path / annotation.fixations.name
        copy.write_bytes(annotation.fixations.read_bytes())
        as_73(copy)
        with pytest.raises(NotImplementedError):
            loadmat(copy)
        before, after = read(annotation.fixations), read(copy)
        assert after.points.tolist() == before.points.tolist()
        assert after.observers.tolist() == before.observers.tolist() == [0, 0, 1, 1]


def test_a_lone_observer_is_a_struct_and_no_struct_array(tmp_path: Path) -> None:
    path = tmp_path / "a.mat"
    fixations = np.array([[1, 1], [48, 36], [49, 1]], np.uint8)
    lone = {"fixations": fixations, "notes": ["blinked", np.eye(2)]}
    save(path, {"gaze": lone, "resolution": np.array([[36.0, 48.0]])})
    found = read(path)
    assert found.points.tolist() == [[0.5, 0.5], [47.5, 35.5]]
    assert found.outside == 1
    text, matrix = matlab.load(path)["gaze"][0]["notes"].ravel()
    assert text.tolist() == ["blinked"]
    assert matrix.tolist() == [[1, 0], [0, 1]]


@pytest.mark.parametrize("kind", [bool, np.uint8, np.float64])
def test_a_matrix_is_indexed_as_in_matlab(tmp_path: Path, kind: type) -> None:
    fixated = np.zeros((36, 48), kind)
    fixated[3, 40] = fixated[35, 0] = 1
    savemat(tmp_path / "before.mat", {"I": fixated})
    save(tmp_path / "after.mat", {"I": fixated, "name": "clip"})
    both = [read(tmp_path / f"{name}.mat").points.tolist() for name in ("before", "after")]
    assert both[0] == both[1] == [[40.5, 3.5], [0.5, 35.5]]
    assert np.array_equal(read_matrix(tmp_path / "after.mat"), fixated.astype(np.float32))


def test_what_is_damaged_or_something_else_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.mat"
    save(path, {"gaze": [{"fixation": np.eye(2)}] * 2, "resolution": np.array([[36, 48]])})
    with pytest.raises(InputError, match=r"a\.mat' does not hold SALICON-like fixations"):
        read(path)
    save(path, {"I": np.eye(9)})
    whole = path.read_bytes()
    for length in (512, 700, len(whole) // 2):
        path.write_bytes(whole[:length])
        with pytest.raises(InputError, match=r"a\.mat' does not hold SALICON-like fixations"):
            read(path)
