"""Training against Caffe's own loss, gradients and steps."""

import copy
import dataclasses
from collections.abc import Callable

import cv2
import numpy as np
import pytest
import torch
from salcli_stsnet import STSNET, Net, Options, training
from salcli_stsnet.model import Stsnet
from salcli_stsnet.network import STSNet
from salcli_stsnet.solver import CaffeSGD

from salcli import Batch, UsageError, WeightsError
from salcli.authoring import Checkpoint
from salcli.testing import make_optimiser

LOSS, GRADIENT, CHANGE = 1e-5, 1e-4, 1e-3
"""Relative tolerances that the golden states."""

VISIBLE = 1e-5
"""Smaller changes of a parameter vanish in float32."""


@pytest.mark.endurance
def test_training_equals_caffe(
    filled: Callable[[Net], STSNet],
    golden: Callable[[str], tuple[dict, dict[str, np.ndarray]]],
) -> None:
    """Loss, gradients, and four steps across a drop of the learning rate."""
    described, arrays = golden("05_training_ssnet")
    solver, expected = described["solver"], described["results"]["float32"]
    network = copy.deepcopy(filled("ssnet")).train()
    before = {name: parameter.detach().clone() for name, parameter in network.named_parameters()}
    inputs, label = (torch.from_numpy(arrays[name]) for name in ("data1", "label"))
    recipe = dataclasses.replace(training.PAPER, learning_rate=solver["base_lr"])
    optimiser = make_optimiser(network, recipe)
    assert isinstance(optimiser, CaffeSGD)
    losses = []
    for step in range(5):
        loss = training.euclidean(network(inputs, inputs), label)
        losses.append(loss.item())
        if step == 4:
            break
        optimiser.zero_grad()
        loss.backward()
        if step == 0:
            assert losses[0] == pytest.approx(expected["loss"], rel=LOSS)
            for name, norm in expected["grad_norm"].items():
                gradient = network.get_parameter(name).grad
                assert gradient is not None
                # in double precision: a float32 sum of six million squares is off by more
                assert gradient.double().norm().item() == pytest.approx(norm, rel=GRADIENT)
                head = arrays[f"grad_head.{name}"]
                ours = gradient.flatten()[:64].numpy()
                bound = GRADIENT * np.abs(head).max()
                np.testing.assert_allclose(ours, head, rtol=0, atol=bound)
        if step == solver["stepsize"]:
            for group in optimiser.param_groups:
                group["lr"] *= solver["gamma"]
        optimiser.step()
    after = expected["loss_before_training_and_after_each_of_4_iterations"]
    np.testing.assert_allclose(losses, after, rtol=1e-4)
    for name, change in expected["param_change_norm_after_4_iterations"].items():
        moved = (network.get_parameter(name).detach() - before[name]).double().norm().item()
        if change > VISIBLE:
            assert moved == pytest.approx(change, rel=CHANGE)


def test_biases_learn_twice_as_fast_and_do_not_decay() -> None:
    groups = {name: training.PAPER.group(name) for name in ("conv3.bias", "conv3.weight")}
    assert (groups["conv3.bias"].rate, groups["conv3.bias"].weight_decay) == (2, 0)
    assert (groups["conv3.weight"].rate, groups["conv3.weight"].weight_decay) == (1, 5e-4)


def test_solver_remembers_steps_not_gradients() -> None:
    """When the learning rate drops, the momentum from the last step does not shrink with it."""
    parameter = torch.nn.Parameter(torch.tensor([1.0]))
    solver = CaffeSGD([parameter], lr=0.1, momentum=0.5, weight_decay=0.0)
    parameter.grad = torch.tensor([1.0])
    solver.step()
    assert parameter.item() == pytest.approx(0.9)
    solver.param_groups[0]["lr"] = 0.0
    solver.step()
    assert parameter.item() == pytest.approx(0.85)
    restored = CaffeSGD([parameter], lr=0.1, momentum=0.5)
    restored.load_state_dict(solver.state_dict())
    restored.step()
    assert parameter.item() == pytest.approx(0.825)


@pytest.fixture
def make(filled: Callable[[Net], STSNet]) -> Callable[..., Stsnet]:
    def model(**options: object) -> Stsnet:
        chosen = Options(**options)
        made = Stsnet(STSNET, chosen)
        made.network = filled(chosen.net)
        return made

    return model


def frames(count: int) -> list[np.ndarray]:
    random = np.random.default_rng(0)
    return [random.integers(0, 256, (24, 32, 3), dtype=np.uint8) for _ in range(count)]


class Resolution:
    """Random numbers that always choose this one of the resolutions."""

    def __init__(self, index: int) -> None:
        self.index = index

    def choice(self, factors: tuple[int, ...]) -> int:
        return factors[self.index]


def test_loss_is_of_frames_with_ground_truth(make: Callable[..., Stsnet]) -> None:
    """Grey levels as SalNet's data layer reads them; the last frame of a clip of two."""
    model = make(input_size=(16, 20))
    inputs = torch.randn(2, 2, 6, 16, 20)
    grey = 255 * torch.rand(2, 1, 1, 16, 20)
    batch = Batch(inputs, grey, torch.zeros_like(grey, dtype=torch.bool))
    with torch.no_grad():
        (loss,) = model.losses(batch)
        output = model.network(inputs[:, 1, :3], inputs[:, 1, 3:])
    wanted = (grey[:, 0] - 31) * 2 / 255
    torch.testing.assert_close(loss.parts["euclidean"], (output - wanted).square().sum() / 4)


