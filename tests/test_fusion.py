"""Fused layers compute what the separate layers do."""

from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from salcli.models.fusion import FusedConvolution, fuse, with_shared_weights


def randomised(network: nn.Module) -> nn.Module:
    """The network in evaluation mode, with statistics as a training leaves them."""
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            assert layer.running_mean is not None
            assert layer.running_var is not None
            nn.init.normal_(layer.running_mean)
            nn.init.uniform_(layer.running_var, 0.2, 3)
            nn.init.uniform_(layer.weight, -2, 2)
            nn.init.normal_(layer.bias)
    return network.eval()


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 999),
    channels=st.sampled_from([1, 3, 8, 20]),
    depthwise=st.booleans(),
    side=st.sampled_from([1, 3, 5]),
    stride=st.integers(1, 2),
    bias=st.booleans(),
    norm=st.booleans(),
    activation=st.sampled_from([None, nn.ReLU, nn.ReLU6]),
    dtype=st.sampled_from([torch.float32, torch.float64]),
)
def test_fused_layers_equal_separate_ones(
    seed, channels, depthwise, side, stride, bias, norm, activation, dtype
):
    torch.manual_seed(seed)
    groups = channels if depthwise else 1
    layers = [
        nn.Conv2d(channels, 2 * channels, side, stride, side // 2, groups=groups, bias=bias),
        *([nn.BatchNorm2d(2 * channels)] if norm else []),
        *([activation()] if activation else []),
    ]
    network = randomised(nn.Sequential(*layers)).to(dtype)
    fused = copy.deepcopy(network)
    fuse(fused)
    x = 3 * torch.randn(2, channels, 11, 9, dtype=dtype).to(memory_format=torch.channels_last)
    with torch.inference_mode():
        for part in (x, x[:1], x[:, :, 1:], x):  # weights are kept in an order for each shape
            torch.testing.assert_close(fused(part), network(part), rtol=1e-4, atol=1e-4)
    kinds = {type(layer) for layer in fused}
    assert kinds <= {FusedConvolution, nn.Identity}


def test_layers_that_do_not_follow_a_convolution_stay():
    network = randomised(
        nn.Sequential(nn.ReLU(), nn.Conv2d(3, 4, 1), nn.ReLU(), nn.BatchNorm2d(4), nn.ReLU6())
    )
    x = torch.randn(1, 3, 5, 5)
    kept, before = x.clone(), network(x)
    fuse(network)
    torch.testing.assert_close(network(x), before)
    assert torch.equal(x, kept), "an activation overwrote the input of the sequence"
    assert [type(layer) for layer in network][2:4] == [nn.Identity, nn.BatchNorm2d]


@pytest.mark.parametrize("padding", ["same", "reflect"])
def test_convolutions_of_other_paddings_are_left_alone(padding):
    mode = {"padding": "same"} if padding == "same" else {"padding": 1, "padding_mode": "reflect"}
    network = nn.Sequential(nn.Conv2d(3, 4, 3, **mode))
    fuse(network)
    assert type(network[0]) is nn.Conv2d


def test_a_copy_with_shared_weights_is_fused_alone():
    network = randomised(nn.Sequential(nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))))
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    copied = with_shared_weights(network)
    assert copied[0][0].weight is network[0][0].weight
    fuse(copied)
    assert [type(layer) for layer in network[0]] == [nn.Conv2d, nn.BatchNorm2d]
    assert all(torch.equal(before[name], now) for name, now in network.state_dict().items())
    x = torch.randn(1, 3, 5, 5)
    torch.testing.assert_close(copied(x), network(x))
