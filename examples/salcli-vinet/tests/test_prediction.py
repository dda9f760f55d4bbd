"""ViNet's maps: frames to input, which window predicts which frame, and what is written."""

import json
import subprocess
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from salcli_vinet import VINET as VINET_SPEC
from salcli_vinet.clips import windows
from salcli_vinet.finishing import blurred, finish, stretched
from salcli_vinet.model import Vinet
from salcli_vinet.network import VinetNet

from salcli import Stimulus, UsageError
from salcli.authoring import create, to_8bit

GOLDENS = Path(__file__).parent / "goldens"
VINET = json.loads((GOLDENS / "e2e_bikes40.json").read_text())
PAVEN = json.loads((GOLDENS / "paven_bikes40.json").read_text())
SIZE = (224, 384)
Arrays = dict[str, np.ndarray]
Make = Callable[..., Vinet]
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def arrays() -> Arrays:
    return dict(np.load(GOLDENS / "e2e_bikes40.npz"))


def crc(pixels: np.ndarray) -> int:
    return zlib.crc32(np.ascontiguousarray(pixels).tobytes())


def clip_of(model: Vinet, frames: np.ndarray, index: int) -> torch.Tensor:
    """The network's input for a map, `[3, 32, h, w]`."""
    numbered = windows(range(len(frames)), model.options.windows)
    wanted = next(window for predicted, window in numbered if index in predicted)
    return model.preprocess([frames[place] for place in wanted]).transpose(0, 1)


# ---- which frames


def vinet_windows(count: int) -> Iterator[list[int]]:
    """As the published script for short clips takes them, in its own two steps."""
    for index in range(count):
        if (count > 62 and index < 31) or (32 <= count <= 62 and index <= count - 33):
            yield list(range(index + 31, index - 1, -1))
        else:
            yield ([0] * 31 + list(range(count)))[index : index + 32]


@pytest.mark.parametrize("count", [0, 1, 2, 31, 32, 33, 40, 61, 62, 63, 64, 100])
def test_windows_are_those_of_the_original(count: int) -> None:
    found = list(windows(range(count), "vinet"))
    assert [predicted for predicted, _ in found] == [[index] for index in range(count)]
    assert [window for _, window in found] == list(vinet_windows(count))


@pytest.mark.parametrize("count", [1, 31, 32, 40, 63, 100])
def test_windows_of_the_tool(count: int) -> None:
    found = list(windows(range(count), "paven"))
    assert [index for predicted, _ in found for index in predicted] == list(range(count))
    for predicted, window in found:
        for index in predicted:
            first = max(0, index - 31)
            assert window == [min(place, count - 1) for place in range(first, first + 32)]


def test_a_window_ends_with_its_frame_and_looks_31_frames_back() -> None:
    """So a clip that was interrupted goes on behind `context` frames."""
    whole = {frame: window for [frame], window in windows(range(100), "vinet")}
    for first in (1, 40, 90):
        for [frame], window in windows(range(first, 100), "vinet"):
            assert frame < first + 31 or window == whole[frame]


# ---- frames to input


@pytest.mark.parametrize("name", VINET["outputs"])
def test_input_equals_the_original(name: str, make: Make, arrays: Arrays) -> None:
    frames = arrays["frames"][:20] if name.startswith("short20") else arrays["frames"]
    found = clip_of(make(), frames, int(name.rpartition("_")[2]))
    assert crc(found.numpy()) == VINET["outputs"][name]["clip_crc32"]


@pytest.mark.parametrize("name", PAVEN["maps"])
def test_input_of_paven_equals_the_original(name: str, make: Make, arrays: Arrays) -> None:
    model = make(input_rule=name.partition("_")[0], windows="paven")
    frames = arrays["frames"][:20] if "n20" in name else arrays["frames"]
    found = clip_of(model, frames, int(name.rpartition("_")[2]))
    assert crc(found.numpy()) == PAVEN["maps"][name]["clip_crc32"]


