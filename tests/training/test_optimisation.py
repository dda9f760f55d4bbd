"""What a recipe says of optimisers, rates and moving averages, as PyTorch does it."""

import dataclasses
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel
from torch.profiler import ProfilerActivity, profile

from salcli.devices import to_channels_last
from salcli.errors import PluginError
from salcli.recipe import ParameterGroup, Recipe
from salcli.training.optimisation import (
    freeze,
    make_average,
    make_optimiser,
    make_schedule,
    rate_factor,
)


def plain_recipe(**changes: Any) -> Recipe:
    return dataclasses.replace(Recipe(4, 2, "sgd", 0.1), **changes)


def test_the_moving_average_forgets_its_start_and_follows() -> None:
    network = nn.BatchNorm1d(2)
    average = make_average(network, plain_recipe(ema=0.75))
    expected = 0.0
    for count in range(40):
        value = float(count % 7)
        nn.init.constant_(network.weight, value)
        network.running_mean = torch.full((2,), value)
        network.num_batches_tracked = torch.tensor(count)
        average.update_parameters(network)
        decay = 0.0 if count == 0 else min(0.75, (1 + count) / (10 + count))
        expected = decay * expected + (1 - decay) * value
        found = average.module.state_dict()
        assert found["weight"].tolist() == pytest.approx([expected] * 2, rel=1e-5)
        assert found["running_mean"].tolist() == pytest.approx([expected] * 2, rel=1e-5)
        assert found["num_batches_tracked"] == count


def test_parameters_are_grouped_by_the_first_prefix_that_fits() -> None:
    network = nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 1), nn.Linear(1, 1))
    groups = (
        ParameterGroup("0.", rate=0.1, weight_decay=0.2, frozen_epochs=2),
        ParameterGroup("1.bias", rate=0.0),
        ParameterGroup("1.", rate=3.0),
    )
    recipe = plain_recipe(groups=groups, weight_decay=0.5)
    found = {
        id(parameter): (group["lr"], group["weight_decay"])
        for group in make_optimiser(network, recipe).param_groups
        for parameter in group["params"]
    }
    names = {name: found[id(parameter)] for name, parameter in network.named_parameters()}
    assert names["0.weight"] == names["0.bias"] == (pytest.approx(0.01), 0.2)
    assert names["1.weight"] == (pytest.approx(0.3), 0.0)
    assert names["1.bias"] == (0.0, 0.0)
    assert names["2.weight"] == (0.1, 0.5)
    for epoch in range(3):
        freeze(network, recipe, epoch)
        assert network[0].weight.requires_grad == (epoch >= 2)
        assert network[2].weight.requires_grad


def test_learning_rates_follow_the_schedule() -> None:
    constant, steps = plain_recipe(warmup_steps=3), 10
    assert [rate_factor(s, steps, constant) for s in range(5)] == [0.25, 0.5, 0.75, 1, 1]
    falling = plain_recipe(schedule="exponential", gamma=0.5)
    assert [rate_factor(s, steps, falling) for s in (0, 9, 10, 39)] == [1, 1, 0.5, 0.125]
    cosine = plain_recipe(schedule="cosine")
    assert [rate_factor(s, steps, cosine) for s in (0, 20, 40, 50)] == pytest.approx([1, 0.5, 0, 0])


def test_networks_with_three_dimensional_convolutions_can_be_laid_out() -> None:
    flat = nn.Conv2d(2, 3, 3)
    to_channels_last(nn.Sequential(nn.Conv3d(2, 3, 3), flat))
    assert flat.weight.is_contiguous(memory_format=torch.channels_last)


def test_rates_fall_at_milestones_for_the_groups_that_follow() -> None:
    network = nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 1))
    groups = (ParameterGroup("0.", rate=0.1, scheduled=False), ParameterGroup("", suffix=".bias"))
    recipe = plain_recipe(
        learning_rate=0.5, schedule="milestones", gamma=0.1, milestones=(1, 3), groups=groups
    )
    optimiser = make_optimiser(network, recipe)
    schedule = make_schedule(optimiser, network, recipe, steps=2)
    rates = []
    for _ in range(8):
        rates.append([round(group["lr"], 6) for group in optimiser.param_groups])
        optimiser.step()
        schedule.step()
    assert [len(group["params"]) for group in optimiser.param_groups] == [2, 1, 1]
    assert [rate[0] for rate in rates] == [0.05] * 8
    assert [rate[1] for rate in rates] == [0.5] * 2 + [0.05] * 4 + [0.005] * 2
    assert [rate[2] for rate in rates] == [rate[1] for rate in rates]


def test_a_plugin_can_bring_its_optimiser() -> None:
    recipe = plain_recipe(optimiser="torch.optim:RMSprop", momentum=0.7)
    made = make_optimiser(nn.Linear(1, 1), recipe)
    assert isinstance(made, torch.optim.RMSprop)
    assert (made.defaults["lr"], made.defaults["momentum"]) == (0.1, 0.7)
    with pytest.raises(PluginError, match="cannot import"):
        make_optimiser(nn.Linear(1, 1), plain_recipe(optimiser="torch.optim:Gone"))


def test_a_moving_average_is_a_few_calls_whatever_the_network_has() -> None:
    def calls(layers: int) -> int:
        network = nn.Sequential(*(nn.BatchNorm1d(3) for _ in range(layers)))
        average = make_average(network, plain_recipe(ema=0.9))
        average.update_parameters(network)
        with profile(activities=[ProfilerActivity.CPU]) as found:
            average.update_parameters(network)
        # of the operations, only how each is carried out on this device depends on the number
        return sum(event.cpu_parent is None for event in found.events() or ())

    assert calls(40) == calls(2) <= 10


def test_a_moving_average_goes_on_from_the_state_of_pytorchs_own() -> None:
    def follow(averaged: torch.Tensor, current: torch.Tensor, count: Any) -> torch.Tensor:
        return averaged + (1 - min(0.9, (1 + float(count)) / (10 + float(count)))) * (
            current - averaged
        )

    torch.manual_seed(0)
    network = nn.Linear(4, 4)
    plain = AveragedModel(network, avg_fn=follow)
    average = make_average(network, plain_recipe(ema=0.9))
    for step in range(6):
        nn.init.normal_(network.weight)
        plain.update_parameters(network)
        if step == 2:
            average.load_state_dict(plain.state_dict())
        elif step > 2:
            average.update_parameters(network)
    found, expected = average.state_dict(), plain.state_dict()
    assert found.keys() == expected.keys()
    assert int(found["n_averaged"]) == 6
    assert torch.allclose(found["module.weight"], expected["module.weight"], atol=1e-6)
