"""Convolutions that keep the size, and wide ones with fewer multiplications.

Those of 3x3 pixels are computed by Winograd's way, larger ones in the frequency domain.

A convolution of a tile is a product of spectra, one matrix over the channels for each frequency.
For kernels of 5 to 11 pixels a side this needs several times fewer multiplications than the direct
computation (overlap-save: Oppenheim, Schafer, Discrete-Time Signal Processing, section 8.7). Tiles
are small, so the Fourier transforms are products with fixed matrices too, in real numbers;
frequencies of real tiles come in conjugate pairs, of which one is enough.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from salcli.authoring import winograd

__all__ = ["TILES", "Convolution", "WideConvolution"]

TILES = {5: 11, 7: 14, 11: 20}
"""Side of the tiles for a kernel side: larger is faster, as long as the spectra fit into memory."""

TILES_AT_ONCE = 48
"""Enough for efficient matrix products, few enough to need little memory."""


class Convolution(nn.Conv2d):
    """A convolution that keeps the size."""

    def __init__(self, inputs: int, outputs: int, side: int) -> None:
        super().__init__(inputs, outputs, side, padding=side // 2)

    def reset_parameters(self) -> None:
        """Initialise as SalNet's training did: Gaussian weights of variance 2 / fan-in, no bias."""
        nn.init.kaiming_normal_(self.weight)
        if self.bias is not None:
            nn.init.zeros_(self.bias)


@dataclass(frozen=True)
class _Spectrum:
    """A kernel prepared for use.

    Attributes:
        kernel: `[2, frequencies, inputs, outputs]`, real and imaginary parts.
        forward: `[2 * frequencies, tile * tile]`, pixels of a tile to its spectrum.
        inverse: `[step * step, 2 * frequencies]`, spectrum to those pixels that are not wrapped.
        tile: Side of a tile.
        step: Side of a tile's valid output.
    """

    kernel: Tensor
    forward: Tensor
    inverse: Tensor
    tile: int
    step: int


class WideConvolution(Convolution):
    """A convolution that takes fewer multiplications after `prepare` was called.

    The prepared kernel is discarded in training mode, where weights change.

    Attributes:
        prepared: Computes `[N, outputs, h, w]` from `[N, inputs, h, w]`, with a prepared kernel.
    """

    def __init__(self, inputs: int, outputs: int, side: int) -> None:
        super().__init__(inputs, outputs, side)
        self.prepared: Callable[[Tensor], Tensor] | None = None

    def prepare(self) -> None:
        """Transform the kernel, which takes some memory, and use it from now on.

        The kernel must be float32 and on a CPU, where this is worthwhile.
        """
        weight, bias, side = self.weight.detach(), self.bias, self.kernel_size[0]
        if side in TILES:
            spectrum = _transformed(weight, TILES[side])
            self.prepared = partial(_convolved, spectrum=spectrum, bias=bias)
        else:
            kernels = winograd.winograd_kernels(weight)
            self.prepared = partial(winograd.winograd_conv, kernels=kernels, bias=bias)

    def train(self, mode: bool = True) -> WideConvolution:
        """Set training mode, which discards the prepared kernel, or evaluation mode."""
        if mode:
            self.prepared = None
        super().train(mode)
        return self

    def forward(self, x: Tensor) -> Tensor:
        """`[N, outputs, h, w]` for `[N, inputs, h, w]`."""
        if self.prepared is None or torch.compiler.is_compiling():
            return super().forward(x)
        return self.prepared(x)


def _transformed(weight: Tensor, tile: int) -> _Spectrum:
    outputs, inputs, side, _ = weight.shape
    step = tile - side + 1
    line = torch.arange(tile, dtype=torch.float64)
    rows, columns = (grid.flatten() for grid in torch.meshgrid(line, line, indexing="ij"))
    paired = (columns > 0) & (2 * columns < tile)
    alone = ((columns == 0) | (2 * columns == tile)) & (2 * rows <= tile)
    own_pair = alone & ((rows == 0) | (2 * rows == tile))
    kept = paired | alone
    phase = -2 * math.pi / tile * (torch.outer(rows, rows) + torch.outer(columns, columns))[kept]
    basis = torch.stack([phase.cos(), phase.sin()])  # [2, frequencies, pixels]
    weights = torch.where(own_pair, 1.0, 2.0)[kept][:, None] / tile**2
    inside, valid = ((rows < n) & (columns < n) for n in (side, step))
    kernel = weight.permute(2, 3, 1, 0).reshape(side * side, inputs * outputs)
    return _Spectrum(
        kernel=(basis[..., inside].flatten(0, 1).float() @ kernel).view(2, -1, inputs, outputs),
        forward=basis.flatten(0, 1).float(),
        inverse=(basis * weights)[..., valid].flatten(0, 1).T.float(),
        tile=tile,
        step=step,
    )


def _convolved(x: Tensor, spectrum: _Spectrum, bias: Tensor | None) -> Tensor:
    """Cross-correlation of `[N, inputs, h, w]` with zero padding, some rows of tiles at a time."""
    number, _, height, width = x.shape
    step = spectrum.step
    margin = (spectrum.tile - step) // 2
    down, across = -(-height // step), -(-width // step)
    right, below = across * step - width + margin, down * step - height + margin
    padded = functional.pad(x, (margin, right, margin, below))
    tiles = padded.unfold(2, spectrum.tile, step).unfold(3, spectrum.tile, step)
    result = x.new_empty(number, spectrum.kernel.shape[-1], down * step, across * step)
    rows = max(1, TILES_AT_ONCE // (number * across))
    for first in range(0, down, rows):
        part = tiles[:, :, first : first + rows]
        result[:, :, first * step : (first + rows) * step] = _tiles_convolved(part, spectrum)
    inside: Tensor = result[..., :height, :width]
    return inside if bias is None else inside + bias[:, None, None]


def _tiles_convolved(tiles: Tensor, spectrum: _Spectrum) -> Tensor:
    """`[N, outputs, rows * step, columns * step]` for `[N, inputs, rows, columns, tile, tile]`.

    The product of each spectrum with the conjugate of the kernel's, in real numbers.
    """
    number, inputs, rows, columns, tile, _ = tiles.shape
    outputs, step = spectrum.kernel.shape[-1], spectrum.step
    pixels = tiles.permute(4, 5, 0, 2, 3, 1).reshape(tile * tile, -1)
    real, imaginary = (spectrum.forward @ pixels).view(2, -1, number * rows * columns, inputs)
    del pixels
    kernel_real, kernel_imaginary = spectrum.kernel
    product = real.new_empty(2, len(real), number * rows * columns, outputs)
    torch.bmm(real, kernel_real, out=product[0]).baddbmm_(imaginary, kernel_imaginary)
    torch.bmm(imaginary, kernel_real, out=product[1]).baddbmm_(real, kernel_imaginary, alpha=-1)
    pixels = spectrum.inverse @ product.view(spectrum.inverse.shape[1], -1)
    pixels = pixels.view(step, step, number, rows, columns, outputs).permute(2, 5, 3, 0, 4, 1)
    together: Tensor = pixels.reshape(number, outputs, rows * step, columns * step)
    return together
