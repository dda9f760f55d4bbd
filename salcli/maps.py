"""Operations on finished maps: size, scale, 8 bit, blur. Tensors stay on their device."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from salcli.types import Rounding, Scale

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["gaussian_blur", "rescale", "resize", "stretch", "to_8bit"]


def resize(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Maps `[N, h, w]` at `(H, W)`: bilinear, pixel centres aligned, antialiased when shrinking.

    Bilinear weights are positive and sum to 1, so values stay within their range.
    """
    height, width = maps.shape[-2:]
    if (height, width) == tuple(size):
        return maps
    shrinks = size[0] < height or size[1] < width
    return functional.interpolate(
        maps[:, None], size=size, mode="bilinear", align_corners=False, antialias=shrinks
    )[:, 0]


def rescale(maps: Tensor, scale: Scale) -> Tensor:
    """Non-negative maps `[N, H, W]` on another scale.

    `published` leaves them unchanged. `max` divides each by its peak; a map of zeros stays zero.
    `density` divides each by its sum; a map of zeros, which has no preference, becomes uniform.
    """
    if scale == "published":
        return maps
    if scale == "max":
        peaks = maps.amax(dim=(-2, -1), keepdim=True)
        return maps / torch.where(peaks > 0, peaks, torch.ones_like(peaks))
    sums = maps.sum(dim=(-2, -1), keepdim=True)
    uniform = torch.full_like(maps, 1 / (maps.shape[-2] * maps.shape[-1]))
    return torch.where(sums > 0, maps / sums, uniform)


def stretch(maps: Tensor, *, together: bool = False, least: float = 0.0) -> Tensor:
    """Floating-point maps `[N, H, W]`, stretched to [0, 1]; a constant one becomes 0.

    Args:
        maps: The maps to stretch.
        together: Use the range of all maps together instead of each one's own.
        least: Minimum range to divide by, so that noise is not stretched.
    """
    if not len(maps):
        return maps
    dims = (0, 1, 2) if together else (1, 2)
    low, high = maps.amin(dims, keepdim=True), maps.amax(dims, keepdim=True)
    return (maps - low) / (high - low).clamp(min=max(least, torch.finfo(maps.dtype).tiny))


def to_8bit(saliency: npt.NDArray[np.float32], rounding: Rounding) -> npt.NDArray[np.uint8]:
    """Grey levels 0 ... 255 of a float32 map in [0, 1], computed in float32 as the originals do.

    `floor` drops the fraction; `nearest` rounds half up.
    """
    levels = saliency * np.float32(255)
    if rounding == "nearest":
        levels += np.float32(0.5)
    # arithmetic may exceed [0, 1] by an ulp, and an 8-bit number would wrap around
    return np.clip(levels, 0, 255, out=levels).astype(np.uint8)


def gaussian_blur(maps: Tensor, sigma: float, *, truncate: float = 4.0) -> Tensor:
    """Floating-point maps `[..., H, W]`, blurred by a normalised Gaussian; zero outside.

    The same as `scipy.ndimage.gaussian_filter(mode="constant")` over the last two dimensions. Each
    direction is one product with a banded matrix, which is far faster than a convolution for the
    wide kernels of fixation densities.

    Args:
        maps: The maps to blur.
        sigma: Standard deviation in pixels, above zero.
        truncate: Where the kernel ends, in standard deviations.
    """
    height, width = maps.shape[-2:]
    vertical, horizontal = (_band(maps, n, sigma, truncate=truncate) for n in (height, width))
    return vertical @ maps @ horizontal


def _band(like: Tensor, n: int, sigma: float, *, truncate: float) -> Tensor:
    """The symmetric matrix `[n, n]` whose rows are the kernel, centred on the diagonal."""
    radius = int(truncate * sigma + 0.5)
    offsets = torch.arange(radius + 1, dtype=like.dtype, device=like.device)
    half = torch.exp(-0.5 * (offsets / sigma) ** 2)
    half = half / (2 * half.sum() - half[0])
    places = torch.arange(n, device=like.device)
    distance = (places[:, None] - places).abs()
    return torch.where(distance <= radius, half[distance.clamp(max=radius)], half.new_zeros(()))
