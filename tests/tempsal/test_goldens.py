"""The full network against the goldens of the original code: at its input, and by the command."""

import copy
import dataclasses
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from salcli_tempsal.model import TempSal
from salcli_tempsal.network import TempSAL
from torch import nn

from salcli.model import load_model
from salcli.types import Prediction

from .conftest import GOLDENS, predict, read

TOLERANCE, INTERMEDIATE = 1e-4, 1e-3
"""As the goldens state them: absolute; relative to the largest value, if it exceeds 1."""

BIKES, FAINT = GOLDENS / "image_bikes60_input.png", GOLDENS / "batch2_lowcontrast_input.png"

SLICES = [f"slice{number}" for number in range(1, 6)]

MEMORY = 4 * 10**9
"""Bytes that a prediction may take at most."""


def golden(name: str) -> dict[str, np.ndarray]:
    return dict(np.load(GOLDENS / f"{name}.npz"))


def with_options(model: TempSal, **changes: Any) -> TempSal:
    other = copy.copy(model)
    other.options = dataclasses.replace(model.options, **changes)
    return other


def slices_of(prediction: Prediction) -> torch.Tensor:
    assert list(prediction.extras) == SLICES
    return torch.stack(list(prediction.extras.values()))


def assert_near(found: torch.Tensor, expected: np.ndarray, *, scale: float = 1.0) -> None:
    np.testing.assert_allclose(found.numpy(), expected, rtol=0, atol=TOLERANCE * scale)


@pytest.fixture(scope="module")
def tempsal(sw1_file: Path) -> TempSal:
    """The full network. Tests leave it as it is."""
    model = load_model("tempsal", weights_file=sw1_file, device="cpu").model
    assert isinstance(model, TempSal)
    return model


@contextmanager
def outputs(network: nn.Module, *names: str) -> Iterator[dict[str, torch.Tensor]]:
    """What modules give while the block runs, by their names; of an encoder, all its stages."""
    kept: dict[str, torch.Tensor] = {}
    handles = [
        network.get_submodule(name).register_forward_hook(
            lambda _, __, output, name=name: kept.__setitem__(name, output)
        )
        for name in names
    ]
    yield kept
    for handle in handles:
        handle.remove()


def test_networks_equal_the_original(tempsal: TempSal, wave: torch.Tensor) -> None:
    golden = dict(np.load(GOLDENS / "net_input.npz"))
    network = tempsal.network
    assert isinstance(network, TempSAL)
    modules = ("pnas_vol.pnas", "pnas_vol.deconv_layer0", "pnas_vol.deconv_layer5")
    modules += ("pnas_sal.pnas", "pnas_sal.deconv_layer5")
    modules += ("deconv_layer1", "deconv_layer3", "deconv_mix")

    with torch.inference_mode(), outputs(network, *modules) as kept:
        maps = network(wave[:1])

    stages = kept["pnas_vol.pnas"]
    ours = {
        "image_saliency": maps.aggregate[0],
        "temporal_s2": maps.slices[0, :, ::2, ::2],
        "mid_vol_conv0bn": stages[0][0, :8, ::8, ::8],
        "mid_vol_stem1": stages[1][0, :8, ::4, ::4],
        "mid_vol_stem2": stages[2][0, :8, ::2, ::2],
        "mid_vol_cell3": stages[6][0, :8, ::2, ::2],
        "mid_vol_cell7": stages[10][0, :8],
        "mid_vol_cell11": stages[14][0, :16],
        "mid_vol_deconv0": kept["pnas_vol.deconv_layer0"][0, :8],
        "mid_vol_sigmoid": kept["pnas_vol.deconv_layer5"][0, :, ::8, ::8].sigmoid(),
        "mid_sal_cell11": kept["pnas_sal.pnas"][14][0, :16],
        "mid_sal_map": kept["pnas_sal.deconv_layer5"][0, 0, ::4, ::4].sigmoid(),
        "mid_smm_deconv1": kept["deconv_layer1"][0, :4, ::2, ::2],
        "mid_smm_deconv3": kept["deconv_layer3"][0, :4, ::8, ::8],
        "mid_smm_logit": kept["deconv_mix"][0, 0, ::4, ::4],
    }
    assert ours.keys() == golden.keys()
    for name, tensor in ours.items():
        expected = golden[name]
        bar = INTERMEDIATE * max(1.0, np.abs(expected).max()) if name[:3] == "mid" else TOLERANCE
        np.testing.assert_allclose(tensor.numpy(), expected, rtol=0, atol=bar, err_msg=name)


