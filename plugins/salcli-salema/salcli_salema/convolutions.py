"""Convolutions with fewer operations and the same result, for prediction with fixed weights.

Upsampling by phases: each of the four pixels that replace one sees its neighbours through its own
2x2 kernel, so a 3x3 convolution of the doubled map takes 4/9 of the multiplications.

Winograd's F(2x2, 3x3) (Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR
2016, section 4.1): tiles of 2x2 outputs become 16 matrix products instead of 36. All numbers of its
transforms are 0, 1, 1/2 and their negatives, so that it rounds about as little as the convolution
itself; larger tiles would not.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["phase_kernels", "upsampled_conv", "winograd_conv", "winograd_kernels", "worthwhile"]

ROWS = (((1.0, 0.0, 0.0), (0.0, 1.0, 1.0)), ((1.0, 1.0, 0.0), (0.0, 0.0, 1.0)))
"""How a kernel's three taps map to two pixels of the small map, for even and odd outputs."""

TAPS = ((1.0, 0.0, 0.0), (0.5, 0.5, 0.5), (0.5, -0.5, 0.5), (0.0, 0.0, 1.0))
"""Winograd's transform of a kernel's three taps."""

WIDE = 128 * 256
"""Input times output channels from which on the transforms pay off."""

AT_ONCE = 2**22
"""Most numbers in a transformed batch, so that it fits into a processor's cache."""


def phase_kernels(weight: Tensor) -> Tensor:
    """The 2x2 kernels `[4, O, I, 2, 2]` that a 3x3 kernel becomes on a map before its doubling."""
    rows = torch.tensor(ROWS, dtype=weight.dtype, device=weight.device)
    kernels = torch.einsum("pra,oiab,qcb->pqoirc", rows, weight, rows).flatten(0, 2)
    kernels = kernels.contiguous(memory_format=torch.channels_last)
    return kernels.view(4, *weight.shape[:2], 2, 2)


def upsampled_conv(x: Tensor, kernels: Tensor, bias: Tensor | None) -> Tensor:
    """Nearest upsampling by 2 and a 3x3 convolution with padding 1.

    Args:
        x: `[N, I, h, w]`.
        kernels: See `phase_kernels`.
        bias: `[O]`.

    Returns:
        `[N, O, 2h, 2w]`.
    """
    count, _, height, width = x.shape
    size = (count, kernels.shape[1], 2 * height, 2 * width)
    out = torch.empty(size, dtype=x.dtype, device=x.device, memory_format=torch.channels_last)
    for phase, kernel in enumerate(kernels):
        row, column = divmod(phase, 2)
        padded = functional.pad(x, (1 - column, column, 1 - row, row))
        out[:, :, row::2, column::2] = functional.conv2d(padded, kernel, bias)
    return out


def worthwhile(conv: nn.Conv2d) -> bool:
    """Whether `winograd_conv` pays: on a CPU in float32, for 3x3 kernels with enough channels."""
    weight = conv.weight
    plain = weight.device.type == "cpu" and weight.dtype == torch.float32
    return plain and conv.kernel_size == (3, 3) and weight.shape[0] * weight.shape[1] >= WIDE


def winograd_kernels(weight: Tensor) -> Tensor:
    """The matrices `[16, I, O]` of a 3x3 kernel `[O, I, 3, 3]`."""
    taps = torch.tensor(TAPS, dtype=weight.dtype, device=weight.device)
    return torch.einsum("pa,oiab,qb->pqio", taps, weight, taps).flatten(0, 1).contiguous()


def winograd_conv(x: Tensor, kernels: Tensor, bias: Tensor | None) -> Tensor:
    """A 3x3 convolution with padding 1 on sides that are even; no gradient.

    Args:
        x: `[N, I, h, w]`.
        kernels: See `winograd_kernels`.
        bias: `[O]`.

    Returns:
        `[N, O, h, w]`.
    """
    count, channels, height, width = x.shape
    out = x.new_empty(count, height, width, kernels.shape[2])
    some = max(1, AT_ONCE // (4 * height * width * channels))
    for given, found in zip(torch.split(x, some), torch.split(out, some), strict=True):
        products = torch.bmm(_spread(given).view(16, -1, channels), kernels)
        _gather(products.view(4, 4, *found[:, ::2, ::2].shape), found)
    if bias is not None:
        out += bias
    return out.permute(0, 3, 1, 2)


def _spread(x: Tensor) -> Tensor:
    """Tiles of 4x4 pixels, two apart, transformed: `[4, 4, N, h / 2, w / 2, I]`."""
    count, channels, height, width = x.shape
    padded = functional.pad(x.permute(0, 2, 3, 1), (0, 0, 1, 1, 1, 1))
    tiles = x.new_empty(4, 4, count, height // 2, width // 2, channels)
    r = [padded[:, row : row + height - 1 : 2] for row in range(4)]
    for row, mixed in enumerate((r[0] - r[2], r[1] + r[2], r[2] - r[1], r[1] - r[3])):
        c = [mixed[:, :, column : column + width - 1 : 2] for column in range(4)]
        torch.sub(c[0], c[2], out=tiles[row, 0])
        torch.add(c[1], c[2], out=tiles[row, 1])
        torch.sub(c[2], c[1], out=tiles[row, 2])
        torch.sub(c[1], c[3], out=tiles[row, 3])
    return tiles


def _gather(m: Tensor, out: Tensor) -> None:
    """The pixels `[N, h, w, O]` of the products `[4, 4, N, h / 2, w / 2, O]`."""
    for row, mixed in enumerate(((m[1] + m[2]).add_(m[0]), (m[1] - m[2]).sub_(m[3]))):
        out[:, row::2, 0::2] = (mixed[1] + mixed[2]).add_(mixed[0])
        out[:, row::2, 1::2] = (mixed[1] - mixed[2]).sub_(mixed[3])
