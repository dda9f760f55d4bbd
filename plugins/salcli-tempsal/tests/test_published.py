"""Which weights files TempSAL accepts, what it uses of them, and its errors for others."""

import dataclasses
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from salcli_tempsal import published
from salcli_tempsal.network import ImageBranch, SliceBranch, TempSAL
from salcli_tempsal.pnasnet import PNASNet5Large

from salcli import WeightsError
from salcli.authoring import Checkpoint, checkpoint

from .conftest import GOLDENS, hollow, published_shapes

IMAGE_END = {"deconv_layer5.2.weight": torch.zeros(1, 128, 3, 3)}
SLICES_END = {"deconv_layer5.4.weight": torch.zeros(7, 32, 3, 3)}


@pytest.fixture(scope="module")
def full() -> Checkpoint:
    """The published file's tensors, each filled with its own number, without using memory."""
    state = {}
    for index, (key, tensor) in enumerate(published_shapes().items()):
        number = torch.tensor(index / 4096).to(tensor.dtype)
        state[key.replace("module.", "")] = number.expand(tensor.shape)
    return Checkpoint(state, Path("multilevel_tempsal.pt"))


def beneath(saved: Checkpoint, prefix: str) -> Checkpoint:
    """A part of the full network as a separate file."""
    state = {k.removeprefix(prefix): t for k, t in saved.state.items() if k.startswith(prefix)}
    return dataclasses.replace(saved, state=state)


def test_a_branch_comes_out_of_the_full_file_or_from_its_own(full: Checkpoint) -> None:
    model = hollow(network="slices", slices=1)  # small, since it is built many times

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
    model = hollow(share_encoder="never")
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
    model = hollow(network="image")

    model.start_from(saved)

    for key, tensor in model.network.pnas.state_dict().items():
        assert torch.equal(tensor, ours[key]), key
    with pytest.raises(WeightsError, match="holds an encoder alone, not the image branch alone"):
        model.load(saved)


def test_the_mixing_module_starts_from_both_branches(full: Checkpoint) -> None:
    branches = published.joined(beneath(full, "pnas_sal."), full, None)
    saved = dataclasses.replace(full, state=branches)
    model = hollow()
    with torch.no_grad():
        for key, parameter in model.network.named_parameters():
            parameter.fill_(0.25) if not key.startswith("pnas_") else parameter[:1].fill_(-1)

    model.start_from(saved)

    assert len(branches) == 2804 - 4 - 14  # less the classifiers and the mixing module
    for key, tensor in model.network.state_dict().items():
        expected = branches[key] if key.startswith("pnas_") else tensor.new_full((), 0.25)
        assert torch.equal(tensor, expected.expand_as(tensor)), key
    with pytest.raises(WeightsError, match="without the mixing module, not the full network"):
        model.load(saved)
    alone = dataclasses.replace(full, state=published.branch(saved, "image").state)
    with pytest.raises(WeightsError, match=r"image branch alone.* by 'salcli tempsal join'"):
        model.start_from(alone)
    assert published.joined(saved, saved, full).keys() == model.network.state_dict().keys()


def part(path: Path, state: Mapping[str, torch.Tensor], **options: int) -> Path:
    """The end of a branch, which tells what the file holds."""
    checkpoint.save(path, state, metadata={"options": options})
    return path


def test_trained_branches_are_put_into_one_file(tmp_path: Path, salcli: Callable[..., Any]) -> None:
    image = part(tmp_path / "image.safetensors", IMAGE_END, input_size=64)
    slices = part(tmp_path / "slices.safetensors", SLICES_END, input_size=64)
    joined = tmp_path / "runs" / "joined.safetensors"

    run = salcli("tempsal", "join", image, slices, joined)

    assert (run.returncode, run.stdout) == (0, f"{joined}\n"), run.stderr
    saved = checkpoint.read(joined)
    assert saved.options == {"network": "full", "slices": 7, "input_size": 64}
    assert {key: tensor.shape[0] for key, tensor in saved.state.items()} == {
        "pnas_sal.deconv_layer5.2.weight": 1,
        "pnas_vol.deconv_layer5.4.weight": 7,
    }
    for name, options, words in (
        ("other.safetensors", {"input_size": 96}, "different input_size: 64, 96"),
        ("image.safetensors", {}, "holds the image branch alone, not the slice branch alone"),
    ):
        other = tmp_path / name
        if options:
            part(other, SLICES_END, **options)
        run = salcli("tempsal", "join", image, other, tmp_path / "none.safetensors")
        assert run.returncode in (2, 3)
        assert words in run.stderr
    assert not (tmp_path / "none.safetensors").exists()


def test_timm_names_are_all_different_keys_of_the_encoder() -> None:
    with torch.device("meta"):
        keys = PNASNet5Large().state_dict().keys()
    assert sorted(timm_names().values()) == sorted(keys)


EMPTY = torch.zeros(1)
BAD = {
    "stranger": (
        {"layer.weight": EMPTY},
        "not a weights file of TempSAL: it has neither pnas_vol",
    ),
    "early": ({"pnas_vol.x": EMPTY, "pnas.x": EMPTY}, "mixes finished maps only"),
    "half": ({"pnas_vol.x": EMPTY}, "the slice branch of a full network alone"),
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
    Path("cut.pt").write_bytes(Path("lacking.pt").read_bytes()[:3000])
    Path("page.pt").write_bytes(b"<!DOCTYPE html><title>Google Drive - Virus scan warning</title>")

    for name, words in {
        "lacking.pt": "1192 missing keys: pnas.conv0.weight",
        "cut.pt": "cut.pt' ",
        "page.pt": "is not a weights file",
    }.items():
        arguments = ("-m", "tempsal", "-O", "network=slices", "--weights", name)
        run = salcli("predict", "a.png", *arguments)
        assert run.returncode == 3
        assert words in run.stderr
        assert run.stderr.count("\n") == 2  # the first says what is loading
    assert not (tmp_path / "saliency").exists()
