"""Convolutions with their norms folded in, in the memory layout of `salcli_tased.layers`."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from salcli_tased.network import SeparableUnit, Unit

__all__ = [
    "FoldedConvolution",
    "composed",
    "mirrored",
    "separable",
    "spatial",
    "temporal",
    "transposed",
    "unit",
]


@dataclass(frozen=True)
class FoldedConvolution:
    """A convolution with its norm folded in.

    Attributes:
        weight: Over space `[outputs, inputs, k, k]` (transposed with stride 2: `[inputs, outputs,
            k, k]`), channels last; over time `[taps, inputs, outputs]`.
        bias: `[outputs]`.
    """

    weight: Tensor
    bias: Tensor

    @property
    def width(self) -> int:
        """Output channels."""
        return len(self.bias)


def folded(weight: Tensor, norm: nn.Module) -> tuple[Tensor, Tensor]:
    """Weights, outputs first, and bias that are equivalent to the convolution and its norm."""
    assert isinstance(norm, nn.BatchNorm3d)
    assert norm.running_mean is not None  # for the type checker: all norms here have statistics
    assert norm.running_var is not None
    scale = norm.weight.double() * (norm.running_var.double() + norm.eps).rsqrt()
    bias = norm.bias - norm.running_mean * scale
    scaled = weight * scale.view(-1, *[1] * (weight.ndim - 1))
    return scaled.to(weight.dtype).detach(), bias.to(weight.dtype).detach()


def in_space(weight: Tensor, bias: Tensor) -> FoldedConvolution:
    """A layer from a kernel `[a, b, 1, k, k]`."""
    return FoldedConvolution(weight[:, :, 0].contiguous(memory_format=torch.channels_last), bias)


def spatial(convolution: nn.Module, norm: nn.Module) -> FoldedConvolution:
    """A convolution over space."""
    assert isinstance(convolution, nn.Conv3d)
    return in_space(*folded(convolution.weight, norm))


def temporal(convolution: nn.Module, norm: nn.Module) -> FoldedConvolution:
    """A convolution over time."""
    assert isinstance(convolution, nn.Conv3d)
    weight, bias = folded(convolution.weight, norm)
    return FoldedConvolution(weight[..., 0, 0].permute(2, 1, 0).contiguous(), bias)


def transposed(convolution: nn.Module, norm: nn.Module) -> FoldedConvolution:
    """A transposed convolution with stride 2."""
    assert isinstance(convolution, nn.ConvTranspose3d)
    weight, bias = folded(convolution.weight.transpose(0, 1), norm)
    return in_space(weight.transpose(0, 1), bias)


def mirrored(convolution: nn.Module, norm: nn.Module) -> FoldedConvolution:
    """A transposed convolution with stride 1, as an ordinary one with a mirrored kernel."""
    assert isinstance(convolution, nn.ConvTranspose3d)
    weight, bias = folded(convolution.weight.transpose(0, 1), norm)
    return in_space(weight.flip(-1, -2), bias)


def composed(convolution: nn.Module, mixture: nn.Module) -> FoldedConvolution:
    """A transposed convolution with stride 2 and the mixture of its outputs, with bias."""
    assert isinstance(convolution, nn.ConvTranspose3d)
    assert isinstance(mixture, nn.Conv3d)
    assert mixture.bias is not None
    weight = torch.einsum("iotyx,moabc->imtyx", convolution.weight, mixture.weight)
    return in_space(weight.detach(), mixture.bias.detach())


def unit(module: nn.Module) -> FoldedConvolution:
    """The layer of a `Unit`."""
    assert isinstance(module, Unit)
    return spatial(module.conv, module.bn)


def separable(module: nn.Module) -> tuple[FoldedConvolution, FoldedConvolution]:
    """The layers of a `SeparableUnit`, over space and over time."""
    assert isinstance(module, SeparableUnit)
    return spatial(module.conv_s, module.bn_s), temporal(module.conv_t, module.bn_t)
