"""SalGAN's generator, the layers that all variants share; its keys are the layers' indices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from torch import Tensor, nn
from torch.nn import functional

from salcli_salema.architecture import ENCODER, LAYERS, LayerSpec
from salcli_salema.convolutions import (
    phase_kernels,
    upsampled_conv,
    winograd_conv,
    winograd_kernels,
    worthwhile,
)

__all__ = ["Kernels", "SalGANGenerator", "make", "no_bias"]

Kernels: TypeAlias = Mapping[str, Tensor]
"""Transformed weights, computed once for a prediction."""


def make(layer: LayerSpec) -> nn.Module:
    """The module of a layer."""
    match layer.kind:
        case "conv":
            padding = layer.kernel // 2
            return nn.Conv2d(layer.cin, layer.cout, layer.kernel, padding=padding)
        case "relu":
            return nn.ReLU()
        case "pool":
            return nn.MaxPool2d(2)
        case "upsample":
            return nn.Upsample(scale_factor=2, mode="nearest")
        case "sigmoid":
            return nn.Sigmoid()


def no_bias(conv: nn.Conv2d) -> None:
    """Initialise a convolution's bias to zero."""
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)


class SalGANGenerator(nn.Sequential):
    """The layers of SalGAN's generator: all 62, or the first of them."""

    def __init__(self, layers: Sequence[LayerSpec] = LAYERS) -> None:
        super().__init__(*map(make, layers))
        for index, layer in enumerate(layers[: len(ENCODER)]):
            if layer.kind == "conv":
                conv = self.conv(index)
                nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
                no_bias(conv)

    def conv(self, index: int) -> nn.Conv2d:
        """The convolution at an index."""
        layer = self[index]
        if not isinstance(layer, nn.Conv2d):
            raise TypeError(f"layer {index} is no convolution")
        return layer

    def run(self, x: Tensor, first: int, last: int, kernels: Kernels | None = None) -> Tensor:
        """Layers `first` to `last`, both included, on `[N, C, h, w]`."""
        kernels, index = kernels or {}, first
        while index <= last:
            layer = self[index]
            phases = kernels.get(f"phases.{index + 1}") if index < last else None
            if phases is not None:
                index += 1
                x = upsampled_conv(x, phases, self.conv(index).bias)
            elif isinstance(layer, nn.Conv2d):
                x = self._convolved(x, layer, kernels.get(f"winograd.{index}"))
            elif isinstance(layer, nn.ReLU):
                x = functional.relu(x, inplace=index > first)  # the caller's input stays
            else:
                x = layer(x)
            index += 1
        return x

    def _convolved(self, x: Tensor, conv: nn.Conv2d, matrices: Tensor | None) -> Tensor:
        odd = x.shape[-2] % 2 or x.shape[-1] % 2
        found: Tensor = (
            conv(x) if matrices is None or odd else winograd_conv(x, matrices, conv.bias)
        )
        return found

    def kernels(self) -> dict[str, Tensor]:
        """The transformed weights, by the convolution's index."""
        found = {}
        for index, layer in enumerate(self):
            if not isinstance(layer, nn.Conv2d):
                continue
            if index and isinstance(self[index - 1], nn.Upsample):
                found[f"phases.{index}"] = phase_kernels(layer.weight)
            elif worthwhile(layer):
                found[f"winograd.{index}"] = winograd_kernels(layer.weight)
        return found
