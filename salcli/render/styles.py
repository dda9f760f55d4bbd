"""Ways to show a saliency map on its picture.

Every style is a function of the picture `[H, W, 3]`, its map `[H, W]` and a `Look`, and gives a
picture of the same size. Lengths grow with the picture, so that it looks alike at every size.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFilter

from salcli.maps import gaussian_blur, resize, to_8bit
from salcli.render import colormaps, heatmap, lettering, spotlight

if TYPE_CHECKING:
    import numpy.typing as npt

    from salcli.types import Frame

    Map: TypeAlias = npt.NDArray[np.float32]

__all__ = ["ENCLOSED", "STYLES", "Look", "Peak", "draw", "isolines", "peaks"]

ENCLOSED = (0.25, 0.5, 0.75, 0.9)
"""Parts of all saliency that the lines of `contour` enclose, from the inside out."""

LINE_COLOURS = (0.93, 0.78, 0.6, 0.42)
"""Where in the colour table their colours are: the innermost is the lightest."""

LINE_WIDTH = 0.005
"""Of a line, in parts of the picture's size, which is the root of its area."""

BORDER = np.zeros(3, np.uint8)
"""Colour around lines, so that they are seen on any picture."""

SHADE = 0.6
"""How dark it is beyond the outermost line, in parts of alpha."""

SMOOTHING = 0.006
"""Sigma of the blur before lines are drawn, in the same unit: 8-bit maps have steps."""

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
"""Peaks below this part of the highest are left out."""

PEAK_DISTANCE = 0.16
"""Nearer peaks count as one; in parts of the picture's size."""

RING = 0.035
"""Radius of the ring around the highest peak, in the same unit."""


@dataclass(frozen=True)
class Look:
    """How maps are drawn.

    Attributes:
        style: One of `STYLES`.
        alpha: Opacity where a map covers the picture most, in [0, 1].
        colour_map: See `salcli.render.colormaps.table`.
    """

    style: str = "heat"
    alpha: float = 0.55
    colour_map: str = colormaps.DEFAULT


@dataclass(frozen=True)
class Peak:
    """A place that is more salient than what is around it.

    Attributes:
        x, y: Column and row.
        height: In parts of the highest peak.
    """

    x: int
    y: int
    height: float


def draw(frame: Frame, saliency: Map, look: Look) -> Frame:
    """The picture `[H, W, 3]` with its map `[h, w]` in the style of the look."""
    return STYLES[look.style](frame, heatmap.fitted(saliency, frame.shape[:2]), look)


def heat(frame: Frame, saliency: Map, look: Look) -> Frame:
    """Colours over what is more salient than the median."""
    return heatmap.overlay(frame, saliency, alpha=look.alpha, colour_map=look.colour_map)


def contour(frame: Frame, saliency: Map, look: Look) -> Frame:
    """Lines that enclose parts of all saliency; darker beyond the outermost one."""
    if saliency.max() <= saliency.min():
        return frame
    unit = math.sqrt(saliency.size)
    smooth = _smoothed(saliency)
    slope = np.hypot(*np.gradient(smooth))
    levels = isolines(smooth)
    shade = (smooth < levels[-1])[..., None] * np.float32(SHADE * look.alpha)
    canvas = frame * (1 - shade)
    width = max(1.0, LINE_WIDTH * unit)
    table = colormaps.table(look.colour_map)
    for level, place in zip(reversed(levels), reversed(LINE_COLOURS), strict=True):
        distance = np.abs(smooth - level) / np.maximum(slope, 1e-9)
        line = colormaps.coloured(np.array([place]), table)[0]
        for ink, opacity, thick in ((BORDER, 0.6, 2.2 * width), (line, 1.0, width)):
            part = opacity * (thick / 2 + 0.5 - distance).clip(0, 1)[..., None]
            canvas += part * (ink - canvas)
    return (canvas + 0.5).astype(np.uint8)


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
    """Values above which the parts `ENCLOSED` of a map's sum lie."""
    falling = np.sort(saliency, axis=None)[::-1].astype(np.float64)
    parts = np.cumsum(falling) / falling.sum()
    return [float(falling[np.searchsorted(parts, part)]) for part in ENCLOSED]


def fog(frame: Frame, saliency: Map, look: Look) -> Frame:
    """Clear where the map is high, blurred and in fog elsewhere."""
    ramp = (heatmap.prominence(saliency) / CLEAR).clip(0, 1)
    clear = ramp**2 * (3 - 2 * ramp)
    picture = Image.fromarray(frame)
    blur = ImageFilter.GaussianBlur(FOG_BLUR * math.sqrt(saliency.size))
    veil = Image.new("RGB", picture.size, FOG)
    hidden = Image.blend(picture.filter(blur), veil, min(1.0, FOG_DEPTH * look.alpha))
    mask = Image.fromarray(to_8bit(clear, "nearest"))
    return np.asarray(Image.composite(picture, hidden, mask))


def numbered(frame: Frame, saliency: Map, look: Look) -> Frame:
    """Rings around the peaks, numbered from the highest on, over a faint heat map."""
    faint = heatmap.overlay(frame, saliency, alpha=0.7 * look.alpha, colour_map=look.colour_map)
    unit = math.sqrt(saliency.size)
    # drawn large and shrunk, because Pillow draws without antialiasing
    picture = Image.fromarray(faint)
    pen = ImageDraw.Draw(picture)
    for number, peak in enumerate(peaks(saliency), start=1):
        radius = max(5.0, RING * unit * math.sqrt(peak.height))
        lettering.ring(picture, (peak.x + 0.5, peak.y + 0.5), radius, max(1.0, 0.006 * unit))
        lettering.centred(
            pen, (peak.x + 0.5, peak.y + 0.5), str(number), size=max(9, round(1.15 * radius))
        )
    return np.asarray(picture)


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


def spotlit(frame: Frame, saliency: Map, look: Look) -> Frame:
    """TempSAL's pictures: grey and dark where the map is low. `look` does not matter."""
    del look
    return spotlight.draw(frame, saliency)


STYLES: Mapping[str, Callable[[Frame, Map, Look], Frame]] = {
    "heat": heat,
    "contour": contour,
    "fog": fog,
    "peaks": numbered,
    "spotlight": spotlit,
}
