"""TASED-Net through the installed command: the original's maps from RGB frames, bad weights."""

import json
import subprocess
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from salcli_tased.finishing import finish
from salcli_tased.model import Tased
from salcli_tased.network import TasedNet

GOLDENS = Path(__file__).parent / "goldens"
GOLDEN = json.loads((GOLDENS / "e2e_bikes63.json").read_text())
Arrays = dict[str, np.ndarray]
Make = Callable[..., Tased]
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def arrays() -> Arrays:
    return dict(np.load(GOLDENS / "e2e_bikes63.npz"))


def save_frames(folder: Path, frames: np.ndarray) -> Path:
    folder.mkdir()
    for number, frame in enumerate(frames, start=1):
        Image.fromarray(frame).save(folder / f"{number:04d}.png")
    return folder


def assert_close_to_golden(
    name: str, saliency: np.ndarray, grey: np.ndarray, raw: np.ndarray, arrays: Arrays
) -> None:
    """Within the tolerances that the golden states.

    Args:
        name: Of the map in the golden.
        saliency: The finished map, in [0, 1].
        grey: The same in 8 bit.
        raw: The network's own map.
        arrays: The golden.
    """
    difference = np.abs(255 * saliency[::4, ::4] - arrays[f"final_{name}"])
    assert difference.max() <= 3
    assert difference.mean() <= 0.06
    off = np.abs(grey.astype(int) - arrays[f"u8_{name}"])
    assert off.max() <= 3
    assert (off == 0).mean() >= 0.95
    if f"raw_{name}" in arrays:
        difference = np.abs(raw[::2, ::2] - arrays[f"raw_{name}"])
        assert difference.mean() <= 1e-3
        assert (difference <= 1e-4).mean() >= 0.65


@pytest.mark.endurance
def test_video_equals_the_original(
    salcli: Run, arrays: Arrays, weights_file: Path, tmp_path: Path
) -> None:
    """Frames before and after the first whole window, and the last one; all slices are shared."""
    clip = save_frames(tmp_path / "bikes", arrays["frames"])
    ran = salcli(
        *("predict", clip, "--model", "tased", "--weights", weights_file, "--device", "cpu"),
        *("--size", "published", "--save", "npy", "--save", "png", "--extras", "-o", "maps"),
        *("-O", "stride=30"),
    )
    assert ran.returncode == 0, ran.stderr
    folder = tmp_path / "maps" / "bikes"
    record = json.loads((folder / "salcli.json").read_text())
    assert record["frames"] == 63
    computed = {"0001", "0031", "0061", "0063"}
    assert record["interpolated"] == sorted({f"{n:04d}" for n in range(1, 64)} - computed)
    for index in (0, 30, 62):
        stem = folder / f"{index + 1:04d}"
        saliency, raw = (np.load(f"{stem}{suffix}") for suffix in (".npy", ".raw.npy"))
        grey = np.asarray(Image.open(stem.with_suffix(".png")))
        assert_close_to_golden(str(index), saliency, grey, raw, arrays)


@torch.inference_mode()
@pytest.mark.parametrize(
    ("name", "order"),
    [
        pytest.param("31", range(32), marks=pytest.mark.endurance),
        ("short40_12", [place % 40 for place in range(12 + 31, 11, -1)]),
    ],
)
def test_windows_equal_the_original(
    name: str, order: Sequence[int], arrays: Arrays, network: TasedNet, make: Make
) -> None:
    """Of the first frame that has 31 before it, and of a video that is repeated."""
    model = make({})
    clip = model.preprocess([arrays["frames"][place] for place in order]).transpose(0, 1)[None]
    features = network.encode(clip)
    for activation in ("y3", "y2", "y0"):
        if f"{activation}_{name}" in arrays:
            ours = getattr(features, activation)[0, ::16]
            ours = ours if activation == "y0" else ours[:, ::3, ::4, ::4]
            golden = arrays[f"{activation}_{name}"]
            np.testing.assert_allclose(ours.numpy(), golden, rtol=0, atol=5e-4)
    raw = network.decode(features)
    finished = finish(raw)[0, 0].numpy()
    assert_close_to_golden(name, finished, np.floor(255 * finished), raw[0].numpy(), arrays)