def test_ground_truth_is_fitted_to_the_output() -> None:
    grey = torch.rand(1, 1, 46, 64)
    wanted = training.target(grey, (23, 32), mean=0.0)
    means = grey.unflatten(2, (23, 2)).unflatten(4, (32, 2)).mean((3, 5))
    torch.testing.assert_close(wanted, means * 2 / 255)
    output = torch.zeros(1, 1, 20, 32)
    loss = training.euclidean(output, wanted)
    torch.testing.assert_close(loss, wanted[:, :, :20].square().sum() / 2)


def test_training_sees_frames_and_flow(make: Callable[..., Stsnet]) -> None:
    model, random = make(), Resolution(0)
    clip, still = frames(2), frames(1)
    inputs = model.training_inputs(clip, random)
    assert inputs.shape == (2, 6, 24, 32)
    torch.testing.assert_close(inputs[:, :3], model.preprocess(clip))
    assert not torch.equal(inputs[1, :3], inputs[1, 3:])
    alone = model.training_inputs(still, random)
    assert torch.equal(alone[:, :3], alone[:, 3:])
    motionless = make(flow="none").training_inputs(clip, random)
    assert motionless[0, 3:].flatten(1).std(1).max() == 0
    assert make(net="ssnet").training_inputs(still, random).shape == (1, 3, 24, 32)


def test_training_refuses_flow_that_it_cannot_compute(
    make: Callable[..., Stsnet], tmp_path: object
) -> None:
    with pytest.raises(UsageError, match="dis or farneback"):
        make(flow="raft").training_inputs(frames(2), np.random.default_rng(0))
    with pytest.raises(UsageError, match="dis or farneback"):
        make(flow=str(tmp_path)).training_inputs(frames(1), np.random.default_rng(0))
    with pytest.raises(UsageError, match="sees the frame before"):
        make(flow_direction="forward").training_inputs(frames(2), np.random.default_rng(0))


def test_lower_resolutions_are_seen_as_often(make: Callable[..., Stsnet]) -> None:
    model, random, (frame,) = make(net="ssnet"), np.random.default_rng(0), frames(1)
    possible = [model.preprocess([training.coarse(frame, k)]) for k in (1, 2, 4)]
    seen = [0, 0, 0]
    for _ in range(60):
        inputs = model.training_inputs([frame], random)
        seen[[torch.equal(inputs, each) for each in possible].index(True)] += 1
    assert min(seen) >= 10
    assert [each.std() for each in possible] == sorted([e.std() for e in possible], reverse=True)


def test_lower_resolutions_are_the_net_s(make: Callable[..., Stsnet]) -> None:
    """A video of four times that size loses nothing at half the resolution."""
    large = cv2.resize(frames(1)[0], (128, 96), interpolation=cv2.INTER_NEAREST)
    model = make(net="ssnet", input_size=(24, 32))
    found = model.training_inputs([large], Resolution(1))
    plain = model.preprocess([large])
    assert found.std() < 0.8 * plain.std()


def test_flow_of_lower_resolutions_is_divided(make: Callable[..., Stsnet]) -> None:
    """Half the lines: half the motion, on top of half the detail."""
    base = np.kron(np.random.default_rng(1).integers(0, 256, (8, 10, 3)), np.ones((32, 32, 1)))
    clip = [np.roll(base, 6 * step, axis=1).astype(np.uint8) for step in range(2)]
    model = make(input_size=(240, 320))
    motions = []
    for index in (0, 1):
        red = model.training_inputs(clip, Resolution(index))[1, -1] / (2 / 255) + 118 - 128
        motions.append(red[60:-60, 60:-60].median().item())
    assert motions[0] == pytest.approx(16 * 6, rel=0.1)
    assert motions[1] == pytest.approx(motions[0] / 2, rel=0.1)


def test_both_streams_start_from_a_single_one(filled: Callable[[Net], STSNet]) -> None:
    state = filled("ssnet").state_dict()
    model = Stsnet(STSNET, Options())
    model.network = STSNet("stsconvnet")
    model.start_from(Checkpoint(state, "salnet.caffemodel"))
    for key, tensor in model.network.state_dict().items():
        if not key.startswith("conv_fuse"):
            assert torch.equal(tensor, state[key.replace("_b.", ".")])
    x = torch.rand(1, 3, 8, 8)
    with torch.inference_mode():
        network = filled("ssnet")
        torch.testing.assert_close(model.network(x, x), network(x, x), rtol=0, atol=1e-4)
    del state["conv7.bias"]
    with pytest.raises(WeightsError, match=r"conv7\.bias"):
        model.start_from(Checkpoint(state, "salnet.caffemodel"))


def test_recipes_ask_for_no_more_frames_than_the_net_sees(make: Callable[..., Stsnet]) -> None:
    assert {r.clip_length for r in make().recipes().values()} == {2}
    assert {r.clip_length for r in make(net="ssnet").recipes().values()} == {1}
    assert next(iter(make().recipes())) == "paper"
