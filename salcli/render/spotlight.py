"""The pictures of TempSAL's project page, in OpenCV's 8-bit HSV."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from salcli.types import Frame

    Levels: TypeAlias = npt.NDArray[np.int64]

__all__ = ["draw"]


def draw(frame: Frame, saliency: npt.NDArray[np.floating]) -> Frame:
    """The picture `[H, W, 3]` grey and dark where the map `[H, W]` is low.

    With f = 2 * map / max, at most 1: saturation times f, value times 0.9 f + 0.1, truncated to
    8 bit, in OpenCV's HSV of whole degrees by two.
    """
    peak = saliency.max()
    lit = (2 * saliency.astype(np.float64) / (peak if peak > 0 else 1)).clip(0, 1)
    hue, saturation, value = _hsv(frame)
    saturation = np.floor(saturation * lit) / 255
    value = np.floor(value * (0.9 * lit + 0.1))
    # each channel is a trapezium over the hue: full within one sixth around its colour
    channels = []
    for offset in (5, 3, 1):
        sixth = (offset + hue / 30) % 6
        ramp = np.minimum(sixth, 4 - sixth).clip(0, 1)
        channels.append(value * (1 - saturation * ramp))
    shown: Frame = np.rint(np.stack(channels, axis=2)).astype(np.uint8)
    return shown


def _hsv(frame: Frame) -> tuple[Levels, Levels, Levels]:
    """Hue 0 ... 179, saturation and value 0 ... 255 of a picture, divided as OpenCV does."""
    red, green, blue = np.moveaxis(frame.astype(np.int64), 2, 0)
    value = frame.max(axis=2).astype(np.int64)
    spread = value - frame.min(axis=2)
    sixths = np.select(
        [value == red, value == green],
        [green - blue, blue - red + 2 * spread],
        red - green + 4 * spread,
    )
    hue = _divided(sixths, 30, spread) % 180
    return hue, _divided(spread, 255, value), value


def _divided(dividend: Levels, factor: int, divisor: Levels) -> Levels:
    """`factor * dividend / divisor` by a table of 4096ths; 0 for a divisor of 0."""
    inverse = np.rint(4096 * factor / np.maximum(divisor, 1)).astype(np.int64)
    return (dividend * np.where(divisor > 0, inverse, 0) + 2048) >> 12
