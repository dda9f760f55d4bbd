"""Colour tables: from a number in [0, 1] to a colour.

salcli's own tables run through OKLCh, where equal steps look equal. `jet` and `hot` are OpenCV's,
which published pictures of saliency often have. Every other name is one of matplotlib's.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from salcli.errors import UnknownName

if TYPE_CHECKING:
    import numpy.typing as npt

    from salcli.types import Frame

Table: TypeAlias = "npt.NDArray[np.uint8]"
"""sRGB colours `[N, 3]` of N equal steps from 0 to 1."""

__all__ = ["DEFAULT", "DIVERGING", "Table", "coloured", "table"]

DEFAULT = "salcli"
DIVERGING = "salcli-diverging"

Anchor: TypeAlias = tuple[float, float, float]
"""Lightness, chroma, hue in degrees; hue may run on past 360."""

RISING = (
    (0.14, 0.05, 278),  # night blue
    (0.32, 0.17, 285),  # indigo
    (0.46, 0.21, 325),  # purple
    (0.60, 0.23, 368),  # crimson
    (0.72, 0.19, 405),  # orange
    (0.86, 0.17, 446),  # yellow
    (0.98, 0.06, 467),  # pale yellow
)
"""The colours of rising saliency: lightness rises throughout, so that equal steps of saliency look
equal everywhere, also without colour vision."""

FALLING_AND_RISING = (
    (0.36, 0.14, 262),  # deep blue
    (0.60, 0.14, 250),  # blue
    (0.82, 0.07, 235),  # pale blue
    (0.97, 0.00, 235),  # white
    (0.83, 0.08, 55),  # pale orange
    (0.63, 0.18, 40),  # orange red
    (0.38, 0.14, 28),  # deep red
)
"""Less, unchanged, more. Every common colour vision distinguishes blue from orange red."""


def coloured(values: npt.NDArray[np.floating], colours: Table) -> Frame:
    """The colours `[..., 3]` of values; those outside [0, 1] are clipped."""
    steps = len(colours)
    found: Frame = colours[(values * steps).astype(np.int32).clip(0, steps - 1)]
    return found


@cache
def table(name: str) -> Table:
    """The colour table `[N, 3]` of this name; cached, so it must not be changed.

    Raises:
        UnknownName: There is no such table.
    """
    if name == DEFAULT:
        return _through(RISING)
    if name == DIVERGING:
        return _through(FALLING_AND_RISING)
    if name == "jet":
        return _jet()
    if name == "hot":
        return _hot()
    import matplotlib  # takes half a second, and only some runs need it

    if name not in matplotlib.colormaps:
        raise UnknownName("colour map", name, [DEFAULT, DIVERGING, *matplotlib.colormaps])
    colours = matplotlib.colormaps[name]
    found: Table = colours(np.arange(colours.N), bytes=True)[:, :3]
    return found


def _jet() -> Table:
    """OpenCV's JET: each channel rises and falls by four levels a step."""
    position = np.arange(256) / 255
    ramps = [1.5 - np.abs(4 * position - centre) for centre in (3, 2, 1)]
    return _levels(np.stack(ramps, axis=1).clip(0, 1))


def _hot() -> Table:
    """OpenCV's HOT: red, then green, then blue rise, between 64 fixed colours."""
    knots = np.linspace(0, 1, 64)
    ramps = [2.5 * knots, 2.5 * (knots - 0.4), 5 * (knots - 0.8)]
    places = np.linspace(0, 1, 256)
    channels = [np.interp(places, knots, ramp.clip(0, 1)) for ramp in ramps]
    return _levels(np.stack(channels, axis=1))


def _through(anchors: Sequence[Anchor]) -> Table:
    """256 colours along anchors in OKLCh, by Björn Ottosson's OKLab matrices (2020)."""
    steps = np.linspace(0, len(anchors) - 1, 256)
    lightness, chroma, hue = (
        np.interp(steps, np.arange(len(anchors)), column) for column in zip(*anchors, strict=True)
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
    return _levels(encoded)


def _levels(parts: npt.NDArray[np.float64]) -> Table:
    rounded: Table = (255 * parts.astype(np.float32) + np.float32(0.5)).astype(np.uint8)
    return rounded
