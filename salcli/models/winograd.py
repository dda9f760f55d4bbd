"""Winograd's F(4x4, 3x3): 3x3 convolutions with a quarter of the multiplications, on CPUs.

Tiles of 4x4 outputs become 36 products of matrices instead of 144 (Lavin and Gray, "Fast Algorithms
for Convolutional Neural Networks", CVPR 2016, section 4.3). Tiles and kernels are evaluated at the
points 0, +-A, +-B and infinity. The usual points 1 and 2 round twice as much as these (for why, see
Barabasz et al., "Error Analysis and Improving the Accuracy of Winograd Convolution for Deep Neural
Networks", ACM TOMS 2020); the convolution itself still rounds a quarter as much.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["fits", "is_wide", "winograd_conv", "winograd_kernels"]

A, B = 5 / 8, 3 / 2
"""The points; their powers are exact in float32."""

WIDE = 64 * 128
"""Input times output channels from which on the transforms pay off."""

FEWEST = 48
"""Tiles of an image from which on reading the 36 matrices pays off."""

AT_ONCE = 2**22
"""About how many numbers are transformed at once, so that they stay in a processor's cache."""


def is_wide(weight: Tensor) -> bool:
    """Whether `winograd_conv` pays for a kernel `[O, I, 3, 3]`: on a CPU in float32, if wide."""
    plain = weight.device.type == "cpu" and weight.dtype == torch.float32
    return plain and weight.shape[2:] == (3, 3) and weight.shape[0] * weight.shape[1] >= WIDE


def fits(x: Tensor) -> bool:
    """Whether an input `[N, I, h, w]` has enough tiles."""
    return math.prod(-(-side // 4) for side in x.shape[-2:]) >= FEWEST


def winograd_kernels(weight: Tensor) -> Tensor:
    """The matrices `[36, I, O]` of a kernel `[O, I, 3, 3]`."""
    pairs = ((A, B), (-A, B), (B, A), (-B, A))
    rows = [[1 / (A * B) ** 2, 0, 0], *(_weights(*pair) for pair in pairs), [0, 0, 1]]
    taps = torch.tensor(rows, dtype=torch.float64)
    matrices = torch.kron(taps, taps).to(weight.dtype) @ weight.permute(2, 3, 1, 0).reshape(9, -1)
    return matrices.view(36, weight.shape[1], weight.shape[0])


def _weights(point: float, other: float) -> list[float]:
    """What a kernel's three taps count at a point; `other` is one of the other pair."""
    scale = 2 * point**2 * (point**2 - other**2)
    return [1 / scale, point / scale, point**2 / scale]


def winograd_conv(x: Tensor, kernels: Tensor, bias: Tensor | None) -> Tensor:
    """A 3x3 convolution with padding 1; no gradient.

    Images are computed one by one, so that their bits do not depend on each other.

    Args:
        x: `[N, I, h, w]`, fastest in channels-last memory; see `fits`.
        kernels: See `winograd_kernels`.
        bias: `[O]`.

    Returns:
        `[N, O, h, w]`, in channels-last memory.
    """
    height, width = x.shape[-2:]
    below, right = -height % 4, -width % 4  # tiles are whole
    padded = functional.pad(x.permute(0, 2, 3, 1), (0, 0, 1, 1 + right, 1, 1 + below))
    out = x.new_empty(len(x), height + below, width + right, kernels.shape[2])
    rows = 4 * max(1, AT_ONCE // (9 * out.shape[2] * max(kernels.shape[1:])))
    for image, whole in zip(padded, out, strict=True):
        for top, found in zip(range(0, len(whole), rows), whole.split(rows), strict=True):
            tiles = _spread(image[top : top + len(found) + 2])
            products = torch.bmm(tiles.flatten(2, 3).flatten(0, 1), kernels)
            _gather(products.view(*tiles.shape[:4], -1), found)
            if bias is not None:
                found += bias
    inside = out[:, :height, :width].permute(0, 3, 1, 2)
    return inside.contiguous(memory_format=torch.channels_last)


def _spread(rows: Tensor) -> Tensor:
    """Tiles of 6x6 pixels, four apart, of `[4 R + 2, 4 C + 2, I]`: values `[6, 6, R, C, I]`."""
    height, width, channels = rows.shape
    lines = rows.new_empty(6, height // 4, width, channels)
    _evaluate(rows.unfold(0, 6, 4).unbind(-1), lines)
    tiles = rows.new_empty(6, 6, height // 4, width // 4, channels)
    for line, found in zip(lines, tiles, strict=True):
        _evaluate(line.unfold(1, 6, 4).unbind(-1), found)
    return tiles


def _evaluate(d: Sequence[Tensor], out: Tensor) -> None:
    """Write what six numbers give at the six points: 0, A, -A, B, -B, infinity."""
    for index, point, other in ((1, A, B), (3, B, A)):
        even = torch.sub(d[4], d[2], alpha=other**2)
        odd = torch.sub(d[3], d[1], alpha=other**2)
        torch.add(even, odd, alpha=point, out=out[index])
        torch.sub(even, odd, alpha=point, out=out[index + 1])
    for index in (0, 5):
        lower, middle, upper = d[index % 4 : index % 4 + 5 : 2]
        torch.sub(upper, middle, alpha=A**2 + B**2, out=out[index])
        out[index].add_(lower, alpha=(A * B) ** 2)


def _gather(values: Tensor, out: Tensor) -> None:
    """Write the pixels `[4 R, 4 C, O]` of the products `[6, 6, R, C, O]`."""
    rows, columns, channels = values.shape[2:]
    pixels = out.view(rows, 4, columns, 4, channels)
    for row, line in enumerate(_interpolated(values)):
        for column, found in enumerate(_interpolated(line)):
            pixels[:, row, :, column] = found


def _interpolated(m: Tensor) -> list[Tensor]:
    """Four numbers from the values of their products at the six points."""
    even, odd, further_even, further_odd = m[1] + m[2], m[1] - m[2], m[3] + m[4], m[3] - m[4]
    return [
        (m[0] + even).add_(further_even),
        torch.mul(odd, A).add_(further_odd, alpha=B),
        torch.mul(even, A**2).add_(further_even, alpha=B**2),
        torch.add(m[5], odd, alpha=A**3).add_(further_odd, alpha=B**3),
    ]
