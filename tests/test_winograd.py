"""Winograd's way gives the convolution, up to rounding that is known."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from salcli.models import winograd
from salcli.models.fusion import FusedConvolution


def sample(count: int, height: int, width: int) -> tuple[torch.Tensor, nn.Conv2d]:
    torch.manual_seed(0)
    x = torch.randn(count, 96, height, width).relu().to(memory_format=torch.channels_last)
    return x, nn.Conv2d(96, 128, 3, padding=1).requires_grad_(False)


@pytest.mark.parametrize("size", [(4, 4), (12, 8), (28, 32), (9, 15)])
@pytest.mark.parametrize("bias", [True, False])
def test_it_equals_the_convolution(size, bias, monkeypatch):
    monkeypatch.setattr(winograd, "AT_ONCE", 9 * size[1] * 128 * 3)  # the last rows are fewer
    x, layer = sample(2, *size)
    b = layer.bias if bias else None
    found = winograd.winograd_conv(x, winograd.winograd_kernels(layer.weight), b)
    assert found.is_contiguous(memory_format=torch.channels_last)
    true = functional.conv2d(
        x.double(), layer.weight.double(), None if b is None else b.double(), padding=1
    )
    torch.testing.assert_close(found.double(), true, rtol=0, atol=5e-6)


def test_images_do_not_change_each_others_bits():
    x, layer = sample(3, 32, 24)
    kernels = winograd.winograd_kernels(layer.weight)
    together = winograd.winograd_conv(x, kernels, layer.bias)
    for index in range(3):
        alone = winograd.winograd_conv(x[index : index + 1], kernels, layer.bias)
        assert torch.equal(alone[0], together[index])


@pytest.mark.parametrize(
    ("size", "stride", "tiled"),
    [((28, 28), 1, True), ((28, 28), 2, False), ((27, 26), 1, True), ((24, 28), 1, False)],
)
def test_a_fused_layer_uses_it_where_it_pays(size, stride, tiled):
    x, layer = sample(1, *size)
    layer.stride = (stride, stride)
    fused = FusedConvolution(layer, activation=nn.ReLU())
    torch.testing.assert_close(fused(x), layer(x).relu(), rtol=0, atol=1e-5)
    assert (fused._matrices is not None) == tiled
