"""Weights files: what is read, what is refused, and how they are written."""

import errno
import io
import os
import resource
import signal
import stat
import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional

from salcli.errors import OutputError, WeightsError
from salcli.files import checkpoint
from salcli.files.checkpoint import Checkpoint
from salcli.inputs import IMAGENET, Standardisation


def state() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return nn.Conv2d(3, 4, 3).state_dict()


def assert_equal(found: Checkpoint, expected: dict[str, torch.Tensor]) -> None:
    assert set(found.state) == set(expected)
    for key, tensor in expected.items():
        assert torch.equal(found.state[key], tensor)


@pytest.mark.parametrize("wrapper", [None, "model_state_dict", "state_dict", "model"])
@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize("zipped", [True, False])
def test_published_files_in_all_their_wrappings(
    tmp_path: Path, wrapper: str | None, prefix: str, zipped: bool
) -> None:
    path = tmp_path / "weights.pth"
    content: Any = {prefix + key: tensor for key, tensor in state().items()}
    if wrapper:
        content = {wrapper: content, "epoch": 3, "optimizer": {"lr": 0.1}}
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    assert_equal(checkpoint.read(path), state())


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says what is mapped")
def test_a_file_is_mapped_instead_of_read(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    torch.save(state(), path)

    found = checkpoint.read(path)

    assert str(path) in Path("/proc/self/maps").read_text()
    assert_equal(found, state())
    del found
    assert str(path) not in Path("/proc/self/maps").read_text()


class Bomb:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("zipped", [True, False])
def test_code_in_a_file_is_refused_and_not_run(tmp_path: Path, zipped: bool) -> None:
    path, trace = tmp_path / "bomb.pth", tmp_path / "exploded"
    torch.save({**state(), "bomb": Bomb(trace)}, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(WeightsError, match=r"bomb\.pth.*pickle code"):
        checkpoint.read(path)
    assert not trace.exists()


def stranger(name: str) -> bytes:
    buffer = io.BytesIO()
    if name == "cut.pth":
        torch.save(state(), buffer)
        return buffer.getvalue()[:500]
    if name == "tar.pth":
        with tarfile.open(fileobj=buffer, mode="w"):
            pass
    elif name == "list.pth":
        torch.save([1, 2], buffer)
    elif name == "none.pth":
        torch.save({}, buffer)
    elif name == "numbers.pth":
        torch.save({"epoch": 3}, buffer)
    elif name.startswith("text"):
        return b"<html>not found</html>" * 20
    return buffer.getvalue()


@pytest.mark.parametrize(
    "name",
    [
        *("empty.pth", "cut.pth", "tar.pth", "list.pth", "none.pth", "numbers.pth", "text.pth"),
        *("empty.safetensors", "text.safetensors"),
    ],
)
def test_what_is_no_weights_file_ends_with_one_line(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(stranger(name))
    with pytest.raises(WeightsError, match=name) as caught:
        checkpoint.read(path)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"gone\.pth' does not exist"):
        checkpoint.read(tmp_path / "gone.pth")


def test_saved_weights_come_back_with_their_metadata(tmp_path: Path) -> None:
    path, metadata = tmp_path / "new" / "best.safetensors", {"options": {"gain": 2}, "epoch": 1}
    tensors = {**state(), "count": torch.tensor(7)}
    tensors["weight"] = tensors["weight"].contiguous(memory_format=torch.channels_last)
    checkpoint.save(path, tensors, metadata=metadata)
    found = checkpoint.read(path)
    assert_equal(found, tensors)
    assert found.metadata == metadata
    assert found.options == {"gain": 2}
    checkpoint.save(path, tensors, metadata=metadata, dtype=torch.float16)
    halved = checkpoint.read(path).state
    assert halved["weight"].dtype is torch.float16
    assert halved["count"].dtype is torch.int64


def test_foreign_safetensors_have_no_metadata(tmp_path: Path) -> None:
    save_file(state(), tmp_path / "foreign.safetensors")
    found = checkpoint.read(tmp_path / "foreign.safetensors")
    assert_equal(found, state())
    assert found.options == {}


def test_every_disagreement_is_listed_but_only_five_of_a_kind() -> None:
    network = nn.Sequential(*(nn.Linear(2, 2) for _ in range(4)))
    saved = Checkpoint({"0.weight": torch.zeros(3, 2), "x": torch.zeros(1)}, Path("w.pth"))
    with pytest.raises(WeightsError) as caught:
        checkpoint.load_strict(network, saved)
    text = str(caught.value)
    assert "w.pth" in text
    assert "7 missing keys: 0.bias, 1.weight, 1.bias, 2.weight, 2.bias, ..." in text
    assert "1 unexpected keys: x;" in text
    assert "0.weight [3, 2] instead of [2, 2]" in text


def test_half_precision_files_fill_a_network() -> None:
    network = nn.Conv2d(3, 4, 3)
    half = {key: tensor.half() for key, tensor in state().items()}
    checkpoint.load_strict(network, Checkpoint(half, Path("w")))
    assert network.weight.dtype is torch.float32
    assert torch.equal(network.weight, half["weight"].float())


def test_training_states_come_back(tmp_path: Path) -> None:
    content = {"network": state(), "epoch": 3, "best": None, "text": "t", "nested": {"a": [1.5]}}
    checkpoint.save_training(tmp_path / "new" / "last.pt", content)
    found = checkpoint.read_training(tmp_path / "new" / "last.pt")
    assert torch.equal(found["network"]["weight"], state()["weight"])
    assert {k: v for k, v in found.items() if k != "network"} == {
        k: v for k, v in content.items() if k != "network"
    }
    torch.save([1], tmp_path / "list.pt")
    with pytest.raises(WeightsError, match=r"list\.pt' is not a training state"):
        checkpoint.read_training(tmp_path / "list.pt")


@pytest.fixture
def umask() -> Iterator[None]:
    before = os.umask(0o027)
    yield
    os.umask(before)


def test_files_have_the_permissions_that_the_user_wants(tmp_path: Path, umask: None) -> None:
    checkpoint.save(tmp_path / "a.safetensors", state(), metadata={})
    checkpoint.save_training(tmp_path / "b.pt", {"epoch": 1})
    for path in tmp_path.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o640


TOO_LARGE = os.strerror(errno.EFBIG)


@contextmanager
def full_disk() -> Iterator[None]:
    """No file may grow beyond some bytes: also not the one that pytest's output may go to."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_what_does_not_fit_leaves_the_old_file(tmp_path: Path) -> None:
    for name in ("a.safetensors", "b.pt"):
        (tmp_path / name).write_text("old")
    with full_disk(), pytest.raises(OutputError, match=rf"a\.safetensors.*{TOO_LARGE}"):
        checkpoint.save(tmp_path / "a.safetensors", state(), metadata={})
    with full_disk(), pytest.raises(OutputError, match=rf"b\.pt.*{TOO_LARGE}"):
        checkpoint.save_training(tmp_path / "b.pt", state())
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        "a.safetensors": "old",
        "b.pt": "old",
    }


def test_a_file_in_the_place_of_a_folder_is_reported(tmp_path: Path) -> None:
    (tmp_path / "taken").touch()
    path = tmp_path / "taken" / "file"
    with pytest.raises(OutputError, match="taken"):
        checkpoint.save(path, state(), metadata={})
    with pytest.raises(OutputError, match="taken"):
        checkpoint.save_training(path, {"epoch": 1})


def test_sha256(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"abc")
    assert checkpoint.sha256(tmp_path / "f").startswith("ba7816bf8f01cfea")


def test_arrays_of_numpy_are_read_by_their_names(tmp_path: Path) -> None:
    weight = np.arange(6, dtype=np.float32).reshape(2, 3)
    np.savez(tmp_path / "old.npz", weight, bias=np.zeros(2, np.float32))
    saved = checkpoint.read(tmp_path / "old.npz")
    assert list(saved.state) == ["bias", "arr_0"]
    assert torch.equal(saved.state["arr_0"], torch.from_numpy(weight))


@pytest.mark.parametrize("content", ["objects", "no archive", "texts"])
def test_archive_of_anything_but_numbers_is_refused(content: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.npz"
    match content:
        case "objects":
            np.savez(path, weight=np.array([{"a": 1}], dtype=object))
        case "texts":
            np.savez(path, weight=np.array(["a"]))
        case _:
            path.write_bytes(b"nothing of the kind")
    with pytest.raises(WeightsError, match=r"bad\.npz' cannot be read as weights: "):
        checkpoint.read(path)


class Unwritable:
    """Raises what torch raised when a disk had refused, some exceptions ago."""

    def __reduce__(self) -> str:
        try:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError:
            try:
                raise ValueError("torch ends its archive")
            except ValueError:
                raise RuntimeError("unexpected pos 64 vs 0")  # noqa: B904 (as torch does)


def test_the_disk_is_named_however_deep_its_error_lies(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="No space left on device"):
        checkpoint.save_training(tmp_path / "last.pt", {"part": Unwritable()})
    assert list(tmp_path.iterdir()) == []


def test_a_first_convolution_takes_other_inputs() -> None:
    torch.manual_seed(0)
    first = nn.Conv2d(3, 4, 3)
    was, now = IMAGENET, Standardisation((0.4, 0.5, 0.0), (1.0, 0.5, 1 / 255))
    p = torch.rand(1, 3, 6, 5)
    x, z = (
        (p - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)
        for mean, std in (was, now)
    )
    weight, constant = checkpoint.fold_inputs(first.weight, was=was, now=now)
    folded = functional.conv2d(z, weight, first.bias + constant)
    torch.testing.assert_close(folded, first(x))
