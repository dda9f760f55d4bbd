"""Losses and recipes: the golden training of the original, step by step."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from salcli_salema import SALEMA
from salcli_salema.architecture import CONVOLUTIONS
from salcli_salema.model import Salema, ground_truth
from torch import Tensor, nn

from salcli import Batch, Loss, UsageError
from salcli.authoring import Checkpoint, parse_options
from salcli.testing import autocast, make_optimiser

Weights = Mapping[str, Tensor]

MEAN = np.array([103.939, 116.779, 123.68])
CLIPS = (4, 2)


def inputs(count: int) -> Tensor:
    """The golden's frames `[1, T, 3, 64, 96]`, by the formula that it states."""
    t, c, y, x = np.meshgrid(*map(np.arange, (count, 3, 64, 96)), indexing="ij")
    wave = 70 * np.sin(2 * np.pi * ((c + 1) * x / 96 + (t + 1) * y / 64))
    cross = 45 * np.cos(2 * np.pi * (t + 1) * (c + 2) * (x + y) / 160)
    pixels = np.clip(np.round(127.5 + wave + cross), 0, 255) - MEAN[:, None, None]
    return torch.from_numpy(pixels.astype(np.float32))[None]


def density(count: int) -> Tensor:
    """Its ground truth as maps that sum to 1, `[1, T, 1, 64, 96]`."""
    t, y, x = np.meshgrid(*map(np.arange, (count, 64, 96)), indexing="ij")
    spot = np.exp(-0.5 * (((x - (20 + 10 * t)) / 12) ** 2 + ((y - (14 + 6 * t)) / 8) ** 2))
    spot /= spot.sum((1, 2), keepdims=True)
    return torch.from_numpy(spot.astype(np.float32))[None, :, None]


def batch(count: int) -> Batch:
    return Batch(inputs(count), density(count), torch.zeros(1, count, 1, 64, 96, dtype=torch.bool))


@pytest.fixture
def trainee(ema_state: Weights) -> Callable[..., Salema]:
    def make(*options: str) -> Salema:
        model = Salema(SALEMA, parse_options(SALEMA, options, defaults={}))
        model.start_from(Checkpoint(ema_state, "sw1"))
        model.start_epoch(0)
        return model

    return make


def parts_of(model: Salema, count: int) -> Iterator[Loss]:
    """Losses as a training with clips of 4 and 2 frames sees them."""
    model.options = replace(model.options, clip_length=CLIPS[0])
    return model.losses(batch(count))


def near(found: float, wanted: float, *, relative: float = 0.0, absolute: float = 0.0) -> None:
    assert found == pytest.approx(wanted, rel=relative, abs=absolute)


@pytest.mark.endurance
def test_training_equals_the_original(
    trainee: Callable[..., Salema], golden: Callable[..., tuple[dict[str, Any], Any]]
) -> None:
    described, _ = golden("train_ema30")
    result, tolerance = described["result"], described["tolerance"]
    model = trainee("learn_alpha=true", "dropout=never")
    recipe = replace(model.recipes()["dhf1k"], learning_rate=1e-4)
    recipe = replace(recipe, groups=(replace(recipe.groups[0], rate=0.1 / 1e-4),))
    network = model.network
    before = {name: value.detach().clone() for name, value in network.named_parameters()}
    optimiser = make_optimiser(network, recipe)
    for step, loss in enumerate(parts_of(model, sum(CLIPS))):
        first, clip = step == 0, result["per_clip"][step]
        limits = tolerance["first_clip" if first else "later_clips"]
        assert loss.frames == CLIPS[step]
        total = loss.total(recipe.losses)
        near(
            total.item(), result["clip_loss_sums"][step], absolute=limits["loss_abs"] * loss.frames
        )
        optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(total)
        for name, wanted in clip["grad_norm"].items():
            limit = limits.get("alpha_grad_rel") if name == "alpha" else None
            found = network.get_parameter(name).grad.norm().item()
            near(found, wanted, relative=limit or limits["grad_norm_rel"])
        largest = recipe.gradient_clip * loss.frames
        assert largest == clip["max_norm"]
        norm = nn.utils.clip_grad_norm_(network.parameters(), largest)
        near(norm.item(), clip["total_norm"], relative=limits["grad_norm_rel"])
        optimiser.step()
        wanted = result["alpha_after_each_step"][step]
        near(network.alpha.item(), wanted, absolute=limits["alpha_after_step_abs"])
    assert step == len(CLIPS) - 1
    for name, wanted in result["param_delta_norm_after_all_steps"].items():
        change = (network.get_parameter(name) - before[name]).norm().item()
        limit = tolerance["later_clips"]["alpha_after_step_abs"] if name == "alpha" else 0.0
        near(change, wanted, relative=tolerance["param_delta_rel"], absolute=limit)


