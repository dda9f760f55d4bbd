"""Draws a saliency map in colours: alone, or over its picture."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image

from salcli.maps import resize, to_8bit
from salcli.render import colormaps

if TYPE_CHECKING:
    import numpy.typing as npt

    from salcli.types import Frame

__all__ = ["cover_tables", "fitted", "heatmap", "overlay", "prominence"]

OPACITY = 0.72
"""Of the overlay at its peak: the picture shines through everywhere."""

FAINTEST, FULL = 0.03, 0.45
"""Prominence at which the overlay begins to cover the picture, and at which it covers most."""

DARKEST = 60
"""First of 256 colours that the overlay uses: darker ones would look like shadows."""

LEAST_CONTRAST = 0.1
"""A map whose peak exceeds its median by less than this fraction of the peak is drawn fainter,
because it hardly prefers any place."""

STRIP_ROWS = 256
"""Rows that are drawn together: copies of whole pictures take memory, and leave the caches."""

MEDIAN_STRIDE = 8
"""Only every Nth row and column counts for the median: maps are smooth."""


def heatmap(saliency: npt.NDArray[np.float32], *, colour_map: str = colormaps.DEFAULT) -> Frame:
    """Colours `[H, W, 3]` of a map `[H, W]`, not negative, from the first (zero) to the last."""
    peak = saliency.max()
    levels = _levels(saliency / peak if peak > 0 else saliency)
    return np.asarray(_coloured(levels, _table(colour_map)))


def overlay(
    frame: Frame,
    saliency: npt.NDArray[np.float32],
    *,
    alpha: float = OPACITY,
    colour_map: str = colormaps.DEFAULT,
) -> Frame:
    """The picture `[H, W, 3]` under its map `[h, w]`, which is resized to the picture.

    Saliency is scaled from the map's median to its peak, so that at least the less salient half of
    the picture stays untouched.

    Args:
        frame: The picture.
        saliency: Its map, not negative.
        alpha: Opacity where the overlay covers most, in [0, 1].
        colour_map: Name of the colours, see `salcli.render.colormaps.table`.
    """
    saliency = fitted(saliency, (frame.shape[0], frame.shape[1]))
    floor, span = _range(saliency)
    covering, cover = cover_tables(colour_map, alpha)
    picture = np.empty_like(frame)
    for top in range(0, len(frame), STRIP_ROWS):
        rows = slice(top, top + STRIP_ROWS)
        levels = _levels((saliency[rows] - floor) / span)
        strip = Image.fromarray(frame[rows])
        strip.paste(_coloured(levels, covering), mask=Image.fromarray(np.take(cover, levels)))
        picture[rows] = np.asarray(strip)
    return picture


def prominence(saliency: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """How far each value of a map `[H, W]` stands out: 0 at its median, 1 at its peak."""
    floor, span = _range(saliency)
    return (saliency - floor) / span


def _range(saliency: npt.NDArray[np.float32]) -> tuple[np.float32, np.float32]:
    """The value that becomes 0, and how far above it is 1; a map of zeros stays zero."""
    floor = np.median(saliency[::MEDIAN_STRIDE, ::MEDIAN_STRIDE])
    peak = saliency.max()
    span = max(peak - floor, LEAST_CONTRAST * peak)
    return (floor, span) if span > 0 else (np.float32(0), np.float32(1))


@cache
def cover_tables(colour_map: str, alpha: float) -> tuple[colormaps.Table, npt.NDArray[np.uint8]]:
    """The overlay's colours `[256, 3]` and opacities 0 ... 255 for 256 levels of prominence."""
    found = colormaps.table(colour_map)
    # a smooth step: the heat has no visible border
    ramp = ((np.arange(256) / 255 - FAINTEST) / (FULL - FAINTEST)).clip(0, 1)
    cover = (alpha * ramp**2 * (3 - 2 * ramp)).astype(np.float32)
    places = np.linspace(DARKEST * len(found) / 256, len(found) - 1, 256)
    return found[places.astype(np.int32)], _levels(cover)


def fitted(saliency: npt.NDArray[np.float32], size: tuple[int, int]) -> npt.NDArray[np.float32]:
    """The map at `(H, W)`; itself if it has that size."""
    if saliency.shape == size:
        return saliency
    resized: npt.NDArray[np.float32] = resize(torch.from_numpy(saliency)[None], size)[0].numpy()
    return resized


def _levels(values: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    return to_8bit(values, "nearest")


def _coloured(levels: npt.NDArray[np.uint8], table: npt.NDArray[np.uint8]) -> Image.Image:
    # Pillow looks up colours several times faster than numpy
    picture = Image.fromarray(levels)
    picture.putpalette(table.tobytes())
    return picture.convert("RGB")


@cache
def _table(colour_map: str) -> colormaps.Table:
    return colormaps.coloured(np.arange(256) / 256, colormaps.table(colour_map))
