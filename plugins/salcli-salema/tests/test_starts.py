"""Files from which a training can start."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from salcli_salema import SALEMA
from salcli_salema.architecture import CONVOLUTIONS
from salcli_salema.model import Salema
from salcli_salema.starts import MEAN
from torch import Tensor
from torchvision.models.vgg import cfgs, make_layers

from salcli import WeightsError
from salcli.authoring import Checkpoint, checkpoint, parse_options

Weights = Mapping[str, Tensor]
Run = Callable[..., subprocess.CompletedProcess[str]]


def started(saved: Checkpoint, *options: str) -> Salema:
    model = Salema(SALEMA, parse_options(SALEMA, options, defaults={}))
    model.start_from(saved)
    return model


def bare(state: Weights) -> dict[str, Tensor]:
    return {key.removeprefix("salgan."): tensor for key, tensor in state.items()}


def same(model: Salema, state: Weights, keys: list[str] | None = None) -> bool:
    ours = model.network.state_dict()
    return all(torch.equal(ours[key], state[key]) for key in keys or state)


def test_own_weights_with_or_without_a_prefix(ema_state: Weights, tmp_path: Path) -> None:
    for state in (ema_state, bare(ema_state)):
        path = tmp_path / "start.pt"
        torch.save({"epoch": 3, "state_dict": dict(state)}, path)
        assert same(started(checkpoint.read(path)), ema_state)


def test_a_pickled_optimiser_is_refused(ema_state: Weights, tmp_path: Path) -> None:
    weight = torch.nn.Parameter(torch.zeros(1))
    content = {
        "epoch": 1,
        "state_dict": {"0.bias": weight.data},
        "optimizer": torch.optim.SGD([weight], lr=0.1),
    }
    torch.save(content, tmp_path / "salgan_salicon.pt", _use_new_zipfile_serialization=False)
    with pytest.raises(
        WeightsError, match=r"salgan_salicon\.pt.* pickle code, which salcli refuses"
    ):
        checkpoint.read(tmp_path / "salgan_salicon.pt")


def test_generator_of_2017_has_its_decoder_turned(ema_state: Weights, tmp_path: Path) -> None:
    arrays = []
    for index in CONVOLUTIONS:
        weight = ema_state[f"salgan.{index}.weight"].numpy()
        arrays += [weight if index < 30 else weight[:, :, ::-1, ::-1]]
        arrays += [ema_state[f"salgan.{index}.bias"].numpy()]
    np.savez(tmp_path / "gen_modelWeights0090.npz", *arrays)
    saved = checkpoint.read(tmp_path / "gen_modelWeights0090.npz")
    assert same(started(saved), ema_state)
    static = Salema(SALEMA, parse_options(SALEMA, ["variant=static"], defaults={}))
    static.load(saved)
    assert same(static, ema_state)


def test_vgg16_starts_the_encoder_with_this_input(tmp_path: Path) -> None:
    torch.manual_seed(0)
    features = make_layers(cfgs["D"])
    state = {f"features.{key}": tensor for key, tensor in features.state_dict().items()}
    saved = Checkpoint({**state, "classifier.0.bias": torch.zeros(1)}, Path("vgg16.pth"))
    model = started(saved)
    pixels = torch.rand(1, 3, 64, 64)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    ours = 255 * pixels.flip(1) - torch.tensor(MEAN)[:, None, None]
    with torch.inference_mode():
        wanted = features[:2]((pixels - mean[:, None, None]) / std[:, None, None])
        found = model.network.salgan.run(ours, 0, 1)
    inner = slice(1, -1)
    torch.testing.assert_close(
        found[..., inner, inner], wanted[..., inner, inner], rtol=0, atol=1e-5
    )
    assert torch.equal(model.network.salgan[28].weight, features[28].weight)


def test_a_cell_begins_afresh_on_the_chain_of_another(
    ema_state: Weights, clstm30_state: Weights
) -> None:
    recurrent = started(Checkpoint(ema_state, Path("SalBCE.pt")), "variant=clstm30")
    assert same(recurrent, ema_state)
    assert not torch.equal(recurrent.network.Gates.weight, clstm30_state["Gates.weight"])
    plain = started(Checkpoint(clstm30_state, Path("SalCLSTM30.pt")), "variant=ema")
    assert same(plain, ema_state)
    assert same(started(Checkpoint(clstm30_state, Path("SalCLSTM30.pt"))), clstm30_state)


def test_late_cell_takes_the_layers_that_it_has(ema_state: Weights) -> None:
    model = started(Checkpoint(ema_state, Path("SalBCE.pt")), "variant=clstm56")
    assert same(model, ema_state, [key for key in ema_state if int(key.split(".")[1]) < 56])


def test_learned_alpha_goes_on_where_it_was(ema_state: Weights) -> None:
    alone = started(Checkpoint(ema_state, Path("a.pt")), "learn_alpha=true", "alpha_start=0.5")
    assert alone.network.alpha.tolist() == [0.5]
    saved = Checkpoint({"alpha": torch.tensor([0.75]), **ema_state}, Path("b.pt"))
    assert started(saved, "learn_alpha=true").network.alpha.tolist() == [0.75]
    fixed = started(saved)
    assert fixed.options.alpha_logit == 0.75
    assert "alpha" not in fixed.network.state_dict()


@pytest.mark.parametrize("fault", ["missing", "shape", "stranger", "half a cell"])
def test_anything_else_is_refused(fault: str, ema_state: Weights, clstm30_state: Weights) -> None:
    state = dict(ema_state)
    match fault:
        case "missing":
            del state["salgan.58.bias"]
            complaint = r"1 missing keys: salgan\.58\.bias"
        case "shape":
            state["salgan.58.bias"] = torch.zeros(3)
            complaint = r"1 wrong shapes: salgan\.58\.bias \[3\] instead of \[64\]"
        case "stranger":
            state, complaint = {"conv1.weight": torch.zeros(1)}, "54 missing keys"
        case _:
            state = {k: v for k, v in clstm30_state.items() if k != "Gates.bias"}
            complaint = r"1 missing keys: Gates\.bias"
    with pytest.raises(WeightsError, match=complaint):
        started(Checkpoint(state, Path("bad.pt")))
