"""Pictures as on TempSAL's project page: heat, spotlight, difference, and panels of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from salcli.authoring import MapStyle, colormaps, legend

if TYPE_CHECKING:
    import numpy.typing as npt

    from salcli import Frame
    from salcli.authoring import ComparedFrame, Look

    Levels: TypeAlias = npt.NDArray[np.int64]
    Map: TypeAlias = npt.NDArray[np.floating]

__all__ = [
    "Spotlight",
    "TempsalPanels",
    "animation",
    "comparison",
    "difference",
    "hot",
    "peaked",
    "spotlight",
]


class Spotlight(MapStyle):
    """Grey and dark where the map is low, by OpenCV's 8-bit HSV. Opacity and colours are fixed."""

    meaning = "dark and grey to bright and coloured: less to most likely to be looked at"

    def draw(self, frame: Frame, saliency: Map) -> Frame:
        """See `MapStyle.draw`."""
        return spotlight(frame, peaked(saliency))

    def swatch(self, size: int) -> Frame:
        """See `MapStyle.swatch`."""
        ramp = np.linspace(0, 1, 512, dtype=np.float32)[None]
        picture = np.full((1, 512, 3), legend.PICTURE, np.uint8)
        return legend.bar(spotlight(picture, ramp)[0, :256], size=size)


class TempsalPanels:
    """Heat and spotlight of the ground truth, of the prediction, and difference and image.

    These are three rows of two. Without a ground truth there are heat and spotlight of the
    prediction, and the image. Further models add rows. The look is ignored.
    """

    def __init__(self, look: Look) -> None:
        del look

    def draw(self, compared: ComparedFrame) -> Frame:
        """The panels `[H', W', 3]` of a frame without space between; both sides are even."""
        return comparison(
            compared.picture,
            None if compared.density is None else peaked(compared.density),
            [peaked(scored.saliency) for scored in compared.maps],
        )


def comparison(picture: Frame, truth: Map | None, maps: Sequence[Map]) -> Frame:
    """The panels of `TempsalPanels` for ground truth and maps `[H, W]` in [0, 1]."""
    rows: list[tuple[Frame, Frame]] = []
    if truth is not None:
        rows.append((hot(truth), spotlight(picture, truth)))
    for saliency in maps:
        rows.append((hot(saliency), spotlight(picture, saliency)))
        if truth is not None:
            rows.append((difference(truth, saliency), picture))
    if truth is None:
        rows.append((picture, np.zeros_like(picture)))
    whole = np.concatenate([np.concatenate(row, axis=1) for row in rows])
    odd = whole.shape[0] % 2, whole.shape[1] % 2
    return np.pad(whole, ((0, odd[0]), (0, odd[1]), (0, 0)))


def animation(picture: Frame, truth: Map, saliency: Map) -> list[Frame]:
    """`comparison` for each slice of ground truth and prediction `[T, H, W]`, which share a scale.

    So the brightness of the slices can be compared.
    """
    pairs = zip(peaked(truth), peaked(saliency), strict=True)
    return [comparison(picture, here, [there]) for here, there in pairs]


def peaked(maps: Map) -> Map:
    """Maps divided by their common maximum; zeros stay zeros."""
    peak = maps.max()
    return maps / (peak if peak > 0 else 1)


def hot(saliency: Map) -> Frame:
    """TempSAL's heat picture `[H, W, 3]` of a map in [0, 1]: truncated levels, OpenCV's HOT."""
    levels = (255 * saliency).astype(np.uint8)
    return colormaps.coloured(levels / 255, colormaps.table("hot"))


def difference(truth: Map, saliency: Map) -> Frame:
    """0.5 + (truth - prediction) / 2, of maps in [0, 1], in OpenCV's colours TWILIGHT."""
    fine = colormaps.table("twilight").astype(np.float64)
    steps = np.linspace(0, len(fine) - 1, 256)
    table = [np.interp(steps, np.arange(len(fine)), channel) for channel in fine.T]
    levels = (255 * (0.5 + (truth - saliency) / 2)).astype(np.uint8)
    found: Frame = np.rint(np.stack(table, axis=1)).astype(np.uint8)[levels]
    return found


def spotlight(frame: Frame, saliency: Map) -> Frame:
    """The picture `[H, W, 3]` grey and dark where the map `[H, W]` in [0, 1] is low.

    With f = 2 * map, at most 1: saturation times f, value times 0.9 f + 0.1, truncated to
    8 bit, in OpenCV's HSV of whole degrees by two.
    """
    lit = (2 * saliency.astype(np.float64)).clip(0, 1)
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