def test_mixed_precision_leaves_the_loss_alone(trainee: Callable[..., Salema]) -> None:
    """PyTorch does not support this loss in half precision."""
    model, whole = trainee("dropout=never"), batch(1)
    corner = Batch(whole.inputs[..., :16, :32], whole.density, whole.fixations)
    with torch.no_grad():
        (exact,) = model.losses(corner)
        (mixed,) = autocast(model.losses(corner), model.device, torch.bfloat16)
    assert mixed.parts["bce"].dtype == torch.float32
    near(mixed.parts["bce"].item(), exact.parts["bce"].item(), relative=2e-2)


def test_only_recurrent_networks_are_clipped(trainee: Callable[..., Salema]) -> None:
    recurrent, static = (trainee(*o).recipes()["dhf1k"] for o in ((), ("variant=static",)))
    assert (recurrent.gradient_clip, static.gradient_clip) == (10.0, None)


def test_losses_of_frames_equal_the_original(
    trainee: Callable[..., Salema], golden: Callable[..., tuple[dict[str, Any], Any]]
) -> None:
    described, _ = golden("train_ema30")
    model = trainee("learn_alpha=true", "dropout=never", "clip_length=1")
    limit = described["tolerance"]["first_clip"]["loss_abs"]
    with torch.no_grad():
        found = [loss.parts["bce"].item() for loss in model.losses(batch(4))]
    np.testing.assert_allclose(found, described["result"]["frame_losses"][:4], rtol=0, atol=limit)


def test_dropout_draws_a_mask_for_every_frame(
    trainee: Callable[..., Salema], golden: Callable[..., tuple[dict[str, Any], Any]]
) -> None:
    described, _ = golden("train_ema30")
    wanted = described["informative_dropout_losses"]["frame_losses"]
    model = trainee("learn_alpha=true", "clip_length=1")
    torch.manual_seed(1234)
    with torch.no_grad():
        found = [loss.parts["bce"].item() for loss in model.losses(batch(3))]
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5)
    model.network.eval()
    with torch.no_grad():
        (calm,) = model.losses(batch(1))
    near(calm.parts["bce"].item(), described["result"]["frame_losses"][0], absolute=1e-5)


def test_frames_without_ground_truth_are_left_out(trainee: Callable[..., Salema]) -> None:
    model = trainee("dropout=never", "clip_length=2")
    given = batch(4)
    flat = torch.full((1, 1, 64, 96), 1 / (64 * 96))
    given.density[:, 1], given.density[:, 2:] = flat, flat
    with torch.no_grad():
        found = list(model.losses(given))
        (alone,) = (loss for loss in trainee("dropout=never").losses(batch(1)))
    assert [loss.frames for loss in found] == [2]
    torch.testing.assert_close(found[0].parts["bce"], alone.parts["bce"])


def test_ground_truth_is_brought_to_the_size_of_the_maps() -> None:
    grey = torch.zeros(1, 2, 1, 4, 4)
    grey[0, 0, 0, :2, :2] = 200.0
    truth, known = ground_truth(grey, (2, 2))
    assert truth[0, :, 0].tolist() == [[[1, 0], [0, 0]], [[0, 0], [0, 0]]]
    assert known.tolist() == [[True, False]]


def test_static_network_learns_frame_by_frame(trainee: Callable[..., Salema]) -> None:
    model = trainee("variant=static")
    with torch.no_grad():
        assert [loss.frames for loss in model.losses(batch(3))] == [1, 1, 1]


def test_alpha_is_given_or_learned(trainee: Callable[..., Salema]) -> None:
    with pytest.raises(UsageError, match="option 'alpha_start'"):
        trainee("learn_alpha=true", "alpha_logit=0.1")


def recipes_of(*options: str) -> Mapping[str, Any]:
    return Salema(SALEMA, parse_options(SALEMA, options, defaults={})).recipes()


def test_learned_alpha_has_a_rate_of_its_own_in_every_recipe() -> None:
    for recipe in recipes_of("learn_alpha=true").values():
        group = recipe.group("alpha")
        assert group.rate * recipe.learning_rate == pytest.approx(0.1)
        assert group.weight_decay == 0
        assert recipe.group("salgan.0.bias").weight_decay == 1e-4
    alone = recipes_of("learn_alpha=true")["alpha-only"]
    assert alone.group("alpha").frozen_epochs == 0
    assert alone.group("salgan.0.weight").frozen_epochs > 1000


@pytest.mark.parametrize(
    ("variant", "steps"),
    [
        ("clstm30", [(), (58, 60), (53, 56), (48, 51), CONVOLUTIONS[:-6]]),
        ("clstm56", [(), (51, 53), (46, 48), (41, 44), CONVOLUTIONS[:18]]),
    ],
)
def test_thawing_follows_the_published_table(variant: str, steps: list[tuple[int, ...]]) -> None:
    recipe = recipes_of(f"variant={variant}")["thaw"]
    last = 61 if variant == "clstm30" else 56
    chain = [index for index in CONVOLUTIONS if index < last]
    for epoch, thawed in enumerate(steps):
        found = [i for i in chain if recipe.group(f"salgan.{i}.weight").frozen_epochs == epoch]
        assert tuple(found) == thawed
    for name in ("Gates.weight", "final_convs.0.bias"):
        assert recipe.group(name).frozen_epochs == 0
        assert recipe.group(name).weight_decay == 1e-4
