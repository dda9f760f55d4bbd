"""Optical flow: its pictures, methods and files, and which flow belongs to which frame."""

import dataclasses
import struct
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from salcli_stsnet import STSNET, Encoding, flow, flowfiles
from salcli_stsnet.flow import successive
from salcli_stsnet.flowfiles import FlowFolder
from salcli_stsnet.pictures import encode, no_motion
from salcli_stsnet.streams import with_estimated_flow, with_flow_from, without_flow

from salcli import Frame, InputError, Stimulus, UsageError, WeightsError
from salcli.authoring import checkpoint

UVM16 = partial(encode, encoding="uvm16")

Golden = Callable[[str], tuple[dict, dict[str, np.ndarray]]]


@pytest.mark.parametrize("encoding", ["uvm16", "uvm16-mag0", "wheel"])
def test_pictures_equal_the_golden(encoding: Encoding, golden: Golden) -> None:
    _, arrays = golden("06_flow_encoding")
    picture = encode(arrays["flow"], encoding).astype(int)
    difference = np.abs(picture - arrays[encoding.replace("-", "_")])
    assert difference.max() <= 1
    assert (difference > 0).mean() < 1e-3


def test_no_motion_has_one_colour() -> None:
    for encoding, colour in (
        ("uvm16", [128, 128, 128]),
        ("uvm16-mag0", [128, 128, 0]),
        ("wheel", [255, 255, 255]),
    ):
        picture = no_motion(partial(encode, encoding=encoding))
        assert picture.shape == (240, 320, 3)
        assert np.all(picture == colour)


def test_scale_and_offset_are_arguments() -> None:
    field = np.full((1, 1, 2), 2.0, np.float32)
    picture = encode(field, "uvm16", scale=10, offset=100)
    assert picture[0, 0].tolist() == [120, 120, 128]


def texture(shift: int = 0) -> Frame:
    """A picture of smooth blobs, moved to the right; 480 x 640."""
    random = np.random.default_rng(0)
    blobs = cv2.resize(random.integers(0, 256, (30, 40), dtype=np.uint8), (720, 480))
    return np.repeat(blobs[:, 40 - shift : 680 - shift, None], 3, axis=2)


@pytest.mark.parametrize("method", ["dis", "farneback"])
def test_methods_find_motion_on_the_paper_s_grid(method: str) -> None:
    estimator = flow.opencv(method)
    field = estimator.between(*(estimator.prepare(texture(shift)) for shift in (0, 8)))
    assert field.shape == (240, 320, 2)
    assert field.dtype == np.float32
    inner = field[40:-40, 40:-40]
    assert np.median(inner[..., 0]) == pytest.approx(4, abs=0.3)  # half as many pixels
    assert np.median(inner[..., 1]) == pytest.approx(0, abs=0.3)


class Counter:
    """The flow between frames is by how much they became brighter."""

    def prepare(self, frame: Frame, /) -> int:
        return int(frame[0, 0, 0])

    def between(self, previous: int, current: int, /) -> np.ndarray:
        return np.full((1, 1, 2), current - previous, np.float32)


def grey(level: int) -> Frame:
    return np.full((2, 2, 3), level, np.uint8)


@pytest.mark.parametrize(("forward", "seen"), [(False, [1, 1, 2, 3]), (True, [1, 2, 3, 3])])
def test_each_frame_sees_its_flow(forward: bool, seen: list[int]) -> None:
    fine = partial(encode, encoding="uvm16", scale=1)
    frames = [grey(level) for level in (0, 1, 3, 6)]
    pairs = list(with_estimated_flow(iter(frames), Counter(), encode=fine, forward=forward))
    assert [frame[0, 0, 0] for frame, _ in pairs] == [0, 1, 3, 6]
    assert [int(picture[0, 0, 0]) - 128 for _, picture in pairs] == seen


def test_nothing_moves_across_a_cut() -> None:
    """The mean difference of 5 pixels of motion is a few grey levels, of another shot many."""
    shots = [texture(), texture(5), 255 - texture(5), 255 - texture(10), texture()[:240]]
    fields = [f for _, f in successive(shots, flow.opencv("dis"), cuts=40)]
    still = [field is not None and not field.any() for field in fields]
    assert still == [False, False, True, False, True]
    assert fields[0] is None
    assert all(
        field.any() for _, field in successive(shots[1:3], flow.opencv("dis")) if field is not None
    )


