"""The nets against Caffe's own tensors."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from salcli_stsnet import Net
from salcli_stsnet.convolutions import TILES, Convolution, WideConvolution
from salcli_stsnet.joining import joined
from salcli_stsnet.network import STSNet, begin, net_of, pool, response_norm
from torch import nn
from torch.nn import functional

GOLDENS = Path(__file__).parent / "goldens"
OUTPUT, INTERMEDIATE = 1e-4, 1e-4
"""Tolerances that the goldens state: absolute, and relative to an array's maximum."""

Filled = Callable[[Net], STSNet]
Golden = Callable[[str], tuple[dict, dict[str, np.ndarray]]]

NETS = ("ssnet", "tsnet", "stsmaxnet", "stsconvnet", "earlyfusion")
KEYS = {net: f"keys.{net}.tsv" for net in NETS} | {"stsconvnet": "keys.tsv"}


@pytest.mark.parametrize("net", NETS)
def test_net_equals_caffe(net: Net, filled: Filled, golden: Golden) -> None:
    _, arrays = golden("04_network_tensors")
    network, seen = filled(net), dict[str, torch.Tensor]()
    frame, flow = (torch.from_numpy(arrays[name]) for name in ("data1", "data1_b"))
    with torch.inference_mode():
        output = network(frame, flow)
        stream = flow if net == "tsnet" else frame
        seen["pool1"] = network.convolve(stream, 1, 1)
        seen["conv2"] = functional.relu(network.conv2(seen["pool1"]))
        seen["conv4"] = network.convolve(stream, 1, 4)
    np.testing.assert_allclose(output[0, 0], arrays[f"{net}.deconv1"], rtol=0, atol=OUTPUT)
    for name, tensor in seen.items():
        expected = arrays[f"{net}.{name}_sub"]
        ours = tensor[0, :4, ::4, ::4].numpy()
        np.testing.assert_allclose(ours, expected, rtol=0, atol=INTERMEDIATE * expected.max())


@pytest.mark.parametrize("net", ["stsconvnet", "earlyfusion"])  # which have the others' layers
def test_prepared_kernels_equal_caffe(net: Net, filled: Filled, golden: Golden) -> None:
    _, arrays = golden("04_network_tensors")
    network = filled(net)
    frame, flow = (torch.from_numpy(arrays[name]) for name in ("data1", "data1_b"))
    network.prepare()
    try:
        with torch.inference_mode():
            output = network(frame, flow)
    finally:
        network.train().eval()
    np.testing.assert_allclose(output[0, 0], arrays[f"{net}.deconv1"], rtol=0, atol=OUTPUT)


@pytest.mark.parametrize("net", NETS)
def test_keys_are_the_published_ones(net: Net, filled: Filled) -> None:
    rows = [line.split("\t") for line in (GOLDENS / KEYS[net]).read_text().splitlines()[1:]]
    ours = {key: "x".join(map(str, t.shape)) for key, t in filled(net).state_dict().items()}
    assert ours == {key: shape for key, shape, _ in rows}
    assert net_of(ours, name=net) == net


def test_average_is_the_mean_of_two_streams(filled: Filled) -> None:
    ssnet, tsnet = filled("ssnet"), filled("tsnet")
    network = STSNet("stsavgnet").eval()
    network.load_state_dict(joined(network, ssnet.state_dict(), tsnet.state_dict()))
    assert net_of(network.state_dict()) == "stsavgnet"
    frame, flow = torch.rand(2, 1, 3, 16, 20)
    with torch.inference_mode():
        mean = (ssnet(frame, flow) + tsnet(frame, flow)) / 2
        torch.testing.assert_close(network(frame, flow), mean)


def test_nets_that_were_never_usable_are_not_recognised() -> None:
    keys = ["conv1.weight", "conv1_b.weight", "conv6_b.weight", "deconv1.weight"]
    assert net_of(keys) is None
    assert net_of(["fc6.weight"]) is None


@pytest.mark.parametrize("height", [4, 5, 11, 31, 32, 33, 34, 35, 64, 65, 66, 67])
def test_first_layer_by_rows_equals_the_whole(height: int) -> None:
    torch.manual_seed(0)
    layer, x = Convolution(3, 6, 7), torch.randn(2, 3, height, 9)
    nn.init.normal_(layer.weight, std=3)
    whole = pool(response_norm(functional.relu(layer(x))))
    torch.testing.assert_close(begin(layer, x), whole)


def test_response_norm_is_caffe_s() -> None:
    x = 30 * torch.randn(1, 7, 2, 3, dtype=torch.float64)
    for channel in range(7):
        near = x[:, max(0, channel - 2) : channel + 3]
        expected = x[:, channel] / (1 + 1e-4 / 5 * near.square().sum(1)) ** 0.75
        torch.testing.assert_close(response_norm(x)[:, channel], expected)


@pytest.mark.parametrize("side", [3, *TILES])
@pytest.mark.parametrize("size", [(1, 1), (4, 7), (40, 23), (90, 90)])
def test_fewer_multiplications_equal_the_direct_way(side: int, size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    layer, x = WideConvolution(3, 5, side), torch.randn(2, 3, *size)
    nn.init.normal_(layer.bias)
    with torch.inference_mode():
        direct = layer(x)
        layer.prepare()
        assert layer.prepared is not None
        torch.testing.assert_close(layer(x), direct, rtol=0, atol=2e-5)


def test_training_forgets_what_was_prepared() -> None:
    layer = WideConvolution(2, 2, 5)
    layer.prepare()
    layer.eval()
    assert layer.prepared is not None
    layer.train()
    assert layer.prepared is None


def test_start_of_training_is_salnet_s() -> None:
    torch.manual_seed(0)
    network = STSNet("stsconvnet")
    deviation = network.conv3.weight.std().item()
    assert deviation == pytest.approx((2 / (256 * 9)) ** 0.5, rel=0.01)
    assert not network.conv3.bias.any()
    assert network.deconv1.weight.mean().item() == pytest.approx(1 / 64, abs=1e-6)
    streams = torch.randn(1, 1024, 2, 2)
    mean = (streams[:, :512] + streams[:, 512:]) / 2
    torch.testing.assert_close(network.conv_fuse(streams), mean)


def test_synthetic_weights_are_the_goldens(filled: Filled) -> None:
    """Test the rule itself, so that a mistake in it is not mistaken for one in a net."""
    checks = json.loads((GOLDENS / "weights_check.json").read_text())["arrays"]
    state = filled("stsconvnet").state_dict()
    for key, check in checks.items():
        if key in state:
            ours = state[key].flatten()[:3].numpy()
            np.testing.assert_allclose(ours, check["first3"], rtol=1e-6)