def crc(pixels: np.ndarray) -> int:
    return zlib.crc32(np.ascontiguousarray(pixels).tobytes())


def levels(inputs: torch.Tensor) -> np.ndarray:
    """The 8-bit RGB pixels `[N, h, w, 3]` from which the network's input was computed."""
    return np.rint((inputs.permute(0, 2, 3, 1).numpy() * 255 + 255) / 2).astype(np.uint8)


@pytest.mark.parametrize("case", GOLDEN["resize_checks"]["checks"], ids=lambda c: str(c["h"]))
def test_frames_are_resized_as_the_original_does(case: dict[str, Any], make: Make) -> None:
    y, x, c = np.meshgrid(*map(np.arange, (case["h"], case["w"], 3)), indexing="ij")
    frame = ((x * (c + 3) + y * (5 - c) + (x * y) // (17 + c)) % 256).astype(np.uint8)
    (resized,) = levels(make({}).preprocess([frame]))
    assert crc(resized) == case["crc32"]
    assert resized[100, 200].tolist() == case["row100_col200_rgb"]


def test_the_golden_s_frames_are_resized_as_the_original_does(arrays: Arrays, make: Make) -> None:
    resized = levels(make({}).preprocess(list(arrays["frames"])))
    assert [crc(resized[0]), crc(resized[-1])] == GOLDEN["crc32"]["resized_first_and_last_frame"]
    assert crc(resized) == GOLDEN["crc32"]["all_resized_frames_concatenated"]


class Code:
    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return print, ("executed",)


def broken(kind: str, network: TasedNet, path: Path) -> str:
    """Write a bad weights file, and return the message that salcli must print for it."""
    state = dict(network.state_dict())
    if kind == "another model":
        state, message = {"cnn.features.0.weight": torch.zeros(2)}, "missing keys: base1.0.conv_s"
    elif kind == "missing key":
        del state["base3.4.branch1.1.conv_t.weight"]
        message = "1 missing keys: base3.4.branch1.1.conv_t.weight"
    elif kind == "wrong shape":
        state["convtsp4.13.bias"] = torch.zeros(2)
        message = "1 wrong shapes: convtsp4.13.bias [2] instead of [1]"
    else:
        torch.save({"weight": Code()}, path)
        return "arbitrary pickle code"
    torch.save(state, path)
    return message


@pytest.mark.parametrize("kind", ["another model", "missing key", "wrong shape", "pickle"])
def test_bad_weights_are_refused(
    kind: str, salcli: Run, network: TasedNet, arrays: Arrays, tmp_path: Path
) -> None:
    weights = tmp_path / "bad.pt"
    message = broken(kind, network, weights)
    clip = save_frames(tmp_path / "clip", arrays["frames"][:1])
    ran = salcli("predict", clip, "--as", "clip", "-m", "tased", "--weights", weights)
    assert ran.returncode == 3
    assert message in " ".join(ran.stderr.split())
    assert "bad.pt" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert "executed" not in ran.stdout


def test_counters_of_batch_norms_may_be_missing(
    salcli: Run, network: TasedNet, arrays: Arrays, tmp_path: Path
) -> None:
    state = {k: t for k, t in network.state_dict().items() if "num_batches_tracked" not in k}
    assert len(state) == 428
    torch.save(state, tmp_path / "old.pt")
    clip = save_frames(tmp_path / "clip", arrays["frames"][:1])
    ran = salcli(
        *("predict", clip, "--as", "clip", "-m", "tased", "--weights", "old.pt"),
        *("-O", "input_size=32,32", "-o", "maps"),
    )
    assert ran.returncode == 0
    assert (tmp_path / "maps" / "clip" / "0001.png").is_file()


def test_a_strict_clip_is_refused_with_a_remedy(
    salcli: Run, weights_file: Path, arrays: Arrays, tmp_path: Path
) -> None:
    clip = save_frames(tmp_path / "clip", arrays["frames"][:3])
    ran = salcli(
        *("predict", clip, "-m", "tased", "--weights", weights_file, "-O", "short=strict"),
        *("-O", "input_size=32,32", "-o", tmp_path / "maps"),
    )
    assert ran.returncode == 1
    assert "it has 3 frames, and TASED-Net needs 62; set the option 'short' to 'cyclic'" in (
        " ".join(ran.stderr.split())
    )
