"""ViNet's losses, gradients and first step against the original."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from salcli_vinet.clips import DHF1K_VALIDATION
from salcli_vinet.model import DHF1K, DHF1K_CC_SIM, Vinet

from salcli import Batch, UsageError

GOLDENS = Path(__file__).parent / "goldens"
GOLDEN = json.loads((GOLDENS / "train_small.json").read_text())["values"]
PEAKS = ((28, 36, 7), (60, 18, 11))
Make = Callable[..., Vinet]


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


@torch.no_grad()
def parts(model: Vinet, batch: Batch) -> dict[str, float]:
    (loss,) = model.losses(batch)
    return {name: value.item() for name, value in loss.parts.items()}


def test_losses_equal_the_original(make: Make, batch: Batch) -> None:
    found = parts(make(), batch)
    assert found["kld"] == pytest.approx(GOLDEN["loss_eval"], rel=3e-4)
    assert found["cc"] == pytest.approx(GOLDEN["cc_eval"], rel=3e-4)
    assert found["sim"] == pytest.approx(GOLDEN["sim_eval"], rel=1e-3)
    total = sum(weight * found[name] for name, weight in DHF1K_CC_SIM.losses.items())
    assert total == pytest.approx(GOLDEN["loss_eval_kl_minus_cc_minus_sim"], rel=3e-4)


@pytest.mark.endurance
def test_gradients_and_a_step_equal_the_original(trainable: Vinet, batch: Batch) -> None:
    network = trainable.network
    trainable.start_epoch(0)
    (loss,) = trainable.losses(batch)
    total = loss.total(DHF1K.losses)
    torch.autograd.backward(total)
    assert total.item() == pytest.approx(GOLDEN["loss_train"], rel=3e-4)
    parameters = dict(network.named_parameters())
    norms = {name: parameters[name].grad.norm().item() for name in GOLDEN["grad_norms"]}
    assert norms == pytest.approx(GOLDEN["grad_norms"], rel=1e-2)
    for name, values in GOLDEN["buffers_after_1"].items():
        buffer = network.get_buffer(name.removesuffix("[:4]"))
        np.testing.assert_allclose(buffer[:4], values, rtol=0, atol=1e-4)

    before = {name: p.detach().clone() for name, p in parameters.items()}
    assert DHF1K.optimiser == "adam"
    torch.optim.Adam(network.parameters(), lr=DHF1K.learning_rate).step()
    steps = GOLDEN["adam_step_norms"]
    moved = {name: (parameters[name].detach() - before[name]).norm().item() for name in steps}
    assert moved == pytest.approx(steps, rel=2e-2)
    after = parts(trainable, batch)["kld"]
    assert after == pytest.approx(GOLDEN["loss_train_after_step"], rel=1e-2)


def test_blank_annotations_harm_nothing(make: Make, batch: Batch) -> None:
    blank = torch.zeros_like(batch.density)
    assert list(make().losses(Batch(batch.inputs, blank, blank > 0))) == []
    corner = batch.inputs[..., 16:48, 16:48]
    half = torch.cat((batch.density[:1], blank[:1]))
    found = parts(make(), Batch(corner, half, half > 0))
    alone = parts(make(), Batch(corner[:1], half[:1], half[:1] > 0))
    assert found == pytest.approx(alone, rel=1e-4)


def test_clips_of_a_wrong_length_are_refused(make: Make, batch: Batch) -> None:
    short = Batch(batch.inputs[:, :16], batch.density, batch.fixations)
    with pytest.raises(UsageError, match="clips of 32 frames, not 16"):
        next(make().losses(short))


def test_recipe_is_the_published_one(make: Make) -> None:
    assert list(make().recipes()) == ["dhf1k", "dhf1k-cc-sim"]
    assert (DHF1K.epochs, DHF1K.batch_size, DHF1K.learning_rate) == (40, 8, 1e-4)
    group = DHF1K.group("backbone.base1.0.conv_s.weight")
    assert (group.rate, group.weight_decay, group.frozen_epochs) == (1, 0, 0)


@pytest.mark.parametrize(
    ("frames", "starts"), [(32, [0]), (33, [0]), (160, [0]), (161, [0, 128]), (300, [0, 128, 256])]
)
def test_validation_samples_begin_every_128_frames(frames: int, starts: list[int]) -> None:
    assert list(DHF1K_VALIDATION.validation_starts(frames, 32)) == starts
