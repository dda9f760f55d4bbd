"""Operations on TempSAL's maps: stretching, blurring and comparison with ground truth."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from salcli.authoring import gaussian_blur, losses, stretch

__all__ = ["bicubic", "blurred", "compared", "end_to_end", "log_density", "resized", "stretched"]

FLATTEST = 1e-5
"""The smallest range by which a map is stretched, as in torchvision's `save_image`."""

BLUR_SIGMA, BLUR_RADIUS = 2.0, 5
"""Pixels: OpenCV's 11x11 Gaussian, whose sigma is 0.3 ((11 - 1) / 2 - 1) + 0.8."""


def stretched(maps: Tensor, *, together: bool = False) -> Tensor:
    """Stretch maps `[N, h, w]` to 0 ... 1 like torchvision, each by its own range or all by one."""
    return stretch(maps, together=together, least=FLATTEST)


def blurred(maps: Tensor, size: tuple[int, ...]) -> Tensor:
    """Resize maps `[N, h, w]` to the frame and blur them as in the original's test script.

    Equal to OpenCV's bilinear `resize` and `GaussianBlur(11x11, 0)` with mirrored borders.
    """
    large = resized(maps[None], size)[0]
    return gaussian_blur(large, BLUR_SIGMA, truncate=BLUR_RADIUS / BLUR_SIGMA, border="mirror")


def compared(predicted: Tensor, density: Tensor) -> dict[str, Tensor]:
    """KL divergence, CC and SIM of maps `[B, H, W]` on any scale, one value per map."""
    predicted_log = log_density(predicted)
    truth = density / density.sum(dim=(1, 2), keepdim=True)
    return {
        "kld": losses.kld(predicted_log, truth),
        "cc": losses.cc(predicted_log, truth),
        "sim": torch.minimum(_shares(predicted), _shares(density)).sum(dim=(1, 2)),
    }


def _shares(maps: Tensor) -> Tensor:
    """Maps `[B, H, W]` stretched to begin at 0, then divided by their sums."""
    above = maps - maps.amin(dim=(1, 2), keepdim=True)
    return above / above.sum(dim=(1, 2), keepdim=True)


def log_density(maps: Tensor) -> Tensor:
    """The logarithm of non-negative maps `[B, H, W]` divided by their sums."""
    maps = maps.clamp(min=torch.finfo(maps.dtype).tiny)
    return maps.log() - maps.sum(dim=(1, 2), keepdim=True).log()


def resized(maps: Tensor, size: Sequence[int]) -> Tensor:
    """Resize maps `[B, T, h, w]` to (H, W): bilinear without antialiasing, as OpenCV does."""
    return functional.interpolate(maps, size=tuple(size), mode="bilinear")


def bicubic(maps: Tensor, size: Sequence[int]) -> Tensor:
    """Resize maps `[B, T, h, w]` to (H, W) bicubically, without antialiasing.

    PyTorch's own gradient is added up in any order on CUDA, which refuses where algorithms must be
    deterministic; then both directions are matrices.
    """
    if not torch.are_deterministic_algorithms_enabled():
        return functional.interpolate(maps, size=tuple(size), mode="bicubic")
    rows, columns = (
        functional.interpolate(
            torch.eye(own, device=maps.device)[None, None], size=(wanted, own), mode="bicubic"
        )[0, 0].to(maps.dtype)
        for own, wanted in zip(maps.shape[-2:], size, strict=True)
    )
    return rows @ maps @ columns.T


def end_to_end(maps: Tensor) -> Tensor:
    """Maps `[B, T, h, w]` as one map `[B, T h, w]`."""
    return maps.flatten(1, 2)
