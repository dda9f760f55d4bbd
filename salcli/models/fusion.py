"""Convolutions joined with the batch norm and the activation behind them, for prediction."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_weights

from salcli.models import winograd

__all__ = ["FusedConvolution", "fuse", "with_shared_weights"]

ACTIVATIONS: dict[type[nn.Module] | None, tuple[str, list[float]]] = {
    None: ("none", []),
    nn.ReLU: ("relu", []),
    nn.ReLU6: ("hardtanh", [0.0, 6.0]),
}
"""oneDNN's names of the activations that a convolution can apply to its output, and arguments."""


LARGE, FEW = 2**13, 2**12
"""Numbers in a weight from which on, and pixels of the input up to which, it takes a good part of
the time that oneDNN reorders the weight at each call."""

MOST_ORDERS = 2
"""How many orders of a weight are kept; what comes later is for odd chunks, such as the last."""


class FusedConvolution(nn.Module):
    """A 2-D convolution with its batch norm folded in, and its activation applied in the same pass.

    The folding is computed in float64. On a CPU in float32, oneDNN rectifies each output while it
    is in the cache, and wide 3x3 kernels are computed by Winograd's way; elsewhere PyTorch's own
    convolution runs. Results differ from those of the separate layers by rounding only.

    Args:
        convolution: Padded by zeros, by numbers of pixels.
        norm: The batch norm behind it, whose running statistics are used.
        activation: The ReLU or ReLU6 behind both.
    """

    weight: Tensor
    bias: Tensor | None

    def __init__(
        self,
        convolution: nn.Conv2d,
        norm: nn.BatchNorm2d | None = None,
        activation: nn.Module | None = None,
    ) -> None:
        super().__init__()
        weight, bias = convolution.weight.detach(), convolution.bias
        if norm is not None:
            weight, bias = _folded(convolution, norm)
        self.register_buffer("weight", weight.contiguous(memory_format=torch.channels_last))
        self.register_buffer("bias", None if bias is None else bias.detach())
        assert not isinstance(convolution.padding, str)
        self.stride, self.padding = convolution.stride, convolution.padding
        self.dilation, self.groups = convolution.dilation, convolution.groups
        self._orders: dict[tuple[int, ...], Tensor] = {}
        self._matrices: Tensor | None = None
        kind = type(activation) if activation else None
        self.activation, self.limits = ACTIVATIONS[kind]

    def forward(
        self,
        x: Tensor,
        *,
        stride: tuple[int, ...] | None = None,
        padding: tuple[int, ...] | None = None,
    ) -> Tensor:
        """`[N, C, h, w]` -> the activated output; stride and padding (in pixels) as in `nn.Conv2d`.

        Those of the convolution are the default.
        """
        stride, padding = stride or self.stride, padding or self.padding
        if not _has_onednn(x):
            y = functional.conv2d(
                x, self.weight, self.bias, stride, padding, self.dilation, self.groups
            )
            return self.activate(y)
        if self._is_tiled(x, stride, padding):
            return self.activate(winograd.winograd_conv(x, self._spectra(), self.bias))
        packs = self.groups == 1 and self.weight.numel() >= LARGE
        few = x.shape[0] * x.shape[2] * x.shape[3] <= FEW
        weight = self._packed(x, stride, padding) if packs and few else self.weight
        fused: Tensor = torch.ops.mkldnn._convolution_pointwise(
            *(x, weight, self.bias, padding, stride, self.dilation, self.groups),
            *(self.activation, self.limits, ""),
        )
        return fused

    def _is_tiled(self, x: Tensor, stride: tuple[int, ...], padding: tuple[int, ...]) -> bool:
        """Whether Winograd's way computes this convolution, and pays."""
        plain = stride == padding == self.dilation == (1, 1) and self.groups == 1
        return plain and winograd.is_wide(self.weight) and winograd.fits(x)

    def _spectra(self) -> Tensor:
        """The weight as Winograd's matrices, computed when they are first used."""
        if self._matrices is None:
            self._matrices = winograd.winograd_kernels(self.weight)
        return self._matrices

    def _packed(self, x: Tensor, stride: tuple[int, ...], padding: tuple[int, ...]) -> Tensor:
        """The weight in oneDNN's own order for inputs of this shape, kept for the next ones."""
        key = (*x.shape, *stride, *padding)
        found = self._orders.get(key)
        if found is None:
            found = torch.ops.mkldnn._reorder_convolution_weight(
                *(self.weight, padding, stride, self.dilation, self.groups, list(x.shape))
            )
            if len(self._orders) < MOST_ORDERS:
                self._orders[key] = found
        return found

    def activate(self, y: Tensor) -> Tensor:
        """Apply the activation to `y`, in place."""
        if self.activation == "none":
            return y
        return y.relu_() if self.activation == "relu" else y.clamp_(*self.limits)


def _folded(convolution: nn.Conv2d, norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Weight and bias of a convolution with the batch norm behind it, computed in float64."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    weight, bias = fuse_conv_bn_weights(
        convolution.weight.double(),
        None if convolution.bias is None else convolution.bias.double(),
        norm.running_mean.double(),
        norm.running_var.double(),
        norm.eps,
        norm.weight.double() if norm.affine else None,
        norm.bias.double() if norm.affine else None,
    )
    kind = convolution.weight.dtype
    return weight.detach().to(kind), bias.detach().to(kind)


def _has_onednn(x: Tensor) -> bool:
    available: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    plain = x.device.type == "cpu" and x.dtype == torch.float32
    return available and plain and not torch.compiler.is_compiling()  # or exporting


def fuse(network: nn.Module) -> None:
    """Fuse, in place, every convolution of the network's sequences with the layers behind it.

    Sequences are `nn.Sequential` and `nn.ModuleList`. A convolution takes in a batch norm behind
    it, then a ReLU or ReLU6; what it took in becomes `nn.Identity`, so that indices stay. The
    network can no longer be trained, nor load weights. Use it in channels-last memory.
    """
    for sequence in list(network.modules()):
        if isinstance(sequence, nn.Sequential | nn.ModuleList):
            for index in range(len(sequence)):
                if _is_plain(sequence[index]):
                    _fuse_at(sequence, index)


def with_shared_weights(network: nn.Module) -> Any:
    """A copy of the modules, to be fused, whose parameters and buffers are those of the network."""
    other = copy.copy(network)
    other._modules = {
        name: None if child is None else with_shared_weights(child)
        for name, child in network._modules.items()
    }
    return other


def _is_plain(layer: nn.Module) -> bool:
    return (
        type(layer) is nn.Conv2d
        and layer.padding_mode == "zeros"
        and not isinstance(layer.padding, str)
    )


def _fuse_at(sequence: nn.Sequential | nn.ModuleList, index: int) -> None:
    behind = dict(enumerate(list(sequence)[index + 1 :], start=index + 1))
    norm = behind.get(index + 1)
    if not isinstance(norm, nn.BatchNorm2d):
        norm = None
    last = index + 1 if norm is None else index + 2
    activation = behind.get(last)
    if type(activation) not in ACTIVATIONS:
        activation, last = None, last - 1
    convolution = sequence[index]
    assert isinstance(convolution, nn.Conv2d)
    sequence[index] = FusedConvolution(convolution, norm, activation)
    for taken in range(index + 1, last + 1):
        sequence[taken] = nn.Identity()
