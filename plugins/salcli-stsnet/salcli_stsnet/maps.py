"""Turns the net's output into the maps that the published script writes, on any device."""

from __future__ import annotations

import cv2
import torch
from torch import Tensor
from torch.nn import functional

from salcli.authoring import rescale
from salcli_stsnet.settings import Settings

__all__ = ["finish"]

WHITE = 255.0

SALIENCY_SCALE = 128.0
"""Grey levels per unit of the net's output."""

MODES = {"cubic": "bicubic", "linear": "bilinear"}


def finish(
    output: Tensor,
    size: tuple[int, int],
    *,
    settings: Settings,
    stretched: bool = True,
    peak: Tensor | None = None,
) -> Tensor:
    """Maps `[N, H, W]` in [0, 1], of the frame's size, for outputs `[N, 1, h, w]`, float32.

    If they are stretched, they are divided by `peak`, in [0, 1], or else by each map's maximum.
    """
    grey = (output * SALIENCY_SCALE + settings.saliency_mean).clamp(0, WHITE)
    grey = functional.interpolate(
        grey, size=size, mode=MODES[settings.interpolation], align_corners=False
    )
    if settings.blur:
        grey = _blurred(grey, settings.blur)
    maps = grey[:, 0].clamp(0, WHITE)
    if not stretched:
        return maps / WHITE
    if peak is None:
        return rescale(maps, "max")
    return maps / torch.where(peak > 0, WHITE * peak, torch.ones_like(peak))


def _blurred(maps: Tensor, side: int) -> Tensor:
    """Blur by OpenCV's Gaussian of this side, reflected at the border without repeating its pixels.

    For five pixels that is [1 4 6 4 1] / 16.
    """
    kernel = torch.from_numpy(cv2.getGaussianKernel(side, 0)).to(maps)
    rows, columns = (_mirrored(n, side // 2, maps.device) for n in maps.shape[-2:])
    maps = functional.conv2d(maps[:, :, rows], kernel.view(1, 1, side, 1))
    return functional.conv2d(maps[..., columns], kernel.view(1, 1, 1, side))


def _mirrored(count: int, margin: int, device: torch.device) -> Tensor:
    """Positions from 0 to `count - 1`, continued by reflection on both sides."""
    period = max(1, 2 * (count - 1))
    places = torch.arange(-margin, count + margin, device=device).remainder(period)
    return torch.minimum(places, period - places)
