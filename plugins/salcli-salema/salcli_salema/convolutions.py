"""Convolutions with fewer operations and the same result, for prediction with fixed weights.

Upsampling by phases: each of the four pixels that replace one sees its neighbours through its own
2x2 kernel, so a 3x3 convolution of the doubled map takes 4/9 of the multiplications. Where
Winograd's way pays, the four kernels are one of 3x3 taps and four times the channels: 1/4 of them.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from salcli.authoring import FusedConvolution, winograd

__all__ = ["DoublingConvolution", "convolution"]

ROWS = (((1.0, 0.0, 0.0), (0.0, 1.0, 1.0)), ((1.0, 1.0, 0.0), (0.0, 0.0, 1.0)))
"""How a kernel's three taps map to two pixels of the small map, for even and odd outputs."""

PHASES = ((0, 0), (0, 1), (1, 0), (1, 1))
"""Row and column of each of the four pixels."""


def convolution(weight: Tensor, bias: Tensor | None, *, padding: int = 0) -> FusedConvolution:
    """A convolution by a kernel `[O, I, k, k]`, for prediction."""
    outputs, inputs, side, _ = weight.shape
    layer = nn.Conv2d(inputs, outputs, side, padding=padding, device="meta")
    layer.weight = nn.Parameter(weight, requires_grad=False)
    layer.bias = None if bias is None else nn.Parameter(bias, requires_grad=False)
    return FusedConvolution(layer)


class DoublingConvolution:
    """Nearest upsampling by 2 and a 3x3 convolution with padding 1, without bias or with it."""

    def __init__(self, layer: nn.Conv2d) -> None:
        self._weight, self._bias = layer.weight.detach(), layer.bias
        rows = self._weight.new_tensor(ROWS)
        kernels = torch.einsum("pra,oiab,qcb->pqoirc", rows, self._weight, rows)
        self._phases = [convolution(kernel, self._bias) for kernel in kernels.flatten(0, 1)]
        self._matrices: Tensor | None = None

    def __call__(self, x: Tensor) -> Tensor:
        """`[N, I, h, w]` -> `[N, O, 2h, 2w]`."""
        if winograd.is_wide(self._weight) and winograd.fits(x):
            return self._together(x)
        count, _, height, width = x.shape
        out = x.new_empty(count, 2 * height, 2 * width, len(self._weight)).permute(0, 3, 1, 2)
        for (row, column), convolve in zip(PHASES, self._phases, strict=True):
            padded = functional.pad(x, (1 - column, column, 1 - row, row))
            out[:, :, row::2, column::2] = convolve(padded)
        return out

    def _together(self, x: Tensor) -> Tensor:
        """All phases by Winograd's way; its matrices are computed when they are first used."""
        if self._matrices is None:
            kernels = [
                functional.pad(convolve.weight, (column, 1 - column, row, 1 - row))
                for (row, column), convolve in zip(PHASES, self._phases, strict=True)
            ]
            self._matrices = winograd.winograd_kernels(torch.cat(kernels))
        bias = None if self._bias is None else self._bias.repeat(4)
        count, _, height, width = x.shape
        pixels = winograd.winograd_conv(x, self._matrices, bias).permute(0, 2, 3, 1)
        rows = pixels.view(count, height, width, 2, 2, -1).transpose(2, 3)
        return rows.reshape(count, 2 * height, 2 * width, -1).permute(0, 3, 1, 2)
