"""Ways to show a saliency map on its picture.

Lengths grow with the picture, so that it looks alike at every size.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, TypeAlias

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFilter

from salcli.maps import gaussian_blur, resize, to_8bit
from salcli.render import colormaps, heatmap, legend, lettering

if TYPE_CHECKING:
    import numpy.typing as npt

    from salcli.types import Frame

    Map: TypeAlias = npt.NDArray[np.float32]

__all__ = [
    "ALPHA",
    "ENCLOSED",
    "Contour",
    "Fog",
    "Heat",
    "Look",
    "MapStyle",
    "NumberedPeaks",
    "Peak",
    "isolines",
    "peaks",
]

ALPHA = 0.55
"""Opacity where a map covers the picture most, by default."""

ENCLOSED = (0.25, 0.5, 0.75, 0.9)
"""Shares of all saliency that the lines of `contour` enclose, from the inside out."""

LINE_COLOURS = (0.93, 0.78, 0.6, 0.42)
"""Positions of their colours in the colour table: the innermost line is the lightest."""

LINE_WIDTH = 0.005
"""Of a line, as a fraction of the picture's size, which is the root of its area."""

BORDER = np.zeros(3, np.uint8)
"""Colour around lines, so that they stand out on any picture."""

SHADE = 0.6
"""How dark it is beyond the outermost line, as a fraction of alpha."""

SMOOTHING = 0.006
"""Sigma of the blur before lines are drawn, as a fraction of the picture's size: 8-bit maps have
steps."""

BLURRED_SIDE = 960
"""Longest side at which this is done."""

FOG = (222, 226, 230)
FOG_DEPTH = 1.45
"""Fog is this much denser than a heat map, which should not hide what is under it."""

FOG_BLUR = 0.012
CLEAR = 0.35
"""Prominence from which a place is entirely clear of fog."""

MOST_PEAKS = 6
FAINTEST_PEAK = 0.2
"""Peaks below this fraction of the highest are left out."""

PEAK_DISTANCE = 0.16
"""Peaks nearer to each other count as one; as a fraction of the picture's size."""

RING = 0.035
"""Radius of the ring around the highest peak, as a fraction of the picture's size."""


@dataclass(frozen=True)
class Look:
    """How pictures are drawn, whatever their style.

    Attributes:
        alpha: Opacity where a map covers the picture most, in [0, 1].
        colour_map: See `salcli.render.colormaps.table`; `None` for the style's own.
        labels: Whether to write titles and scores.
    """

    alpha: float = ALPHA
    colour_map: str | None = None
    labels: bool = True


class MapStyle(ABC):
    """Draws a saliency map on its picture.

    Attributes:
        meaning: What the colours mean, for the legend.
        alpha, colour_map: Of the look.
    """

    meaning: ClassVar[str]

    def __init__(self, look: Look) -> None:
        self.alpha = look.alpha
        self.colour_map = look.colour_map or colormaps.DEFAULT

    @abstractmethod
    def draw(self, frame: Frame, saliency: Map) -> Frame:
        """The picture, RGB uint8 `[H, W, 3]`, with its map, float32 `[H, W]`, not negative."""

    @abstractmethod
    def swatch(self, size: int) -> Frame:
        """A sample `[h, w, 3]` of the colours for the legend, beside letters of `size` pixels."""


@dataclass(frozen=True)
class Peak:
    """A place that is more salient than what is around it.

    Attributes:
        x, y: Column and row.
        height: As a fraction of the highest peak.
    """

    x: int
    y: int
    height: float


class Heat(MapStyle):
    """Colours over what is more salient than the median."""

    meaning = "less to most likely to be looked at; each map from its median to its own peak"

    def draw(self, frame: Frame, saliency: Map) -> Frame:
        """See `MapStyle.draw`."""
        return heatmap.overlay(frame, saliency, alpha=self.alpha, colour_map=self.colour_map)

    def swatch(self, size: int) -> Frame:
        """See `MapStyle.swatch`."""
        covering, cover = heatmap.cover_tables(self.colour_map, self.alpha)
        return legend.faded_bar(covering, cover / 255, ground=legend.GREY, size=size)


