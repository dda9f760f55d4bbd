"""One step of a training, and the batches of the goldens for that."""

import json
from typing import Any

import numpy as np
import pytest
import torch
from salcli_tempsal.model import TempSal
from salcli_tempsal.network import Maps

from salcli import Batch
from salcli.testing import freeze

from .conftest import GOLDENS

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
