"""TASED-Net's layers, applied slice by slice; for prediction only.

A slice is a layer's output for one moment. Slices are `[n, H, W, C]`, channels last: this is
fastest for a convolution over space, and one over time is a matrix product per tap. `n` counts
windows; several moments are stacked in front, `[moments, n, H, W, C]`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import torch
from torch import Tensor
from torch.nn import functional

from salcli_tased.folding import FoldedConvolution

__all__ = [
    "Moments",
    "Slices",
    "convolve",
    "double",
    "join",
    "joined",
    "largest",
    "neighbours",
    "quarters",
    "switches",
    "unpool",
    "unquarter",
]

Moments: TypeAlias = Sequence[Sequence[Tensor | None]]
"""For each moment the slices that a kernel over time reaches, in order; `None` is padding."""

Slices: TypeAlias = Callable[[str], Moments]
"""The moments of a named kind of slice."""


def convolve(x: Tensor, layer: FoldedConvolution, *, stride: int = 1) -> Tensor:
    """Convolution over space and ReLU of slices `[..., H, W, C]`; odd kernels keep the size."""
    flat = x.flatten(0, -4).permute(0, 3, 1, 2)
    padding = layer.weight.shape[-1] // 2
    y = functional.conv2d(flat, layer.weight, layer.bias, stride, padding).relu_()
    return channels_inside(y, like=x)


def double(x: Tensor, layer: FoldedConvolution) -> Tensor:
    """Transposed convolution, without ReLU, that doubles the sides of slices `[..., H, W, C]`."""
    flat = x.flatten(0, -4).permute(0, 3, 1, 2)
    y = functional.conv_transpose2d(flat, layer.weight, layer.bias, stride=2, padding=1)
    return channels_inside(y, like=x)


def channels_inside(y: Tensor, *, like: Tensor) -> Tensor:
    """`[N, C, H, W]` as `[..., H, W, C]`, without a copy if the memory is in that order."""
    y = y.permute(0, 2, 3, 1)
    return y.reshape(*like.shape[:-3], *y.shape[1:])


def join(moments: Moments, layer: FoldedConvolution, out: Tensor) -> None:
    """Convolution over time, without ReLU, into `out [moments, n, H, W, C]`; skips padding."""
    for result, slices in zip(out, moments, strict=True):
        rows = result.view(-1, layer.width)
        start = layer.bias
        for x, weight in zip(slices, layer.weight, strict=True):
            if x is not None:
                torch.addmm(start, x.flatten(0, 2), weight, out=rows)
                start = rows


def joined(moments: Moments, layer: FoldedConvolution) -> Tensor:
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

    Int32 `[..., h, w, C]`: row * W + column, both 0 ... 2; the first of equal ones.
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
                    # weights of 0 and 1 select exactly, and faster than `where`
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
