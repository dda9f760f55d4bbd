"""SalGAN's generator, the layers that all variants share; its keys are the layers' indices."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional

from salcli.authoring import FusedConvolution, in_order
from salcli_salema.architecture import ENCODER, LAYERS, LayerSpec
from salcli_salema.convolutions import DoublingConvolution

__all__ = ["Kernels", "SalGANGenerator", "make", "no_bias"]

Kernels: TypeAlias = Mapping[str, Callable[[Tensor], Tensor]]
"""What computes layers in a prediction, with weights in their fastest form."""


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
        """Layers `first` to `last`, both included, on `[N, C, h, w]`.

        With kernels, each of several images is computed on a core of its own.
        """
        if kernels is None or x.device.type != "cpu" or len(x) == 1:
            return self._run(x, first, last, kernels or {})
        images, workers = torch.split(x, 1), torch.get_num_threads()
        return torch.cat(
            list(in_order(lambda x: self._run(x, first, last, kernels), images, workers=workers))
        )

    def _run(self, x: Tensor, first: int, last: int, kernels: Kernels) -> Tensor:
        index = first
        while index <= last:
            layer = self[index]
            doubled = kernels.get(f"doubled.{index + 1}") if index < last else None
            if doubled is not None:
                index += 1
                x = doubled(x)
            elif isinstance(layer, nn.ReLU):
                x = functional.relu(x, inplace=index > first)  # the caller's input stays
            else:
                x = kernels.get(f"plain.{index}", layer)(x)
            index += 1
        return x

    def kernels(self) -> dict[str, Callable[[Tensor], Tensor]]:
        """What computes the convolutions, by their index: alone, or with the doubling before."""
        found: dict[str, Callable[[Tensor], Tensor]] = {}
        for index, layer in enumerate(self):
            if not isinstance(layer, nn.Conv2d):
                continue
            if index and isinstance(self[index - 1], nn.Upsample):
                found[f"doubled.{index}"] = DoublingConvolution(layer)
            else:
                found[f"plain.{index}"] = FusedConvolution(layer)
        return found
