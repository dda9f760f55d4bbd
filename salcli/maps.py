"""Operations on maps: size, scale, 8 bit, blur. Tensors stay on their device."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias, overload

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from salcli.types import Rounding, Scale

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["blur", "gaussian_blur", "peaked", "rescale", "resize", "stretch", "to_8bit"]

Border: TypeAlias = Literal["zero", "mirror", "symmetric"]
"""What is beyond the border of a map `a b c d`: zeros; `... c b | a b c d | c b ...` as in OpenCV's
blurs and PyTorch's `reflect`; or `... b a | a b c d | d c ...`, SciPy's `reflect`."""

SHORT = 8
"""Up to this radius, convolutions are faster than products with banded matrices."""


def resize(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize `maps` `[N, h, w]` bilinearly to `size` (H, W), antialiased when shrinking.

    Pixel centres are aligned. Weights are positive and sum to 1, so values stay within their
    range.
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
        return peaked(maps)
    sums = maps.sum(dim=(-2, -1), keepdim=True)
    uniform = torch.full_like(maps, 1 / (maps.shape[-2] * maps.shape[-1]))
    return torch.where(sums > 0, maps / sums, uniform)


def peaked(maps: Tensor, *, logits: bool = False) -> Tensor:
    """Non-negative maps `[..., H, W]`, each divided by its maximum; a map of zeros stays zero.

    Args:
        maps: The maps.
        logits: They are logarithms of maps, up to a constant: what `softmax` makes a density of.
    """
    if logits:
        return (maps - maps.amax(dim=(-2, -1), keepdim=True)).exp()
    peaks = maps.amax(dim=(-2, -1), keepdim=True)
    return maps / torch.where(peaks > 0, peaks, torch.ones_like(peaks))


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


@overload
def to_8bit(saliency: Tensor, rounding: Rounding) -> Tensor: ...
@overload
def to_8bit(saliency: npt.NDArray[Any], rounding: Rounding) -> npt.NDArray[np.uint8]: ...
def to_8bit(
    saliency: Tensor | npt.NDArray[Any], rounding: Rounding
) -> Tensor | npt.NDArray[np.uint8]:
    """Grey levels 0 ... 255 of float32 maps in [0, 1], computed in float32 as the originals do.

    `saliency` is an array or a tensor `[..., H, W]`; grey levels, uint8, stay as they are. Of the
    ways of `rounding`, `floor` drops the fraction; `nearest` rounds half up; `up` adds a half and
    then rounds, as those do who round the values to which `torchvision.utils.save_image` adds a
    half.
    """
    if saliency.dtype in (np.uint8, torch.uint8):
        return saliency
    levels = saliency * 255
    if rounding != "floor":
        levels += 0.5
    # arithmetic may exceed [0, 1] by an ulp, and an 8-bit number would wrap around
    if isinstance(levels, Tensor):
        return (levels.round_() if rounding == "up" else levels).clamp_(0, 255).byte()
    if rounding == "up":
        np.rint(levels, out=levels)
    return np.clip(levels, 0, 255, out=levels).astype(np.uint8)


def gaussian_blur(
    maps: Tensor, sigma: float, *, truncate: float = 4.0, border: Border = "zero"
) -> Tensor:
    """Floating-point maps `[..., H, W]`, blurred by a normalised Gaussian.

    The same as `scipy.ndimage.gaussian_filter` over the last two dimensions, with the modes
    `constant`, `mirror` and `reflect`.

    Args:
        maps: The maps to blur.
        sigma: Standard deviation in pixels, above zero.
        truncate: Where the kernel ends, in standard deviations.
        border: What is beyond the border.
    """
    radius = int(truncate * sigma + 0.5)
    offsets = torch.arange(-radius, radius + 1, dtype=maps.dtype, device=maps.device)
    kernel = torch.exp(-0.5 * (offsets / sigma) ** 2)
    return blur(maps, kernel / kernel.sum(), border=border)


def blur(maps: Tensor, kernel: Tensor, *, border: Border = "zero") -> Tensor:
    """Floating-point maps `[..., H, W]`, blurred by a symmetric kernel in both directions.

    Wide kernels are products with banded matrices, which is far faster than a convolution.

    Args:
        maps: The maps to blur.
        kernel: An odd number of weights, on the maps' device and in their type.
        border: What is beyond the border.
    """
    radius = len(kernel) // 2
    rows, columns = (_continued(n, radius, border, maps.device) for n in maps.shape[-2:])
    if radius > SHORT:
        return _band(kernel, rows) @ maps @ _band(kernel, columns).mT
    if border == "zero":
        padded = functional.pad(maps, [radius] * 4)
    else:
        padded = maps[..., rows, :][..., columns]
    found = functional.conv2d(padded.reshape(-1, 1, *padded.shape[-2:]), kernel.view(1, 1, -1, 1))
    return functional.conv2d(found, kernel.view(1, 1, 1, -1)).view_as(maps)


def _continued(n: int, radius: int, border: Border, device: torch.device) -> Tensor:
    """For places from `-radius` to `n + radius - 1`: whose value is there; n for a zero."""
    places = torch.arange(-radius, n + radius, device=device)
    if border == "zero":
        return torch.where((places >= 0) & (places < n), places, n)
    if border == "symmetric":
        places = places.remainder(2 * n)
        return torch.minimum(places, 2 * n - 1 - places)
    period = max(1, 2 * (n - 1))
    places = places.remainder(period)
    return torch.minimum(places, period - places)


def _band(kernel: Tensor, continued: Tensor) -> Tensor:
    """The matrix `[n, n]` whose product with a signal is its convolution with the kernel."""
    n = len(continued) - len(kernel) + 1
    columns = continued.unfold(0, len(kernel), 1)
    rows = torch.arange(n, device=kernel.device)[:, None].expand_as(columns)
    band = kernel.new_zeros(n, n + 1)
    band.index_put_((rows, columns), kernel.expand(columns.shape), accumulate=True)
    return band[:, :n]
