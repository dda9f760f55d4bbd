"""Which weights files TempSAL takes, what of them it uses, and what it says of others."""

import dataclasses
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from salcli_tempsal import published
from salcli_tempsal.model import TempSal
from salcli_tempsal.network import ImageBranch, SliceBranch, TempSAL
from salcli_tempsal.pnasnet import PNASNet5Large

from salcli import checkpoint
from salcli.checkpoint import Checkpoint
from salcli.errors import WeightsError
from salcli.model import create

from .conftest import GOLDENS

CHECKED = {
    "pnas_vol.module.module.pnas.conv0.weight": (-0.07599811, -0.17173108, 0.18619476),
    "deconv_layer1.0.weight": (0.00290995, 0.00322472),
    "pnas_sal.module.module.deconv_layer5.2.bias": (-0.01433908,),
}
"""Beginnings of some synthetic weights, as the specification of the goldens states them."""


def test_the_synthetic_weights_are_those_of_the_goldens(sw1_file: Path) -> None:
    state = torch.load(sw1_file, mmap=True, weights_only=True)
    assert len(state) == 2804
    for key, values in CHECKED.items():
        found = state[key].flatten()[: len(values)]
        torch.testing.assert_close(found, torch.tensor(values), rtol=0, atol=1e-8)


@pytest.fixture(scope="module")
def full(sw1_file: Path) -> Checkpoint:
    return checkpoint.read(sw1_file)


def make(**options: Any) -> TempSal:
    model = create("tempsal", options=options, defaults={})
    assert isinstance(model, TempSal)
    return model


def beneath(saved: Checkpoint, prefix: str) -> Checkpoint:
    """What lies beneath a part of the full network, as a file of its own."""
    state = {k.removeprefix(prefix): t for k, t in saved.state.items() if k.startswith(prefix)}
    return dataclasses.replace(saved, state=state)


def test_a_branch_comes_out_of_the_full_file_or_from_its_own(full: Checkpoint) -> None:
    model = make(network="slices", slices=1)  # little, since it is built anew all the time

    model.options = dataclasses.replace(model.options, network="auto", slices=None)
    model.load(beneath(full, "pnas_vol."))
    assert isinstance(model.network, SliceBranch)
    assert (model.options.network, model.options.slices) == ("slices", 5)
    expected = full.state["pnas_vol.deconv_layer5.4.weight"]
    assert torch.equal(model.network.deconv_layer5[4].weight, expected)

    model.load(full)
    assert isinstance(model.network, SliceBranch)

    model.options = dataclasses.replace(model.options, network="auto")
    model.load(beneath(full, "pnas_sal."))
    assert isinstance(model.network, ImageBranch)
    last = full.state["pnas_sal.deconv_layer5.2.bias"]
    assert torch.equal(model.network.deconv_layer5[2].bias, last)
    model.load(full)
    assert torch.equal(model.network.deconv_layer5[2].bias, last)

    with pytest.raises(WeightsError, match="the slice branch alone, not the image branch alone"):
        model.load(beneath(full, "pnas_vol."))


def test_equal_encoders_are_shared_when_loaded_unless_told_otherwise(
    full: Checkpoint, caplog: pytest.LogCaptureFixture
) -> None:
    state = dict(full.state)
    for key in list(state):
        if key.startswith("pnas_sal.pnas."):
            state[key] = state[key.replace("pnas_sal", "pnas_vol")]
    twins = dataclasses.replace(full, state=state)
    model = make(share_encoder="never")
    network = model.network
    assert isinstance(network, TempSAL)
    model.load(twins)
    assert network.shared_stages() == 0
    model.options = dataclasses.replace(model.options, share_encoder="auto")
    model.start_from(twins)
    assert network.shared_stages() == 0  # a training must not tie them together

    with caplog.at_level(logging.INFO, "salcli_tempsal"):
        model.load(twins)

    assert network.shared_stages() == 15
    assert caplog.messages == ["both branches have the same encoder: it is kept once and run once"]
    model.to(torch.device("cpu"), torch.float32)
    assert network.pnas_sal.pnas.cells[11] is network.pnas_vol.pnas.cells[11]


def timm_names() -> Mapping[str, str]:
    """Names in timm 1.0.31's `pnasnet5large`, with those of the published file."""
    lines = (GOLDENS / "timm.keys.tsv").read_text().splitlines()[1:]
    return dict(line.split("\t") for line in lines)


@pytest.mark.parametrize("names", ["original", "timm"])
def test_training_starts_from_imagenet(names: str, full: Checkpoint) -> None:
    ours = beneath(full, "pnas_vol.pnas.").state
    assert "classifier.weight" in ours
    if names == "original":
        state = dict(ours)
    else:
        state = {timm: ours[key] for timm, key in timm_names().items()}
        state |= {"last_linear.weight": torch.zeros(1000, 4320), "last_linear.bias": torch.zeros(1)}
    saved = Checkpoint(state, Path("PNASNet-5_Large.pth"))
    with torch.device("meta"):
        model = make(network="image")
    model.network = model.network.to_empty(device="cpu")

    model.start_from(saved)

    for key, tensor in model.network.pnas.state_dict().items():
        assert torch.equal(tensor, ours[key]), key
    with pytest.raises(WeightsError, match="holds an encoder alone, not the image branch alone"):
        model.load(saved)


def test_timm_names_are_all_different_keys_of_the_encoder() -> None:
    with torch.device("meta"):
        keys = PNASNet5Large().state_dict().keys()
    assert sorted(timm_names().values()) == sorted(keys)


EMPTY = torch.zeros(1)
BAD = {
    "stranger": ({"layer.weight": EMPTY}, "no weights file of TempSAL: it has neither pnas_vol"),
    "early": ({"pnas_vol.x": EMPTY, "pnas.x": EMPTY}, "mixes finished maps only"),
    "encoder": ({"conv0.weight": EMPTY}, "holds an encoder alone, not the full network"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_file_of_something_else_is_told_apart(name: str) -> None:
    state, message = BAD[name]
    with pytest.raises(WeightsError, match=message):
        published.branch(Checkpoint(state, Path("some.pt")), "full")


def test_bad_files_end_the_command_with_one_line(
    tmp_path: Path, salcli: Callable[..., Any]
) -> None:
    (tmp_path / "a.png").write_bytes((GOLDENS / "batch2_lowcontrast_input.png").read_bytes())
    torch.save({"deconv_layer5.4.weight": torch.zeros(5, 32, 3, 3)}, "lacking.pt")
    torch.save({"layer.weight": EMPTY}, "stranger.pt")
    Path("cut.pt").write_bytes(Path("lacking.pt").read_bytes()[:3000])
    Path("page.pt").write_bytes(b"<!DOCTYPE html><title>Google Drive - Virus scan warning</title>")

    for name, words in {
        "lacking.pt": "1192 missing keys: pnas.conv0.weight",
        "stranger.pt": "is no weights file of TempSAL",
        "cut.pt": "cut.pt' ",
        "page.pt": "is not a weights file",
    }.items():
        arguments = ("-m", "tempsal", "-O", "network=slices", "--weights", name)
        run = salcli("predict", "a.png", *arguments)
        assert run.returncode == 3
        assert words in run.stderr
        assert run.stderr.count("\n") == 1
    assert not (tmp_path / "saliency").exists()
