"""TASED-Net's loss, gradients and first step against the original."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from salcli_tased.model import DHF1K, DHF1K_SMALL, Tased, kld
from torch import nn

from salcli import Batch, UsageError
from salcli.authoring import create
from salcli.testing import autocast

GOLDENS = Path(__file__).parent / "goldens"
GOLDEN = json.loads((GOLDENS / "train_small.json").read_text())["values"]
PEAKS = ((40, 24, 9), (70, 44, 6))
Make = Callable[..., Tased]


def annotation(centre_x: int, centre_y: int, spread: int) -> torch.Tensor:
    y, x = np.mgrid[:64, :96].astype(np.float64)
    bump = np.exp(-((x - centre_x) ** 2 + (y - centre_y) ** 2) / (2 * spread**2))
    return torch.from_numpy(np.floor(255 * bump).astype(np.float32))


@pytest.fixture(scope="module")
def batch(clip: torch.Tensor) -> Batch:
    """Two clips; the second is the first, reversed and mirrored."""
    inputs = torch.cat((clip, clip.flip(2, 4))).transpose(1, 2)
    density = torch.stack([annotation(*peak) for peak in PEAKS])[:, None, None]
    return Batch(inputs, density, density > 0)


def only(batch: Batch, which: slice) -> Batch:
    return Batch(batch.inputs[which], batch.density[which], batch.fixations[which])


def tiny(batch: Batch) -> Batch:
    """A corner of the first clip."""
    return Batch(batch.inputs[:1, ..., :32, :32], batch.density[:1], batch.fixations[:1])


def backward(model: Tased, batch: Batch) -> float:
    (loss,) = model.losses(batch)
    total = loss.total(DHF1K.losses)
    torch.autograd.backward(total)
    return total.item()


def norms(network: nn.Module, names: Mapping[str, Any]) -> dict[str, float]:
    parameters = dict(network.named_parameters())
    return {name: parameters[name].grad.norm().item() for name in names}


def test_losses_equal_the_original(make: Make, batch: Batch) -> None:
    model = make({})
    with torch.no_grad():
        (loss,) = model.losses(batch)
    assert loss.parts["kld"].item() == pytest.approx(GOLDEN["loss_eval"], rel=3e-4)
    each = sum(GOLDEN["loss_eval_each"]) / 2
    assert loss.parts["kld_each"].item() == pytest.approx(each, rel=3e-4)


@pytest.mark.endurance
def test_two_batches_and_a_step_equal_the_original(make: Make, batch: Batch) -> None:
    model = make({})
    network = model.network
    model.start_epoch(0)
    assert backward(model, batch) == pytest.approx(GOLDEN["loss_train_batch2"], rel=3e-4)
    wanted = GOLDEN["grad_norms_batch2"]
    assert norms(network, wanted) == pytest.approx(wanted, rel=5e-2)
    for name, values in GOLDEN["bn_running_mean_after_1"].items():
        buffer = network.get_buffer(name.removesuffix("[:4]"))
        np.testing.assert_allclose(buffer[:4], values, rtol=0, atol=1e-4)

    network.zero_grad()
    losses = [backward(model, batch), backward(model, only(batch, slice(1, 2)))]
    assert losses == pytest.approx(GOLDEN["pile_losses"], rel=3e-4)
    wanted = GOLDEN["grad_norms_pile"]
    assert norms(network, wanted) == pytest.approx(wanted, rel=5e-2)

    before = {name: p.detach().clone() for name, p in network.named_parameters()}
    step(network)
    moved = {
        name: (p.detach() - before[name]).norm().item() for name, p in network.named_parameters()
    }
    wanted = GOLDEN["step_delta_norms"]
    assert {name: moved[name] for name in wanted} == pytest.approx(wanted, rel=5e-2)
    with torch.no_grad():
        (loss,) = model.losses(batch)
    assert loss.parts["kld"].item() == pytest.approx(GOLDEN["loss_train_after_step"], rel=2e-2)


def step(network: nn.Module) -> None:
    """One step of the recipe's optimiser with the recipe's groups, and with the mean gradient."""
    for parameter in network.parameters():
        assert parameter.grad is not None
        parameter.grad /= DHF1K.accumulation
    groups = [
        {
            "params": [parameter],
            "lr": DHF1K.learning_rate * DHF1K.group(name).rate,
            "weight_decay": DHF1K.group(name).weight_decay,
        }
        for name, parameter in network.named_parameters()
    ]
    torch.optim.SGD(groups, lr=DHF1K.learning_rate, momentum=DHF1K.momentum).step()


def test_recipe_is_the_published_one() -> None:
    encoder, decoder = map(DHF1K.group, ("base3.0.branch0.0.conv.weight", "convtsp4.13.bias"))
    rate = DHF1K.learning_rate / DHF1K.accumulation  # of the sum of gradients
    assert (rate, encoder.rate * rate) == pytest.approx((0.1, 0.001))
    assert (encoder.scheduled, decoder.scheduled, decoder.rate) == (False, True, 1)
    for group in (encoder, decoder):
        assert group.weight_decay * DHF1K.accumulation == pytest.approx(2e-7)
    for recipe, steps, falls in ((DHF1K, 1000, (750, 950)), (DHF1K_SMALL, 1750, (1000, 1500))):
        assert recipe.epoch_steps is not None
        assert recipe.epochs * recipe.epoch_steps == steps
        assert tuple(epoch * recipe.epoch_steps for epoch in recipe.milestones) == falls


def test_recipes_follow_the_options(make: Make) -> None:
    recipe = make({}).recipes()["dhf1k"]
    assert (recipe.clip_length, recipe.losses) == (32, {"kld": 1.0})
    recipe = make({"loss": "each"}).recipes()["dhf1k-small"]
    assert (recipe.batch_size, recipe.losses) == (2, {"kld_each": 1.0})
    short = create("tased", options={"clip_length": 16}, defaults={})
    assert {each.clip_length for each in short.recipes().values()} == {16}


@pytest.mark.parametrize(
    ("option", "moving"),
    [("none", {"base", "conv"}), ("encoder", {"conv"}), ("all", set())],
)
def test_norms_may_keep_their_statistics(
    option: str, moving: set[str], make: Make, batch: Batch
) -> None:
    """While their weights learn; and the next epoch is no different."""
    model = make({"frozen_norms": option})
    for epoch in (0, 1):
        model.network.eval()
        model.start_epoch(epoch)
        before = {name: buffer.clone() for name, buffer in model.network.named_buffers()}
        backward(model, tiny(batch))
        after = dict(model.network.named_buffers())
        assert {name[:4] for name in after if not torch.equal(after[name], before[name])} == moving
    gradients = {name: p.grad for name, p in model.network.named_parameters()}
    assert all(gradient is not None for gradient in gradients.values())


def test_mixed_precision_leaves_the_loss_alone(make: Make, batch: Batch) -> None:
    """A map that sums to 1 has values too small for half precision."""
    model = make({})
    with torch.no_grad():
        (exact,) = model.losses(tiny(batch))
        (mixed,) = autocast(model.losses(tiny(batch)), model.device, torch.bfloat16)
    assert mixed.parts["kld"].dtype == torch.float32
    assert mixed.parts["kld"].item() == pytest.approx(exact.parts["kld"].item(), rel=5e-2)


def test_scale_of_the_annotations_does_not_matter() -> None:
    torch.manual_seed(0)
    saliency, density = torch.rand(2, 4, 6), torch.rand(2, 4, 6)
    assert kld(saliency, density).item() == pytest.approx(kld(saliency, 255 * density).item())
    assert kld(density, density).item() == pytest.approx(0, abs=1e-6)


def test_blank_annotations_harm_nothing(make: Make, batch: Batch) -> None:
    model = make({})
    blank = torch.zeros_like(batch.density)
    assert list(model.losses(Batch(batch.inputs, blank, blank > 0))) == []
    half = torch.cat((batch.density[:1], blank[:1]))
    with torch.no_grad():
        (loss,) = model.losses(Batch(batch.inputs, half, half > 0))
    first = GOLDEN["loss_eval_each"][0]
    assert loss.parts["kld_each"].item() == pytest.approx(first, rel=3e-4)
    assert torch.isfinite(loss.parts["kld"])


def test_annotations_of_another_size_are_resized(make: Make, batch: Batch) -> None:
    model = make({})
    large = nn.functional.interpolate(batch.density[:, 0], scale_factor=2, mode="bilinear")
    with torch.no_grad():
        (loss,) = model.losses(Batch(batch.inputs, large[:, None], large[:, None] > 0))
    assert loss.parts["kld"].item() == pytest.approx(GOLDEN["loss_eval"], rel=2e-2)


def test_clips_of_a_wrong_length_are_refused(make: Make, batch: Batch) -> None:
    short = Batch(batch.inputs[:, :16], batch.density, batch.fixations)
    with pytest.raises(UsageError, match="clips of 32 frames, not 16"):
        next(make({}).losses(short))