class Contour(MapStyle):
    """Lines that enclose shares of all saliency; darker beyond the outermost one."""

    meaning = "of all attention lies within the line; darker outside of the outermost"

    def draw(self, frame: Frame, saliency: Map) -> Frame:
        """See `MapStyle.draw`."""
        if saliency.max() <= saliency.min():
            return frame
        unit = math.sqrt(saliency.size)
        smooth = _smoothed(saliency)
        slope = np.hypot(*np.gradient(smooth))
        levels = isolines(smooth)
        shade = (smooth < levels[-1])[..., None] * np.float32(SHADE * self.alpha)
        canvas = frame * (1 - shade)
        width = max(1.0, LINE_WIDTH * unit)
        for level, line in zip(reversed(levels), reversed(self._colours()), strict=True):
            distance = np.abs(smooth - level) / np.maximum(slope, 1e-9)
            for ink, opacity, thick in ((BORDER, 0.6, 2.2 * width), (line, 1.0, width)):
                part = opacity * (thick / 2 + 0.5 - distance).clip(0, 1)[..., None]
                canvas += part * (ink - canvas)
        return (canvas + 0.5).astype(np.uint8)

    def swatch(self, size: int) -> Frame:
        """A line of each colour, with the share that it encloses."""
        height = round(1.3 * size)
        texts = [f"{100 * share:.0f} %" for share in ENCLOSED]
        step = 2 * size + max(lettering.width(text, size) for text in texts)
        canvas = Image.new("RGB", (step * len(texts), height), legend.WHITE)
        pen = ImageDraw.Draw(canvas)
        thick = max(1, size // 5)
        for number, (text, colour) in enumerate(zip(texts, self._colours(), strict=True)):
            left, middle = number * step, height // 2
            for ink, width in (((0, 0, 0), 2 * thick), (tuple(colour.tolist()), thick)):
                pen.line((left, middle, left + size, middle), fill=ink, width=width)
            place = (left + round(1.3 * size), middle)
            pen.text(place, text, font=lettering.font(size), fill=lettering.QUIET, anchor="lm")
        return np.asarray(canvas)

    def _colours(self) -> npt.NDArray[np.uint8]:
        return colormaps.coloured(np.array(LINE_COLOURS), colormaps.table(self.colour_map))


class Fog(MapStyle):
    """Clear where the map is high, blurred and in fog elsewhere."""

    meaning = "in fog to clear: less to most likely to be looked at"

    def draw(self, frame: Frame, saliency: Map) -> Frame:
        """See `MapStyle.draw`."""
        ramp = (heatmap.prominence(saliency) / CLEAR).clip(0, 1)
        clear = ramp**2 * (3 - 2 * ramp)
        picture = Image.fromarray(frame)
        blur = ImageFilter.GaussianBlur(FOG_BLUR * math.sqrt(saliency.size))
        veil = Image.new("RGB", picture.size, FOG)
        hidden = Image.blend(picture.filter(blur), veil, self._density())
        mask = Image.fromarray(to_8bit(clear, "nearest"))
        return np.asarray(Image.composite(picture, hidden, mask))

    def swatch(self, size: int) -> Frame:
        """See `MapStyle.swatch`."""
        density = self._density() * np.linspace(1, 0, 256)
        return legend.faded_bar(np.array(FOG), density, ground=legend.PICTURE, size=size)

    def _density(self) -> float:
        return min(1.0, FOG_DEPTH * self.alpha)


class NumberedPeaks(MapStyle):
    """Rings around the peaks, numbered from the highest on, over a faint heat map."""

    meaning = "the most likely places, highest first; the larger the ring, the more likely"

    def draw(self, frame: Frame, saliency: Map) -> Frame:
        """See `MapStyle.draw`."""
        faint = heatmap.overlay(frame, saliency, alpha=0.7 * self.alpha, colour_map=self.colour_map)
        unit = math.sqrt(saliency.size)
        picture = Image.fromarray(faint)
        pen = ImageDraw.Draw(picture)
        for number, peak in enumerate(peaks(saliency), start=1):
            middle = (peak.x + 0.5, peak.y + 0.5)
            radius = max(5.0, RING * unit * math.sqrt(peak.height))
            lettering.ring(picture, middle, radius, max(1.0, 0.006 * unit))
            lettering.centred(pen, middle, str(number), size=max(9, round(1.15 * radius)))
        return np.asarray(picture)

    def swatch(self, size: int) -> Frame:
        """See `MapStyle.swatch`."""
        side = round(1.3 * size)
        canvas = Image.new("RGB", (side + size // 2, side), legend.WHITE)
        middle = (side / 2, side / 2)
        pen = ImageDraw.Draw(canvas)
        pen.ellipse((0, 0, side - 1, side - 1), fill=(90, 95, 105))
        lettering.ring(canvas, middle, side / 2 - 2, max(1.0, size / 14))
        lettering.centred(pen, middle, "1", size=max(8, round(0.7 * size)))
        return np.asarray(canvas)


def _smoothed(saliency: Map) -> Map:
    """The map without its steps; blurred at a moderate size, since it is smooth."""
    height, width = saliency.shape
    shrink = min(1.0, BLURRED_SIDE / max(height, width))
    size = (max(1, round(height * shrink)), max(1, round(width * shrink)))
    small = resize(torch.tensor(saliency)[None], size)
    sigma = max(0.5, SMOOTHING * math.sqrt(size[0] * size[1]))
    blurred, within = gaussian_blur(
        torch.cat([small, torch.ones_like(small)]), sigma, truncate=3.0
    )[:, None]
    blurred = blurred / within  # what lies outside of the picture does not count
    smooth: Map = resize(blurred, (height, width))[0].numpy()
    return smooth


def isolines(saliency: Map) -> list[float]:
    """Values above which the shares `ENCLOSED` of a map's sum lie."""
    falling = np.sort(saliency, axis=None)[::-1].astype(np.float64)
    parts = np.cumsum(falling) / falling.sum()
    return [float(falling[np.searchsorted(parts, part)]) for part in ENCLOSED]


def peaks(saliency: Map) -> Iterator[Peak]:
    """The highest places of a map that are not near a higher one, in falling order."""
    rest = np.array(saliency)
    highest = float(rest.max())
    rows, columns = np.ogrid[: rest.shape[0], : rest.shape[1]]
    near = (PEAK_DISTANCE * math.sqrt(rest.size)) ** 2
    for _ in range(MOST_PEAKS):
        y, x = (int(n) for n in np.unravel_index(rest.argmax(), rest.shape))
        height = float(rest[y, x])
        if height <= FAINTEST_PEAK * highest:
            return
        if _is_top(saliency, y, x):
            yield Peak(x, y, height / highest)
        rest[(rows - y) ** 2 + (columns - x) ** 2 <= near] = 0


def _is_top(saliency: Map, y: int, x: int) -> bool:
    """Whether no neighbour is higher: where a higher peak was taken away, its slope remains."""
    around = saliency[max(0, y - 1) : y + 2, max(0, x - 1) : x + 2]
    return bool(saliency[y, x] >= around.max())
