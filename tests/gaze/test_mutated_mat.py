"""MATLAB files in which bytes were changed: read as fixations, or told as damaged."""

from __future__ import annotations

import io
import warnings
from contextlib import suppress
from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy.io import savemat

from salcli.errors import InputError
from salcli.gaze import groundtruth, kernels
from salcli.gaze.files import read_matrix
from salcli.types import Annotation

SIZE = (36, 48)


def salicon(compress: bool) -> bytes:
    """What SALICON publishes, of two observers."""
    records = np.zeros((2, 1), [("fixations", object)])
    for row in records:
        row["fixations"][0] = np.array([[3.0, 4.0], [20.0, 30.0]])
    file = io.BytesIO()
    content = {"gaze": records, "resolution": np.array([[36.0, 48.0]]), "image": "a"}
    savemat(file, content, do_compression=compress)
    return file.getvalue()


def version_73() -> bytes:
    """A map, as MATLAB 7.3 stores it."""
    file = io.BytesIO()
    with h5py.File(file, "w", userblock_size=512) as written:
        node = written.create_dataset("I", data=np.eye(48, 36), compression="gzip")
        node.attrs["MATLAB_class"] = np.bytes_("double")
    head = b"MATLAB 7.3 MAT-file".ljust(116) + bytes(8) + b"\x00\x02IM"
    return head + file.getvalue()[len(head) :]


KINDS = {
    "plain": lambda: salicon(False),
    "compressed": lambda: salicon(True),
    "7.3": version_73,
}


def mutated(content: bytes, random: np.random.Generator) -> bytes:
    changed = bytearray(content)
    for _ in range(int(random.integers(1, 9))):
        changed[int(random.integers(len(changed)))] = int(random.integers(256))
    if random.random() < 0.2:
        del changed[int(random.integers(len(changed))) :]
    return bytes(changed)


@pytest.mark.parametrize("count", [10, pytest.param(200, marks=pytest.mark.endurance)])
@pytest.mark.parametrize("kind", KINDS)
def test_a_mutated_file_is_read_or_told(kind: str, count: int, tmp_path: Path) -> None:
    content, path = KINDS[kind](), tmp_path / "a.mat"
    random = np.random.default_rng(count)
    path.write_bytes(content)
    assert len(groundtruth.read_fixations(Annotation("a", None, path), SIZE).points) > 3
    for _ in range(count):
        path.write_bytes(mutated(content, random))
        with suppress(InputError), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = groundtruth.read_fixations(Annotation("a", None, path), SIZE)
            assert kernels.count_map(found.points, SIZE).sum() == len(found.points)
        with suppress(InputError), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert read_matrix(path).ndim == 2


def test_an_unknown_type_of_numbers_does_not_crash_scipy(tmp_path: Path) -> None:
    content, path = bytearray(salicon(False)), tmp_path / "a.mat"
    content[content.index(np.array([9, 32], "<u4").tobytes())] = 36
    path.write_bytes(content)

    with pytest.raises(InputError, match="unknown type of numbers: 36"):
        groundtruth.read_fixations(Annotation("a", None, path), SIZE)


def test_an_array_of_many_elements_is_not_made(tmp_path: Path) -> None:
    content, path = bytearray(salicon(False)), tmp_path / "a.mat"
    shape = content.index(np.array([2, 1], "<i4").tobytes())
    content[shape : shape + 8] = np.array([2**20, 2**10], "<i4").tobytes()
    path.write_bytes(content)

    with pytest.raises(InputError, match="2 elements instead of"):
        groundtruth.read_fixations(Annotation("a", None, path), SIZE)