@pytest.mark.parametrize("height", [c["h"] for c in VINET["resize_checks"]["checks"]])
def test_frames_are_resized_as_the_originals_do(height: int, make: Make) -> None:
    case, *_ = (c for c in VINET["resize_checks"]["checks"] if c["h"] == height)
    y, x, c = np.meshgrid(*map(np.arange, (height, case["w"], 3)), indexing="ij")
    frame = ((x * (c + 3) + y * (5 - c) + (x * y) // (17 + c)) % 256).astype(np.uint8)
    mean, std = np.array([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]], np.float32)
    colours = make().preprocess([frame])[0].permute(1, 2, 0).numpy()
    assert crc(np.rint((colours * std + mean) * 255).astype(np.uint8)) == case["crc32"]
    for luma in (c for c in PAVEN["resize_checks"]["checks"] if c["h"] == height):
        tool, train = (
            make(input_rule=rule).preprocess([frame])[0].numpy() for rule in ("tool", "train")
        )
        for plane in np.rint((tool + 1) * 127.5).astype(np.uint8):
            assert crc(plane) == luma["tool_crc32"]
        for plane in np.rint(train * 255).astype(np.uint8):
            assert crc(plane) == luma["train_crc32"]


# ---- input to maps


def levels(saliency: torch.Tensor) -> np.ndarray:
    return to_8bit(saliency.numpy(), VINET_SPEC.rounding).astype(int)


@pytest.mark.parametrize("name", VINET["outputs"])
def test_levels_are_those_of_the_original(name: str, arrays: Arrays) -> None:
    found = stretched(torch.from_numpy(arrays[f"blurred_{name}"])).numpy()
    assert np.array_equal(to_8bit(found, VINET_SPEC.rounding), arrays[f"u8_{name}"])


@pytest.mark.parametrize("size", [(55, 128), (300, 500), (4, 7)])
def test_maps_are_resized_and_blurred_as_opencv_does(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    saliency = torch.rand(SIZE)
    large = cv2.resize(saliency.numpy(), size[::-1], interpolation=cv2.INTER_LINEAR)
    wanted = cv2.GaussianBlur(large, (11, 11), 0)
    np.testing.assert_allclose(blurred(saliency, size), wanted, rtol=0, atol=1e-5)


@torch.inference_mode()
@pytest.mark.endurance
@pytest.mark.parametrize("name", VINET["outputs"])
def test_maps_equal_the_original(name: str, make: Make, arrays: Arrays) -> None:
    model = make()
    frames = arrays["frames"][:20] if name.startswith("short20") else arrays["frames"]
    clip = clip_of(model, frames, int(name.rpartition("_")[2]))
    raw = model.network(clip[None])[0]
    size = frames.shape[1:3]
    np.testing.assert_allclose(raw[::4, ::4], arrays[f"raw_{name}"], rtol=0, atol=1e-4)
    np.testing.assert_allclose(blurred(raw, size), arrays[f"blurred_{name}"], rtol=0, atol=1e-4)
    off = np.abs(levels(finish(raw, size)) - arrays[f"u8_{name}"])
    assert off.max() <= 1
    assert (off > 0).mean() <= 0.005


@torch.inference_mode()
@pytest.mark.endurance
@pytest.mark.parametrize("name", PAVEN["maps"])
def test_maps_of_paven_equal_the_original(name: str, make: Make, arrays: Arrays) -> None:
    golden = np.load(GOLDENS / "paven_bikes40.npz")[name]
    model = make(input_rule=name.partition("_")[0], windows="paven")
    frames = arrays["frames"][:20] if "n20" in name else arrays["frames"]
    clip = clip_of(model, frames, int(name.rpartition("_")[2]))
    raw = model.network(clip[None])[0]
    np.testing.assert_allclose(raw[::4, ::4], golden, rtol=0, atol=1e-4)


def test_a_constant_map_is_blank() -> None:
    assert not finish(torch.full((8, 8), 0.5), (16, 12)).any()


# ---- predictions


@torch.inference_mode()
def test_maps_of_the_tool_repeat_the_first_window(make: Make, arrays: Arrays) -> None:
    """Which is computed once; and every map has its frame's size."""
    frames = list(arrays["frames"][:34])
    stimulus = Stimulus("bikes", frames, fps=25.0, size=(55, 128))
    model = make(input_rule="tool", windows="paven", input_size=(32, 32))
    found = list(model.predict(stimulus))
    assert {p.saliency.shape for p in found} == {(55, 128)}
    assert all(p.extras["raw"] is found[0].extras["raw"] for p in found[:32])
    assert not torch.equal(found[32].extras["raw"], found[31].extras["raw"])
    clip = clip_of(model, arrays["frames"][:34], 33)
    torch.testing.assert_close(found[33].extras["raw"], model.network(clip[None])[0])


@pytest.fixture(scope="module")
def weights_file(network: VinetNet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "paven_vinet_yyy.pt"
    torch.save(network.state_dict(), path)
    return path


@pytest.mark.parametrize(
    ("name", "rule", "told"),
    [
        ("paven_vinet_yyy.pt", "tool", False),
        ("unknown.pt", "vinet", True),
    ],
)
def test_command_says_which_input_a_file_gets(
    name: str,
    rule: str,
    told: bool,
    salcli: Run,
    weights_file: Path,
    arrays: Arrays,
    make: Make,
    tmp_path: Path,
) -> None:
    """And maps are those of that input, rounded as published."""
    (tmp_path / name).hardlink_to(weights_file)
    folder = tmp_path / "bikes"
    folder.mkdir()
    for number in range(3):
        Image.fromarray(arrays["frames"][number]).save(folder / f"{number:04d}.png")
    ran = salcli(
        *("predict", folder, "--model", "vinet", "--weights", name, "--device", "cpu"),
        *("-O", "input_size=32,64", "--save", "png", "--extras", "-o", "maps", "--as", "clip"),
    )
    assert ran.returncode == 0, ran.stderr
    assert ("the option 'input_rule' changes that" in " ".join(ran.stderr.split())) == told
    record = json.loads((tmp_path / "maps" / "bikes" / "salcli.json").read_text())
    assert record["settings"]["options"]["input_rule"] == rule
    model = make(input_rule=rule, input_size=(32, 64))
    with torch.inference_mode():
        raw = model.network(clip_of(model, arrays["frames"][:3], 2)[None])[0]
    written = np.asarray(Image.open(tmp_path / "maps" / "bikes" / "0002.png"))
    assert (written == levels(finish(raw, (55, 128)))).mean() >= 0.995


@pytest.mark.parametrize("size", ["360,640", "0,-5", "33,32"])
def test_sizes_that_the_network_does_not_take_are_refused(size: str) -> None:
    with pytest.raises(UsageError, match=f"input_size {size} must be multiples of 32"):
        create("vinet", options=[f"input_size={size}"], defaults={})


def test_weights_of_paven_take_the_rule_of_its_tool() -> None:
    row = VINET_SPEC.weights_row("paven")
    assert row is not None
    assert row.options == {"input_rule": "tool"}
    assert "undecided" in row.known_limits
