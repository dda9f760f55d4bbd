"""The full network against the goldens of the original code: maps, the command, and training.

All in one file, so that its 240 million synthetic weights are generated only once, in one process.
"""

import copy
import dataclasses
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
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

from salcli import Prediction
from salcli.authoring import checkpoint
from salcli.testing import use_engine

from .conftest import GAINS, GOLDENS, hollow, predict, published_shapes, read
from .steps import assert_as_golden, image_batch

TOLERANCE, INTERMEDIATE = 1e-4, 1e-3
"""As the goldens state them: absolute; relative to the largest value, if it exceeds 1."""

BIKES, FAINT = GOLDENS / "image_bikes60_input.png", GOLDENS / "batch2_lowcontrast_input.png"

SLICES = [f"slice{number}" for number in range(1, 6)]

ENGINES = ("onnxruntime", "openvino")
"""Each exports the network anew, which takes minutes."""

MEMORY = 4 * 10**9
"""Maximum memory of a prediction in bytes."""

CHECKED = {
    "pnas_vol.module.module.pnas.conv0.weight": (-0.07599811, -0.17173108, 0.18619476),
    "deconv_layer1.0.weight": (0.00290995, 0.00322472),
    "pnas_sal.module.module.deconv_layer5.2.bias": (-0.01433908,),
}
"""Beginnings of some synthetic weights, as the specification of the goldens states them."""


class State:
    """Stands in for a network to be filled, but has names and shapes only."""

    def __init__(self, tensors: Mapping[str, torch.Tensor]) -> None:
        self.tensors = tensors

    def state_dict(self) -> Mapping[str, torch.Tensor]:
        return self.tensors

    def load_state_dict(self, state: Mapping[str, torch.Tensor]) -> None:
        self.tensors = state


def write(path: Path, sw1: Callable[..., None]) -> None:
    state = State(published_shapes())
    sw1(state, gains=GAINS)
    torch.save(state.tensors, path)


@pytest.fixture(scope="module")
def sw1_file(sw1: Callable[..., None], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A file with the published file's keys, all of them, and the synthetic weights."""
    path = tmp_path_factory.mktemp("tempsal") / "multilevel_tempsal.pt"
    write(path, sw1)
    yield path
    path.unlink()


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
    """The full network. Tests must not modify it."""
    model = hollow()
    model.load(checkpoint.read(sw1_file))
    model.to(torch.device("cpu"), torch.float32)
    return model


@contextmanager
def outputs(network: nn.Module, *names: str) -> Iterator[dict[str, torch.Tensor]]:
    """Outputs of modules while the block runs, by their names; for an encoder, all its stages."""
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


def test_the_synthetic_weights_are_those_of_the_goldens(sw1_file: Path) -> None:
    state = torch.load(sw1_file, mmap=True, weights_only=True)
    assert len(state) == 2804
    for key, values in CHECKED.items():
        found = state[key].flatten()[: len(values)]
        torch.testing.assert_close(found, torch.tensor(values), rtol=0, atol=1e-8)


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
import runpy
if sys.platform == "linux":
    lines = open("/proc/self/status").readlines
    atexit.register(lambda: print(*(l for l in lines() if "VmHWM" in l), file=sys.stderr))
sys.argv[0] = "salcli"
runpy.run_module("salcli", run_name="__main__")
"""
"""The command, which reports its peak memory when it ends."""


@pytest.mark.endurance
def test_installed_command_writes_what_the_original_writes(sw1_file: Path, tmp_path: Path) -> None:
    """A batch of two; its maximum is that of the second image, whose maps are the same as alone."""
    (tmp_path / "in").mkdir()
    for name, source in (("faint", FAINT), ("bikes", BIKES)):
        (tmp_path / "in" / f"{name}.png").write_bytes(source.read_bytes())
    command = [sys.executable, "-c", COMMAND, "predict", tmp_path / "in", "--model", "tempsal"]
    command += ["--weights", sw1_file, "--extras", "--size", "published", "--device", "cpu", "-v"]
    command += ["--as", "stills", "--batch-size", "2", "-O", "maximum=batch", "-O", "range=own"]
    command += ["--save", "png", "--save", "npy", "-o", tmp_path / "out"]

    run = subprocess.run(list(map(str, command)), capture_output=True, text=True)

    assert run.returncode == 0, run.stderr
    assert "the branches have different encoders: both are run" in run.stderr
    if sys.platform == "linux":
        kilobytes = int(re.search(r"VmHWM:\s+(\d+) kB", run.stderr)[1])
        assert kilobytes * 1024 < MEMORY
    batch, bikes = golden("batch2_lowcontrast_bikes60"), golden("image_bikes60")
    folder = tmp_path / "out" / "in"
    levels = {"bikes": bikes["image_saliency_u8"]}
    levels |= {f"bikes.{s}": u8 for s, u8 in zip(SLICES, bikes["temporal_u8"], strict=True)}
    for name, expected in levels.items():
        written = np.asarray(Image.open(folder / f"{name}.png"))
        assert written.shape == (256, 256)
        assert np.abs(written.astype(int) - expected).max() <= 1
    for name, raw in zip(("faint", "bikes"), batch["image_saliency_batch"], strict=True):
        spread = raw.max() - raw.min()
        ours = torch.from_numpy(np.load(folder / f"{name}.npy"))
        assert_near(ours, (raw - raw.min()) / spread, scale=1 / spread)
    record = json.loads((folder / "salcli.json").read_text())
    assert record["settings"]["options"]["network"] == "full"
    assert record["settings"]["options"]["slices"] == 5


@pytest.mark.parametrize(
    "engine",
    ["torch", *(pytest.param(name, marks=pytest.mark.endurance) for name in ENGINES)],
)
def test_maps_of_an_image_as_the_original_gives_them_of_it_alone(
    engine: str, tempsal: TempSal
) -> None:
    model, arrays = with_options(tempsal, range="raw"), golden("batch2_lowcontrast_bikes60")
    if engine != "torch":
        pytest.importorskip(engine)
        use_engine(model, engine, digest=None)

    (faint,) = predict(model, [read(FAINT)])

    assert_near(faint.saliency, arrays["image_saliency_first_alone"])
    assert_near(slices_of(faint)[:, ::4, ::4], arrays["temporal_first_alone_s4"])
    inputs = model.preprocess([read(BIKES)])
    expected = golden("image_bikes60")["net_input_s4"]
    np.testing.assert_allclose(inputs[0, :, ::4, ::4], expected, rtol=0, atol=1e-6)


@pytest.mark.endurance
def test_the_mixing_module_learns_as_the_original(sw1_file: Path, wave: torch.Tensor) -> None:
    model = hollow(norms="batch")
    model.start_from(checkpoint.read(sw1_file))
    still = model.network.state_dict()["pnas_vol.pnas.conv0_bn.running_mean"].clone()

    found = assert_as_golden("train_smm", model, image_batch(wave))

    assert set(found["gradients"]) == set(found["trainable"])
    mean = model.network.state_dict()["pnas_vol.pnas.conv0_bn.running_mean"]
    assert not torch.equal(mean, still)
    model.options = dataclasses.replace(model.options, norms="still")
    model.start_epoch(0)
    moved = mean.clone()
    small = dataclasses.replace(image_batch(wave), inputs=wave[:, None, :, :32, :32])
    assert len(list(model.losses(small))) == 1
    assert torch.equal(mean, moved)
