"""TASED-Net's layers slice by slice, with norms folded into the convolutions; prediction only.

A slice is what a layer makes of one moment. Slices are `[n, H, W, C]`, channels innermost: a
convolution over space is then at its fastest, and one over time is a matrix product per tap. `n`
counts windows; several moments are stacked in front, `[moments, n, H, W, C]`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional

from salcli_tased.network import Mixed, Separable, Unit

__all__ = [
    "FoldedMixed",
    "Layer",
    "Moments",
    "Taps",
    "composed",
    "convolve",
    "double",
    "joined",
    "largest",
    "mirrored",
    "neighbours",
    "quarters",
    "separable",
    "spatial",
    "switches",
    "temporal",
    "transposed",
    "unit",
    "unpool",
    "unquarter",
]

Moments: TypeAlias = Sequence[Sequence[Tensor | None]]
"""For each moment the slices that a kernel over time reaches, in order; `None` is padding."""

Taps: TypeAlias = Callable[[str], Moments]
"""The moments of a named kind of slice."""


@dataclass(frozen=True)
class Layer:
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
        """Channels out."""
        return len(self.bias)


def folded(weight: Tensor, norm: nn.Module) -> tuple[Tensor, Tensor]:
    """Weights with outputs first, and bias, that do what the convolution and the norm did."""
    assert isinstance(norm, nn.BatchNorm3d)
    assert norm.running_mean is not None  # for the type checker: all norms here have statistics
    assert norm.running_var is not None
    scale = norm.weight.double() * (norm.running_var.double() + norm.eps).rsqrt()
    bias = norm.bias - norm.running_mean * scale
    scaled = weight * scale.view(-1, *[1] * (weight.ndim - 1))
    return scaled.to(weight.dtype).detach(), bias.to(weight.dtype).detach()


def in_space(weight: Tensor, bias: Tensor) -> Layer:
    """A layer from a kernel `[a, b, 1, k, k]`."""
    return Layer(weight[:, :, 0].contiguous(memory_format=torch.channels_last), bias)


def spatial(convolution: nn.Module, norm: nn.Module) -> Layer:
    """A convolution over space."""
    assert isinstance(convolution, nn.Conv3d)
    return in_space(*folded(convolution.weight, norm))


def temporal(convolution: nn.Module, norm: nn.Module) -> Layer:
    """A convolution over time."""
    assert isinstance(convolution, nn.Conv3d)
    weight, bias = folded(convolution.weight, norm)
    return Layer(weight[..., 0, 0].permute(2, 1, 0).contiguous(), bias)


def transposed(convolution: nn.Module, norm: nn.Module) -> Layer:
    """A transposed convolution with stride 2."""
    assert isinstance(convolution, nn.ConvTranspose3d)
    weight, bias = folded(convolution.weight.transpose(0, 1), norm)
    return in_space(weight.transpose(0, 1), bias)


def mirrored(convolution: nn.Module, norm: nn.Module) -> Layer:
    """A transposed convolution with stride 1, as the ordinary one with a mirrored kernel."""
    assert isinstance(convolution, nn.ConvTranspose3d)
    weight, bias = folded(convolution.weight.transpose(0, 1), norm)
    return in_space(weight.flip(-1, -2), bias)


def composed(convolution: nn.Module, mixture: nn.Module) -> Layer:
    """A transposed convolution with stride 2 and the mixture of its outputs, with bias."""
    assert isinstance(convolution, nn.ConvTranspose3d)
    assert isinstance(mixture, nn.Conv3d)
    assert mixture.bias is not None
    weight = torch.einsum("iotyx,moabc->imtyx", convolution.weight, mixture.weight)
    return in_space(weight.detach(), mixture.bias.detach())


def convolve(x: Tensor, layer: Layer, *, stride: int = 1) -> Tensor:
    """Convolution over space and ReLU of slices `[..., H, W, C]`; odd kernels keep the size."""
    flat = x.flatten(0, -4).permute(0, 3, 1, 2)
    padding = layer.weight.shape[-1] // 2
    y = functional.conv2d(flat, layer.weight, layer.bias, stride, padding).relu_()
    return channels_inside(y, like=x)


def double(x: Tensor, layer: Layer) -> Tensor:
    """Transposed convolution, without ReLU, that doubles the sides of slices `[..., H, W, C]`."""
    flat = x.flatten(0, -4).permute(0, 3, 1, 2)
    y = functional.conv_transpose2d(flat, layer.weight, layer.bias, stride=2, padding=1)
    return channels_inside(y, like=x)


def channels_inside(y: Tensor, *, like: Tensor) -> Tensor:
    """`[N, C, H, W]` as `[..., H, W, C]`, without a copy if the memory is in that order."""
    y = y.permute(0, 2, 3, 1)
    return y.reshape(*like.shape[:-3], *y.shape[1:])


def join(moments: Moments, layer: Layer, out: Tensor) -> None:
    """Convolution over time, without ReLU, into `out [moments, n, H, W, C]`; skips padding."""
    for result, slices in zip(out, moments, strict=True):
        rows = result.view(-1, layer.width)
        start = layer.bias
        for x, weight in zip(slices, layer.weight, strict=True):
            if x is not None:
                torch.addmm(start, x.flatten(0, 2), weight, out=rows)
                start = rows


def joined(moments: Moments, layer: Layer) -> Tensor:
    """Convolution over time and ReLU: `[moments, n, H, W, C]`."""
    like = next(x for x in moments[0] if x is not None)
    out = like.new_empty(len(moments), *like.shape[:-1], layer.width)
    join(moments, layer, out)
    return out.relu_()


def largest(moments: Moments) -> Tensor:
    """Maximum over time: `[moments, n, H, W, C]`."""
    results = []
    for slices in moments:
        first, *others = [x for x in slices if x is not None]
        for x in others:
            first = torch.maximum(first, x)
        results.append(first)
    return torch.stack(results)


def neighbours(x: Tensor, *, stride: int) -> Tensor:
    """Maximum over 3x3 pixels of slices `[..., H, W, C]`."""
    flat = x.flatten(0, -4).permute(0, 3, 1, 2)
    # on a CPU the variant that also finds the places is several times faster for this layout
    y, _ = functional.max_pool2d(flat, 3, stride, 1, return_indices=True)
    return channels_inside(y, like=x)


def switches(x: Tensor) -> Tensor:
    """Where in its 3x3 window (stride 2, padding 1) each maximum of `[..., H, W, C]` is.

    Int32 `[..., h, w, C]`: row * W + column, both 0 ... 2; of equal ones the first.
    """
    flat = x.flatten(0, -4).permute(0, 3, 1, 2)
    _, places = functional.max_pool2d(flat, 3, 2, 1, return_indices=True)
    height, width = places.shape[-2:]
    rows = torch.arange(height, device=x.device)[:, None]
    columns = torch.arange(width, device=x.device)
    corners = (2 * rows - 1) * x.shape[-2] + 2 * columns - 1
    return channels_inside((places - corners).int(), like=x)


def unpool(x: Tensor, codes: Tensor, size: tuple[int, int]) -> Tensor:
    """Inverse of the pooling of `switches`: slices `[n, h, w, C]` in zeros `[n, *size, C]`.

    Each pixel looks at the up to four windows that hold it, in raster order, and the last one whose
    maximum it is wins: the rule of `salcli_tased.network.unpool`, without a race on any device.
    """
    out = x.new_zeros(len(x), *size, x.shape[-1])
    for odd_row in (0, 1):
        for odd_column in (0, 1):
            target = out[:, odd_row::2, odd_column::2]
            for down in range(odd_row + 1):
                for right in range(odd_column + 1):
                    code = (1 + odd_row - 2 * down) * size[1] + 1 + odd_column - 2 * right
                    rows = slice(down, down + target.shape[1])
                    columns = slice(right, right + target.shape[2])
                    hit = (codes[:, rows, columns] == code).to(x.dtype)
                    place = target[:, : hit.shape[1], : hit.shape[2]]
                    # weight 0 or 1 gives exactly the one or the other, and is faster than `where`
                    torch.lerp(place, x[:, rows, columns], hit, out=place)
    return out


def quarters(x: Tensor) -> tuple[Tensor, Tensor]:
    """Maximum over 2x2 pixels of slices `[..., H, W, C]`, and which of the four it is, int32."""
    height, width = x.shape[-3] // 2, x.shape[-2] // 2
    parts = [x[..., a : 2 * height : 2, b : 2 * width : 2, :] for a in (0, 1) for b in (0, 1)]
    best, which = parts[0], torch.zeros_like(parts[0], dtype=torch.int32)
    for number, part in enumerate(parts[1:], start=1):
        which.masked_fill_(part > best, number)
        best = torch.maximum(best, part)
    return best, which


def unquarter(x: Tensor, which: Tensor) -> Tensor:
    """Inverse of `quarters`: slices `[n, h, w, C]` in zeros `[n, 2h, 2w, C]`."""
    out = x.new_empty(len(x), 2 * x.shape[1], 2 * x.shape[2], x.shape[3])
    for number in range(4):
        torch.mul(x, which == number, out=out[:, number // 2 :: 2, number % 2 :: 2])
    return out


class FoldedMixed:
    """An Inception block, cut in two: what needs one slice only, and what joins slices."""

    def __init__(self, block: Mixed) -> None:
        self.plain = unit(block.branch0[0])
        self.reduced1 = unit(block.branch1[0])
        self.spatial1, self.temporal1 = separable(block.branch1[1])
        self.reduced2 = unit(block.branch2[0])
        self.spatial2, self.temporal2 = separable(block.branch2[1])
        self.pooled = unit(block.branch3[1])

    def parts(self, x: Tensor) -> dict[str, Tensor]:
        """What the four branches make of slices `[..., H, W, C]` by themselves."""
        return {
            "plain": convolve(x, self.plain),
            "branch1": convolve(convolve(x, self.reduced1), self.spatial1),
            "branch2": convolve(convolve(x, self.reduced2), self.spatial2),
            "pooled": neighbours(x, stride=1),
        }

    def output(self, taps: Taps) -> Tensor:
        """The block's output `[moments, n, H, W, C]` from the parts of neighbouring slices."""
        pooled = convolve(largest(taps("pooled")), self.pooled)
        widths = [layer.width for layer in (self.plain, self.temporal1, self.temporal2)]
        out = pooled.new_empty(*pooled.shape[:-1], sum(widths) + self.pooled.width)
        plain, branch1, branch2, last = out.tensor_split(list(accumulate(widths)), dim=-1)
        for result, (_, x, _) in zip(plain, taps("plain"), strict=True):
            assert x is not None  # for the type checker: the middle one is never padding
            result.copy_(x)
        join(taps("branch1"), self.temporal1, branch1)
        join(taps("branch2"), self.temporal2, branch2)
        last.copy_(pooled)
        return out.relu_()


def unit(module: nn.Module) -> Layer:
    """The layer of a `Unit`."""
    assert isinstance(module, Unit)
    return spatial(module.conv, module.bn)


def separable(module: nn.Module) -> tuple[Layer, Layer]:
    """The layers of a `Separable`, over space and over time."""
    assert isinstance(module, Separable)
    return spatial(module.conv_s, module.bn_s), temporal(module.conv_t, module.bn_t)
