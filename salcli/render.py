"""Saliency maps as people look at them: a heat map alone, or over the picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image

from salcli import imageops

if TYPE_CHECKING:
    import numpy.typing as npt

    from salcli.types import Frame

__all__ = ["fitted", "heatmap", "overlay"]

ANCHORS = (
    # lightness, chroma, hue in degrees; hue runs on past 360
    (0.14, 0.05, 278),  # night blue
    (0.32, 0.17, 285),  # indigo
    (0.46, 0.21, 325),  # purple
    (0.60, 0.23, 368),  # crimson
    (0.72, 0.19, 405),  # orange
    (0.86, 0.17, 446),  # yellow
    (0.98, 0.06, 467),  # pale yellow
)
"""The colours of rising saliency in OKLCh: lightness rises all the way, so that a step of saliency
looks like a step everywhere, also without colour vision."""

OPACITY = 0.72
"""Of the overlay where it covers most: the picture shines through everywhere."""

FAINTEST, FULL = 0.03, 0.45
"""Saliency at which the overlay begins to cover the picture, and from which it covers most."""

DARKEST = 60
"""Where in the colour table the overlay begins: darker colours would pass for shadows."""

LEAST_CONTRAST = 0.1
"""A map whose peak stands out of its median by less than this part of the peak is shown fainter,
because it hardly prefers any place."""

MEDIAN_STRIDE = 8
"""Every so many rows and columns count for the median: maps are smooth."""


def heatmap(saliency: npt.NDArray[np.float32]) -> Frame:
    """Colours `[H, W, 3]` of a map `[H, W]`, not negative, from dark (zero) to pale (its peak)."""
    peak = saliency.max()
    levels = _levels(saliency / peak if peak > 0 else saliency)
    return np.asarray(_coloured(levels, _COLOURS))


def overlay(frame: Frame, saliency: npt.NDArray[np.float32]) -> Frame:
    """The picture `[H, W, 3]` under its map `[h, w]`, which is brought to the picture's size.

    Saliency is counted from the map's median to its peak, so at least the less salient half of the
    picture stays untouched.
    """
    height, width = frame.shape[:2]
    saliency = fitted(saliency, (height, width))
    floor = np.median(saliency[::MEDIAN_STRIDE, ::MEDIAN_STRIDE])
    peak = saliency.max()
    span = max(peak - floor, LEAST_CONTRAST * peak)
    levels = _levels((saliency - floor) / span if span > 0 else saliency)
    cover = Image.fromarray(np.take(_COVER, levels))
    return np.asarray(Image.composite(_coloured(levels, _COVERING), Image.fromarray(frame), cover))


def fitted(saliency: npt.NDArray[np.float32], size: tuple[int, int]) -> npt.NDArray[np.float32]:
    """The map at `(H, W)`; itself if it has that size."""
    if saliency.shape == size:
        return saliency
    resized: npt.NDArray[np.float32] = imageops.resize(torch.from_numpy(saliency)[None], size)[
        0
    ].numpy()
    return resized


def _levels(values: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    return imageops.to_8bit(values, "nearest")


def _coloured(levels: npt.NDArray[np.uint8], table: npt.NDArray[np.uint8]) -> Image.Image:
    # Pillow looks colours up several times faster than numpy
    picture = Image.fromarray(levels)
    picture.putpalette(table.tobytes())
    return picture.convert("RGB")


def _colour_table() -> npt.NDArray[np.uint8]:
    """The sRGB colours `[256, 3]` along `ANCHORS`, by Björn Ottosson's OKLab matrices (2020)."""
    steps = np.linspace(0, len(ANCHORS) - 1, 256)
    lightness, chroma, hue = (
        np.interp(steps, np.arange(len(ANCHORS)), column) for column in zip(*ANCHORS, strict=True)
    )
    a, b = chroma * np.cos(np.radians(hue)), chroma * np.sin(np.radians(hue))
    cones = (
        lightness[:, None]
        + a[:, None] * (0.3963377774, -0.1055613458, -0.0894841775)
        + b[:, None] * (0.2158037573, -0.0638541728, -1.2914855480)
    ) ** 3
    linear = cones @ np.array(
        [
            [4.0767416621, -1.2684380046, -0.0041960863],
            [-3.3077115913, 2.6097574011, -0.7034186147],
            [0.2309699292, -0.3413193965, 1.7076147010],
        ]
    )
    linear = linear.clip(0, 1)
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return _bytes(encoded)


def _cover_table() -> npt.NDArray[np.uint8]:
    """Opacity 0 ... 255 for each level: a smooth step, so that the heat has no visible border."""
    ramp = ((np.arange(256) / 255 - FAINTEST) / (FULL - FAINTEST)).clip(0, 1)
    return _bytes(OPACITY * ramp**2 * (3 - 2 * ramp))


def _bytes(values: npt.NDArray[np.float64]) -> npt.NDArray[np.uint8]:
    return imageops.to_8bit(values.astype(np.float32), "nearest")


_COLOURS = _colour_table()
_COVERING = _COLOURS[np.linspace(DARKEST, 255, 256).astype(np.uint8)]
_COVER = _cover_table()
