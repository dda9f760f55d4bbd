"""One step of the training of each branch, against the goldens of the original code."""

import dataclasses
from collections.abc import Callable, Mapping

import pytest
import torch
from salcli_tempsal.maps import bicubic, compared
from salcli_tempsal.model import TempSal

from salcli import UsageError

from .conftest import GAINS, hollow
from .steps import PARTS, assert_as_golden, image_batch, slices_batch

Sw1 = Callable[..., None]

DIFFERENT = "deconv_layer5"
"""Last part of both branches; the rest has the same names and shapes, so the same weights."""


@pytest.fixture(scope="module")
def drawn(sw1: Sw1) -> Mapping[str, torch.Tensor]:
    """The synthetic weights of the image branch, which are drawn once for both."""
    model = hollow(network="image")
    sw1(model.network, gains=GAINS)
    return model.network.state_dict()


def fill(model: TempSal, drawn: Mapping[str, torch.Tensor], sw1: Sw1) -> TempSal:
    last = model.network.get_submodule(DIFFERENT)
    sw1(last, salt=f"{DIFFERENT}.")
    own = {f"{DIFFERENT}.{key}": tensor for key, tensor in last.state_dict().items()}
    same = {key: tensor for key, tensor in drawn.items() if not key.startswith(DIFFERENT)}
    model.network.load_state_dict({**same, **own})
    return model


@pytest.mark.endurance
def test_the_image_branch_learns_as_the_original(
    drawn: Mapping[str, torch.Tensor], wave: torch.Tensor, sw1: Sw1
) -> None:
    model = fill(hollow(network="image"), drawn, sw1)

    assert_as_golden("train_image", model, image_batch(wave))

    tracked = model.network.state_dict()["pnas.conv0_bn.num_batches_tracked"]
    assert tracked == 1


@pytest.mark.endurance
def test_the_slice_branch_learns_as_the_original(
    drawn: Mapping[str, torch.Tensor], wave: torch.Tensor, sw1: Sw1
) -> None:
    model, batch = fill(hollow(network="slices"), drawn, sw1), slices_batch(wave)

    found = assert_as_golden("train_temporal", model, batch)

    for index, values in enumerate(found["per_slice"]):
        ours = compared(found["maps"][:, index], batch.density[:, 0, index])
        for part, value in values.items():
            mean = ours[part.replace("kldiv", "kld")].mean().item()
            assert mean == pytest.approx(value, abs=PARTS), (index, part)
    wrong = dataclasses.replace(image_batch(wave), inputs=batch.inputs[..., :32, :32])
    with pytest.raises(UsageError, match="gives 5 maps per picture, and the ground truth has 1"):
        list(model.losses(wrong))


@pytest.mark.parametrize("size", [(12, 20), (64, 48)])
def test_bicubic_maps_have_a_gradient_that_is_deterministic_on_a_gpu(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    start = torch.rand(2, 3, 32, 24)
    found = []
    for deterministic in (False, True):
        x = start.clone().requires_grad_()
        torch.use_deterministic_algorithms(deterministic)
        resized = bicubic(x, size)
        torch.use_deterministic_algorithms(False)
        assert ("Bicubic" in resized.grad_fn.name()) != deterministic
        resized.square().sum().backward()
        found.append((resized, x.grad))
    torch.testing.assert_close(found[1], found[0])
