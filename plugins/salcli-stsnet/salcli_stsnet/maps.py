"""Turns the net's output into the maps that the published script writes, on any device."""

from __future__ import annotations

from functools import lru_cache

import cv2
import torch
from torch import Tensor
from torch.nn import functional

from salcli.authoring import blur, peaked
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
    grey = (output * SALIENCY_SCALE + settings.saliency_mean).clamp(0.0, WHITE)
    grey = functional.interpolate(
        grey, size=size, mode=MODES[settings.interpolation], align_corners=False
    )
    if settings.blur:
        # what is made while an exporter traces is no tensor, and must not be kept
        kernel = _kernel if torch.compiler.is_compiling() else _kept_kernel
        grey = blur(grey, kernel(settings.blur, grey.device), border="mirror")
    maps = grey[:, 0].clamp(0.0, WHITE)
    if not stretched:
        return maps / WHITE
    if peak is None:
        return peaked(maps)
    return maps / torch.where(peak > 0, WHITE * peak, torch.ones_like(peak))


def _kernel(side: int, device: torch.device) -> Tensor:
    """OpenCV's Gaussian of so many pixels in float32: for five, [1 4 6 4 1] / 16."""
    return torch.from_numpy(cv2.getGaussianKernel(side, 0)[:, 0]).float().to(device)


_kept_kernel = lru_cache(_kernel)
