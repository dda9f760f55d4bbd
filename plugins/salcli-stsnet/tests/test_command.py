"""The installed command: the goldens end to end, the store, and STSNet's own commands."""

import hashlib
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from salcli_stsnet import STSNET, Net, Options
from salcli_stsnet.maps import finish
from salcli_stsnet.model import Stsnet
from salcli_stsnet.network import STSNet
from salcli_stsnet.pictures import encode

GOLDENS = Path(__file__).parent / "goldens"
MAP, DIFFERENT = 0.02, 0.01
"""Tolerances that the goldens state: of grey levels, and the share of pixels off by one."""

Golden = Callable[[str], tuple[dict, dict[str, np.ndarray]]]
WeightsFile = Callable[[Net], Path]
Run = Callable[..., subprocess.CompletedProcess[str]]


def assert_map_equals(stem: Path, arrays: dict[str, np.ndarray], step: int) -> None:
    expected = arrays["map_float" if step == 1 else "map_float_sub"]
    ours = 255 * np.load(stem.with_suffix(".npy"))[::step, ::step]
    np.testing.assert_allclose(ours, expected, rtol=0, atol=MAP)
    written = np.asarray(Image.open(stem.with_suffix(".png"))).astype(int)
    difference = np.abs(written - arrays["map_u8"])
    assert difference.max() <= 1
    assert (difference > 0).mean() <= DIFFERENT


@pytest.mark.parametrize(
    ("name", "net", "step"),
    [
        ("01_ssnet_image", "ssnet", 1),
        pytest.param("02_stsconvnet_script", "stsconvnet", 3, marks=pytest.mark.endurance),
    ],
)
def test_installed_command_equals_the_original(
    name: str, net: Net, step: int, golden: Golden, weights_file: WeightsFile, salcli: Run
) -> None:
    """The published script, which has no flow."""
    _, arrays = golden(name)
    Image.fromarray(arrays["frame"]).save("frame.png")
    ran = salcli(
        *("predict", "frame.png", "--model", "stsnet", "--weights", weights_file(net)),
        *("--device", "cpu", "--save", "npy", "--save", "png", "-o", "out", "-O", "flow=frame"),
    )
    assert ran.returncode == 0, ran.stderr
    assert_map_equals(Path("out/frame"), arrays, step)


SMALL = ("-O", "input_size=16,16", "-O", "convolution=direct", "--device", "cpu")


def test_weights_come_from_the_store(
    weights_file: WeightsFile, salcli: Run, clip_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SalNet's file has the layers of ssnet."""
    monkeypatch.setenv("SALCLI_CACHE_DIR", str(Path("cache").absolute()))
    imported = salcli("weights", "import", weights_file("ssnet"), "-m", "stsnet:salnet")
    assert imported.returncode == 0, imported.stderr
    command = ("predict", clip_file, "-m", "stsnet:salnet", "--offline", "-o", "out", *SMALL)
    ran = salcli(*command)
    assert ran.returncode == 0, ran.stderr
    record = json.loads(Path("out/clip/salcli.json").read_text())
    assert record["settings"]["options"]["net"] == "ssnet"
    assert len(list(Path("out/clip").glob("*.png"))) == 12


def test_wrong_requests_are_told(weights_file: WeightsFile, salcli: Run, clip_file: Path) -> None:
    mini = GOLDENS / "mini_a_v1.caffemodel"
    ran = salcli("predict", clip_file, "-m", "stsnet", "--weights", mini, *SMALL)
    assert ran.returncode == 3
    assert "missing keys" in ran.stderr
    ssnet = ("-m", "stsnet", "--weights", weights_file("ssnet"), *SMALL)
    ran = salcli("predict", clip_file, *ssnet, "-O", "flow=nowhere")
    assert ran.returncode == 2
    assert "no such folder" in ran.stderr
    Path("flow").mkdir()
    ran = salcli("predict", clip_file, *ssnet, "-O", "flow=flow", "-O", "net=tsnet")
    assert ran.returncode == 1
    assert "has no flow of frame '0002'" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_stills_take_flow_from_a_folder(
    weights_file: WeightsFile,
    filled: Callable[[Net], STSNet],
    salcli: Run,
    miniature: Callable[[str], Path],
) -> None:
    """The paper's experiment on MIT300: flow that another model predicted from each image."""
    fields = {name: np.zeros((240, 320, 2), np.float32) for name in ("i1", "i2", "i10", "i300")}
    fields["i2"][60:180, 80:240] = (-16, 12)
    Path("flow").mkdir()
    for name, field in fields.items():
        np.save(f"flow/{name}.npy", field)
    command = (
        *("predict", "--data", "mit300", "--root", miniature("mit300"), "-m", "stsnet"),
        *("--weights", weights_file("ssnet"), *SMALL, "-O", "net=tsnet", "-O", "flow=flow"),
        *("-o", "maps"),
    )
    ran = salcli(*command)
    assert ran.returncode == 0, ran.stderr
    found = {path.stem: path for path in Path("maps").rglob("*.png")}
    assert sorted(found) == sorted(fields)
    maps = {name: np.asarray(Image.open(path)).astype(int) for name, path in found.items()}

    model = Stsnet(STSNET, Options(net="tsnet", input_size=(16, 16)))
    for name, map_ in maps.items():
        x = model.preprocess([encode(fields[name], "uvm16")])
        with torch.inference_mode():
            output = filled("tsnet")(x, x)
        wanted = finish(output, map_.shape, settings=model.settings)[0].numpy()
        difference = np.abs(map_ - np.floor(255 * wanted))
        assert difference.max() <= 1
        assert (difference > 0).mean() <= DIFFERENT
    assert (maps["i1"] != maps["i2"]).mean() > 10 * DIFFERENT
    assert np.array_equal(maps["i1"], maps["i300"])

    Path("flow/i10.npy").unlink()
    ran = salcli(*command, "--overwrite")
    assert ran.returncode == 1
    assert "has no flow of frame 'i10'" in ran.stderr


def test_streams_are_joined_and_exported(
    weights_file: WeightsFile, salcli: Run, filled: Callable[[Net], STSNet]
) -> None:
    torch.save(filled("tsnet").state_dict(), "tsnet.pth")
    ran = salcli("stsnet", "join", weights_file("ssnet"), "tsnet.pth", "joined.safetensors")
    assert ran.returncode == 0, ran.stderr
    saved = Stsnet.read(Path("joined.safetensors"))
    assert saved.options == {"net": "stsavgnet"}
    state = filled("ssnet").state_dict()
    for key, tensor in saved.state.items():
        assert torch.equal(tensor, state[key.replace("_b.", ".")])
    ran = salcli("stsnet", "join", "joined.safetensors", "tsnet.pth", "again.safetensors")
    assert ran.returncode == 2
    assert "not a single stream" in ran.stderr
    ran = salcli("stsnet", "export", "tsnet.pth", "ssnet.caffemodel")
    assert ran.returncode == 0, ran.stderr
    check = json.loads((GOLDENS / "weights_check.json").read_text())["full_size_files"]["files"]
    content = Path("ssnet.caffemodel").read_bytes()
    assert hashlib.sha256(content).hexdigest() == check["ssnet"]["sha256"]