def test_parameters_are_as_many_as_the_original_has(tempsal: TempSal) -> None:
    classifier = 1001 * 4320 + 1001  # of each encoder; never used

    def count(module: nn.Module) -> int:
        return sum(parameter.numel() for parameter in module.parameters())

    network = tempsal.network
    assert isinstance(network, TempSAL)
    assert count(network) + 2 * classifier == 242_519_087
    assert count(network.pnas_vol) + classifier == 116_154_024
    assert count(network.pnas_sal) + classifier == 116_209_060


COMMAND = """
import atexit, sys
from salcli.cli import main
if sys.platform == "linux":
    lines = open("/proc/self/status").readlines
    atexit.register(lambda: print(*(l for l in lines() if "VmHWM" in l), file=sys.stderr))
sys.argv[0] = "salcli"
main()
"""
"""The command, which says at its end how much memory it took."""


def test_installed_command_writes_what_the_original_writes(sw1_file: Path, tmp_path: Path) -> None:
    arrays = golden("image_bikes60")
    command = [sys.executable, "-c", COMMAND, "predict", BIKES, "--model", "tempsal"]
    command += ["--weights", sw1_file, "--extras", "--size", "published", "-O", "range=own"]
    command += ["--save", "png", "--save", "npy", "-o", tmp_path, "--device", "cpu", "-v"]

    run = subprocess.run(list(map(str, command)), capture_output=True, text=True)

    assert run.returncode == 0, run.stderr
    assert "the branches have encoders of their own: both are run" in run.stderr
    if sys.platform == "linux":
        kilobytes = int(re.search(r"VmHWM:\s+(\d+) kB", run.stderr)[1])
        assert kilobytes * 1024 < MEMORY
    levels = {
        "": arrays["image_saliency_u8"],
        **dict(zip(SLICES, arrays["temporal_u8"], strict=True)),
    }
    for name, expected in levels.items():
        stem = tmp_path / ".".join(filter(None, [BIKES.stem, name]))
        written = np.asarray(Image.open(f"{stem}.png"))
        assert written.shape == (256, 256)
        assert np.abs(written.astype(int) - expected).max() <= 1
    raw = arrays["image_saliency"]
    spread = raw.max() - raw.min()
    ours = torch.from_numpy(np.load(tmp_path / f"{BIKES.stem}.npy"))
    assert_near(ours, (raw - raw.min()) / spread, scale=1 / spread)


def test_maps_of_an_image_do_not_depend_on_its_batch(tempsal: TempSal) -> None:
    model = with_options(tempsal, range="raw")
    model.batch_size = 2
    batch, bikes = golden("batch2_lowcontrast_bikes60"), golden("image_bikes60")

    faint, cyclists = predict(model, [read(FAINT), read(BIKES)])

    assert_near(faint.saliency, batch["image_saliency_first_alone"])
    assert_near(slices_of(faint)[:, ::4, ::4], batch["temporal_first_alone_s4"])
    assert_near(cyclists.saliency, bikes["image_saliency"])
    assert_near(slices_of(cyclists)[:, ::2, ::2], bikes["temporal"])
    inputs = model.preprocess([read(BIKES)])
    np.testing.assert_allclose(inputs[0, :, ::4, ::4], bikes["net_input_s4"], rtol=0, atol=1e-6)


def test_the_maximum_of_the_batch_as_in_the_original(
    sw1_file: Path, tmp_path: Path, salcli: Any
) -> None:
    arrays = golden("batch2_lowcontrast_bikes60")
    (tmp_path / "in").mkdir()
    for name, source in (("1", FAINT), ("2", BIKES)):
        (tmp_path / "in" / f"{name}.png").write_bytes(source.read_bytes())
    options = [text for pair in ("maximum=batch", "range=raw") for text in ("-O", pair)]
    options += ["--as", "stills", "--batch-size", "2", "--extras", "--device", "cpu"]

    run = salcli(
        *("predict", "in", "-m", "tempsal", "--weights", sw1_file, "-o", "out", *options),
        *("--save", "npy", "--size", "published"),
    )

    assert run.returncode == 0, run.stderr
    for row, name in enumerate("12"):
        stem = tmp_path / "out/in" / name
        saliency = torch.from_numpy(np.load(f"{stem}.npy"))
        assert_near(saliency, arrays["image_saliency_batch"][row])
        slices = np.stack([np.load(f"{stem}.{slice_}.npy") for slice_ in SLICES])
        assert_near(torch.from_numpy(slices)[:, ::4, ::4], arrays["temporal_batch_s4"][row])
    record = json.loads((tmp_path / "out/in/salcli.json").read_text())
    assert record["settings"]["options"]["network"] == "full"
    assert record["settings"]["options"]["slices"] == 5