@pytest.mark.parametrize("forward", [False, True])
def test_in_a_clip_of_one_frame_nothing_moves(forward: bool) -> None:
    ((_, picture),) = with_estimated_flow([grey(9)], Counter(), encode=UVM16, forward=forward)
    assert np.array_equal(picture, no_motion(UVM16))
    ((_, picture),) = without_flow([grey(9)], UVM16)
    assert np.array_equal(picture, no_motion(UVM16))


def test_flow_comes_while_frames_are_read() -> None:
    def endless():
        while True:
            yield grey(0)

    pairs = with_estimated_flow(endless(), Counter(), encode=UVM16)
    assert len([next(pairs) for _ in range(3)]) == 3


def write_flo(path: Path, field: np.ndarray) -> None:
    height, width = field.shape[:2]
    path.write_bytes(struct.pack("<fii", 202021.25, width, height) + field.astype("<f4").tobytes())


def stimulus(frames: int, *, fps: float | None = 25.0, labels: list[str] | None = None) -> Stimulus:
    pictures = [grey(index) for index in range(frames)]
    return Stimulus("clip", pictures, fps=fps, size=(2, 2), count=frames, labels=labels)


def reds(folder: Path, clip: Stimulus, *, forward: bool = False) -> list[int]:
    """What the second stream sees in its first channel, less the grey of no motion."""
    flows = FlowFolder(folder, clip.name)
    pairs = with_flow_from(flows, clip, encode=UVM16, forward=forward)
    return [int(picture[0, 0, 0]) - 128 for _, picture in pairs]


def test_fields_are_read_from_flo_and_npy(tmp_path: Path) -> None:
    """In pixels of their own size, converted to the grid of 320 x 240."""
    write_flo(tmp_path / "0002.flo", np.full((120, 160, 2), 1.0))
    np.save(tmp_path / "0003.npy", np.full((480, 640, 2), 4.0))
    assert reds(tmp_path, stimulus(3)) == [32, 32, 32]


def test_pictures_are_taken_as_they_are(tmp_path: Path) -> None:
    for number, level in ((1, 10), (2, 20)):
        Image.fromarray(np.full((5, 5, 3), level, np.uint8)).save(tmp_path / f"{number:04d}.png")
    assert reds(tmp_path, stimulus(2)) == [10 - 128, 20 - 128]


def test_a_folder_may_hold_one_folder_per_stimulus(tmp_path: Path) -> None:
    (tmp_path / "clip").mkdir()
    np.save(tmp_path / "clip" / "flow_2.npy", np.full((240, 320, 2), 2.0))
    assert reds(tmp_path, stimulus(2)) == [32, 32]


def test_last_frame_may_lack_forward_flow(tmp_path: Path) -> None:
    np.save(tmp_path / "0001.npy", np.full((240, 320, 2), 3.0))
    assert reds(tmp_path, stimulus(2), forward=True) == [48, 48]
    with pytest.raises(InputError, match=r"no flow of frame '0002'.*0002\.flo"):
        reds(tmp_path, stimulus(3), forward=True)


def test_missing_files_are_told(tmp_path: Path) -> None:
    np.save(tmp_path / "0002.npy", np.zeros((4, 4, 2)))
    with pytest.raises(InputError, match="no flow of frame '0003'"):
        reds(tmp_path, stimulus(4))
    still = stimulus(1, fps=None, labels=["house"])
    with pytest.raises(InputError, match="no flow of frame 'house'"):
        reds(tmp_path, still)
    np.save(tmp_path / "house.npy", np.full((240, 320, 2), 1.0))
    assert reds(tmp_path, still) == [16]


def test_two_files_of_one_number_belong_to_nobody(tmp_path: Path) -> None:
    for name in ("a2", "b2"):
        np.save(tmp_path / f"{name}.npy", np.zeros((4, 4, 2)))
    assert FlowFolder(tmp_path, "clip").find("0002") is None


