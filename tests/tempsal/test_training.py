"""One step of each stage of training, against the goldens of the original code."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from salcli_tempsal.maps import compared
from salcli_tempsal.model import TempSal
from salcli_tempsal.network import Maps

from salcli import checkpoint
from salcli.errors import UsageError
from salcli.model import create
from salcli.training.train import freeze
from salcli.types import Batch

from .conftest import GAINS, GOLDENS

Sw1 = Callable[..., None]

LOSS, PARTS, DECODER, ENCODER, NORMS, MAPS = 1e-4, 5e-5, 2e-3, 2e-2, 1e-4, 2e-4
"""Tolerances that the goldens state."""


def image_batch(wave: torch.Tensor) -> Batch:
    b, i, j = np.meshgrid(np.arange(2), np.arange(256), np.arange(256), indexing="ij")
    distance = (i - (90 + 70 * b)) ** 2 + (j - (150 - 60 * b)) ** 2
    density = np.exp(-distance / (2 * (24 + 6 * b) ** 2)).astype(np.float32)
    fixations = np.zeros((2, 480, 640), dtype=bool)
    for b in range(2):
        for k in range(12):
            fixations[b, (37 + 97 * k + 53 * b) % 480, (61 + 131 * k + 29 * b) % 640] = True
    maps, places = (torch.from_numpy(a)[:, None, None] for a in (density, fixations))
    return Batch(wave[:, None], maps, places)


def slices_batch(wave: torch.Tensor) -> Batch:
    b, t, i, j = np.meshgrid(*map(np.arange, (2, 5, 256, 256)), indexing="ij")
    distance = (i - (80 + 25 * t + 10 * b)) ** 2 + (j - (60 + 30 * t - 15 * b)) ** 2
    volume = (1 - 0.1 * t) * np.exp(-distance / (2 * (20 + 2 * t) ** 2))
    density = torch.from_numpy((volume / volume.max()).astype(np.float32))[:, None]
    return Batch(wave[:, None], density, density > 0.9)


def step(model: TempSal, batch: Batch) -> tuple[dict[str, float], float, torch.Tensor]:
    """The parts and the total of a step with the recipe, and the maps that were compared."""
    (recipe,) = model.recipes().values()
    seen: list[Maps] = []
    handle = model.network.register_forward_hook(lambda _, __, maps: seen.append(maps))
    model.start_epoch(0)
    freeze(model.network, recipe, 0)
    (loss,) = model.losses(batch)
    total = loss.total(recipe.losses)
    torch.autograd.backward(total)
    handle.remove()
    maps = seen[0].slices if batch.density.shape[2] > 1 else seen[0].aggregate
    parts = {name: value.item() for name, value in loss.parts.items()}
    return parts, total.item(), maps.detach()


def assert_as_golden(name: str, model: TempSal, batch: Batch) -> dict[str, Any]:
    golden = json.loads((GOLDENS / f"{name}.json").read_text())
    parts, total, maps = step(model, batch)
    expected = np.load(GOLDENS / f"{name}.npz")["pred_s4"]
    np.testing.assert_allclose(maps[..., ::4, ::4].numpy(), expected, rtol=0, atol=MAPS)
    assert total == pytest.approx(golden["loss_value"], rel=LOSS)
    for part, value in golden["parts"].items():
        assert parts[part.replace("kldiv", "kld")] == pytest.approx(value, abs=PARTS), part
    gradients = {key: p.grad for key, p in model.network.named_parameters() if p.grad is not None}
    for key, value in golden["grad_norms"].items():
        bar = ENCODER if key.startswith("pnas.") else DECODER
        assert gradients[key].double().norm().item() == pytest.approx(value, rel=bar), key
    state = model.network.state_dict()
    for key, value in golden.get("bn_after", {}).items():
        if key.endswith(" norm"):
            buffer = state[key.removesuffix(" norm").replace("module.", "")]
            assert buffer.double().norm().item() == pytest.approx(value, rel=NORMS), key
    return {**golden, "maps": maps, "gradients": gradients}


@pytest.fixture
def alone(sw1: Sw1) -> Callable[[str], TempSal]:
    """Make a branch alone, with the synthetic weights of its goldens."""

    def make(network: str) -> TempSal:
        model = create("tempsal", options={"network": network}, defaults={})
        assert isinstance(model, TempSal)
        sw1(model.network, gains=GAINS)
        return model

    return make


def test_the_image_branch_learns_as_the_original(
    alone: Callable[[str], TempSal], wave: torch.Tensor
) -> None:
    model = alone("image")

    assert_as_golden("train_image", model, image_batch(wave))

    tracked = model.network.state_dict()["pnas.conv0_bn.num_batches_tracked"]
    assert tracked == 1


def test_the_slice_branch_learns_as_the_original(
    alone: Callable[[str], TempSal], wave: torch.Tensor
) -> None:
    model, batch = alone("slices"), slices_batch(wave)

    found = assert_as_golden("train_temporal", model, batch)

    for index, values in enumerate(found["per_slice"]):
        ours = compared(found["maps"][:, index], batch.density[:, 0, index])
        for part, value in values.items():
            mean = ours[part.replace("kldiv", "kld")].mean().item()
            assert mean == pytest.approx(value, abs=PARTS), (index, part)
    wrong = dataclasses.replace(image_batch(wave), inputs=batch.inputs[..., :32, :32])
    with pytest.raises(UsageError, match="gives 5 maps per picture, and the ground truth has 1"):
        list(model.losses(wrong))


def test_the_mixing_module_learns_as_the_original(sw1_file: Path, wave: torch.Tensor) -> None:
    model = create("tempsal", options={"norms": "batch"}, defaults={})
    assert isinstance(model, TempSal)
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
