"""NumPy's files that are damaged, or that claim to hold more than memory does."""

import io
import struct
import zipfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from salcli.errors import InputError, WeightsError
from salcli.files import checkpoint
from salcli.files.arrayfile import read_arrays
from salcli.scoring import mapfiles

FEW = settings(
    max_examples=60,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def packed(**arrays: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


PLAIN = packed(saliency=np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4))


def test_plain_arrays_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_bytes(packed(a=np.arange(3), b=np.zeros((2, 2))))
    np.save(tmp_path / "a.npy", np.arange(4))

    found = read_arrays(tmp_path / "a.npz")

    assert list(found) == ["a", "b"]
    assert found["a"].tolist() == [0, 1, 2]
    assert read_arrays(tmp_path / "a.npy")[""].tolist() == [0, 1, 2, 3]


def test_a_file_that_declares_gigabytes_is_refused_at_once(tmp_path: Path) -> None:
    entry = zipfile.ZipFile(io.BytesIO(PLAIN)).infolist()[0].file_size
    claim = PLAIN.replace(struct.pack("<L", entry), struct.pack("<L", 3_000_000_000))
    path = tmp_path / "a.npz"
    path.write_bytes(claim)

    for read, error in ((checkpoint.read, WeightsError), (mapfiles.read, InputError)):
        with pytest.raises(error, match="declares 3,000,000,000 bytes in a file of"):
            read(path)


def test_a_header_that_declares_gigabytes_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "a.npy").open("wb") as file:
        header = {"descr": "<f8", "fortran_order": False, "shape": (10**6, 10**6)}
        np.lib.format.write_array_header_1_0(file, header)
        file.write(b"few bytes")

    with pytest.raises(InputError, match="is not a file of plain arrays"):
        mapfiles.read(tmp_path / "a.npy")


@pytest.mark.parametrize("compression", [97, 8])
def test_an_unknown_compression_or_an_encrypted_file_is_no_bug(
    tmp_path: Path, compression: int
) -> None:
    content = bytearray(PLAIN)
    for start in (PLAIN.index(b"PK\3\4") + 6, PLAIN.index(b"PK\1\2") + 8):
        content[start : start + 4] = struct.pack("<HH", int(compression == 8), compression)
    (tmp_path / "a.npz").write_bytes(content)

    with pytest.raises(WeightsError, match="is not a file of plain arrays"):
        checkpoint.read(tmp_path / "a.npz")


def test_an_archive_on_several_disks_is_not_weights(tmp_path: Path) -> None:
    locator = struct.pack("<4sLQL", b"PK\6\7", 1, 0, 2)
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 0, 0, 0, 0, 0)
    (tmp_path / "a.pt").write_bytes(locator + end)

    with pytest.raises(WeightsError):
        checkpoint.read(tmp_path / "a.pt")


@FEW
@given(data=st.data())
def test_a_mutated_file_is_read_or_refused(tmp_path: Path, data: st.DataObject) -> None:
    content = bytearray(data.draw(st.sampled_from([PLAIN, PLAIN[:80], b"\x93NUMPY\1\0v\0{'a': ("])))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    for name in ("a.npz", "a.npy"):
        (tmp_path / name).write_bytes(content)
        found: dict[str, np.ndarray] = {}
        with suppress(ValueError):
            found = read_arrays(tmp_path / name)
        assert all(isinstance(array, np.ndarray) for array in found.values())