def test_unknown_flow_counts_as_none(tmp_path: Path) -> None:
    write_flo(tmp_path / "x.flo", np.full((4, 4, 2), 1e10))
    assert np.all(flowfiles.read(tmp_path / "x.flo", UVM16) == 128)


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("short.flo", b"PIEH", "is not a .flo file"),
        ("magic.flo", b"\0" * 40, "is not a .flo file"),
        ("size.flo", struct.pack("<fii", 202021.25, 3, 3) + b"\0" * 8, "3 x 3 vectors and has 1"),
        ("sign.flo", struct.pack("<fii", 202021.25, -1, -1) + b"\0" * 8, "-1 x -1 vectors"),
        ("huge.flo", struct.pack("<fii", 202021.25, 2**31 - 1, 2**31 - 1), "vectors and has 0"),
        ("nan.flo", struct.pack("<fiiff", 202021.25, 1, 1, np.nan, 0), "not finite"),
        ("text.npy", b"text", "is not a .npy file"),
        ("empty.npy", b"", "is not a .npy file"),
        ("picture.png", b"no picture", "picture.png"),
    ],
)
def test_damaged_files_are_told(name: str, content: bytes, told: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=told):
        flowfiles.read(tmp_path / name, UVM16)


@pytest.mark.parametrize(
    ("array", "told"),
    [
        (np.zeros((4, 4, 3), np.float32), r"must be \[h, w, 2\]"),
        (np.zeros((4, 4, 2), np.int64), "floating-point"),
        (np.zeros((0, 4, 2), np.float32), "floating-point"),
        (np.full((1, 1, 2), 1e300), "not finite"),
        (np.array([{}], object), "is not a .npy file"),
    ],
)
def test_arrays_that_are_no_flow_are_told(array: np.ndarray, told: str, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", array, allow_pickle=True)
    with pytest.raises(InputError, match=told):
        flowfiles.read(tmp_path / "x.npy", UVM16)


@pytest.fixture
def raft_spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """STSNet's spec with RAFT's weights behind a file address, under their hash's beginning."""
    from torchvision.models.optical_flow import raft_small

    monkeypatch.setenv("SALCLI_CACHE_DIR", str(tmp_path / "cache"))
    torch.manual_seed(0)
    network = raft_small(weights=None)
    path = tmp_path / "raft.pth"
    torch.save(network.state_dict(), path)

    def spec(beginning: str = ""):
        row = STSNET.weights_row("raft-small")
        assert row is not None
        name = f"raft_small_C_T_V2-{beginning or checkpoint.sha256(path)[:8]}.pth"
        row = dataclasses.replace(row, urls=(path.as_uri(),), filename=name)
        return dataclasses.replace(STSNET, weights=(row,)), network

    return spec


def test_raft_comes_from_the_store(raft_spec: Callable) -> None:
    spec, reference = raft_spec()
    network = flow.load_raft(spec, "raft", offline=True)
    state = network.state_dict()
    assert all(torch.equal(state[key], own) for key, own in reference.state_dict().items())
    estimator = flow.raft(network, torch.device("cpu"))
    first, second = (estimator.prepare(texture(shift)) for shift in (0, 8))
    assert first.shape == (1, 3, 240, 320)
    assert -1 <= first.min() < first.max() <= 1
    field = estimator.between(first, second)
    assert field.shape == (240, 320, 2)
    assert field.dtype == np.float32


def test_another_file_is_not_taken_for_raft(raft_spec: Callable) -> None:
    spec, _ = raft_spec("01064c6d")
    with pytest.raises(WeightsError, match=r"not torchvision's file.*weights remove"):
        flow.load_raft(spec, "raft", offline=True)


def test_raft_without_torchvision_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchvision.models.optical_flow", None)
    with pytest.raises(UsageError, match=r"salcli-stsnet\[raft\]"):
        flow.load_raft(STSNET, "raft", offline=True)


def test_names_of_raft_s_files_are_torchvision_s() -> None:
    from torchvision.models.optical_flow import Raft_Large_Weights, Raft_Small_Weights

    for tag, published in (
        ("raft-small", Raft_Small_Weights.C_T_V2),
        ("raft-large", Raft_Large_Weights.C_T_SKHT_V2),
    ):
        row = STSNET.weights_row(tag)
        assert row is not None
        assert row.urls == (published.url,)
        assert published.url.endswith(f"/{row.filename}")
