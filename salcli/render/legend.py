"""What the colours of a style mean, as a picture to put under it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw

from salcli.render import colormaps, heatmap, lettering, spotlight, styles
from salcli.render.lettering import QUIET, Colour

if TYPE_CHECKING:
    from salcli.types import Frame

__all__ = ["WHITE", "bar", "beside", "draw", "wrapped"]

WHITE: Colour = (255, 255, 255)
GROUND = 236
"""Grey on which the colours of an overlay are shown: it is seen through them, as the picture is."""

CLEAR = (70, 130, 100)
"""What stands for the picture where a style shows it clearly."""

MEANINGS = {
    "heat": "less to most likely to be looked at; each map from its median to its own peak",
    "contour": "of all attention lies within the line; darker outside of the outermost",
    "fog": "in fog to clear: less to most likely to be looked at",
    "peaks": "the most likely places, highest first; the larger the ring, the more likely",
    "spotlight": "dark and grey to bright and coloured: less to most likely to be looked at",
}


def draw(look: styles.Look, *, size: int, room: int) -> Frame:
    """The legend of a look `[h, room, 3]` in letters of `size` pixels."""
    return beside(SWATCHES[look.style](look, size), MEANINGS[look.style], size=size, room=room)


def beside(swatch: Frame, text: str, *, size: int, room: int) -> Frame:
    """Text beside a picture, or below it if that is too wide, `[h, room, 3]`."""
    gap = size // 2
    left_over = room - swatch.shape[1] - gap
    narrow = left_over < room // 2
    lines = list(wrapped(text, size, room if narrow else left_over))
    line_height = round(1.3 * size)
    top = swatch.shape[0] + gap if narrow else 0
    canvas = Image.new("RGB", (room, max(swatch.shape[0], top + line_height * len(lines))), WHITE)
    canvas.paste(Image.fromarray(swatch[:, :room]), (0, 0))
    pen = ImageDraw.Draw(canvas)
    left = 0 if narrow else swatch.shape[1] + gap
    for number, line in enumerate(lines):
        middle = top + round((number + 0.5) * line_height)
        pen.text((left, middle), line, font=lettering.font(size), fill=QUIET, anchor="lm")
    return np.asarray(canvas)


def wrapped(text: str, size: int, room: int) -> Iterator[str]:
    """The text in lines of at most `room` pixels; a single wider word is shortened."""
    line = ""
    for word in text.split():
        longer = f"{line} {word}".strip()
        if line and lettering.width(longer, size) > room:
            yield line
            longer = word
        line = lettering.fitted(longer, size, room)
    if line:
        yield line


def bar(table: colormaps.Table, *, size: int) -> Frame:
    """All colours of a table side by side."""
    steps = np.linspace(0, 1, 8 * size, endpoint=False)
    return np.repeat(colormaps.coloured(steps, table)[None], round(1.3 * size), axis=0)


def _heat(look: styles.Look, size: int) -> Frame:
    covering, cover = heatmap.cover_tables(look.colour_map, look.alpha)
    opacity = cover[:, None] / 255
    return bar((covering * opacity + GROUND * (1 - opacity)).astype(np.uint8), size=size)


def _contour(look: styles.Look, size: int) -> Frame:
    """A line of each colour, with the part that it encloses."""
    height = round(1.3 * size)
    texts = [f"{100 * part:.0f} %" for part in styles.ENCLOSED]
    step = 2 * size + max(lettering.width(text, size) for text in texts)
    canvas = Image.new("RGB", (step * len(texts), height), WHITE)
    pen = ImageDraw.Draw(canvas)
    table = colormaps.table(look.colour_map)
    for number, (text, place) in enumerate(zip(texts, styles.LINE_COLOURS, strict=True)):
        left = number * step
        thick = max(1, size // 5)
        for ink, width in (((0, 0, 0), 2 * thick), (_ink(table, place), thick)):
            pen.line((left, height // 2, left + size, height // 2), fill=ink, width=width)
        place_of_text = (left + round(1.3 * size), height // 2)
        pen.text(place_of_text, text, font=lettering.font(size), fill=QUIET, anchor="lm")
    return np.asarray(canvas)


def _ink(table: colormaps.Table, place: float) -> Colour:
    red, green, blue = (int(n) for n in colormaps.coloured(np.array([place]), table)[0])
    return red, green, blue


def _fog(look: styles.Look, size: int) -> Frame:
    density = min(1.0, styles.FOG_DEPTH * look.alpha) * np.linspace(1, 0, 256)[:, None]
    return bar((np.array(styles.FOG) * density + CLEAR * (1 - density)).astype(np.uint8), size=size)


def _peaks(look: styles.Look, size: int) -> Frame:
    del look
    side = round(1.3 * size)
    canvas = Image.new("RGB", (side + size // 2, side), WHITE)
    middle = (side / 2, side / 2)
    ImageDraw.Draw(canvas).ellipse((0, 0, side - 1, side - 1), fill=(90, 95, 105))
    lettering.ring(canvas, middle, side / 2 - 2, max(1.0, size / 14))
    lettering.centred(ImageDraw.Draw(canvas), middle, "1", size=max(8, round(0.7 * size)))
    return np.asarray(canvas)


def _spotlight(look: styles.Look, size: int) -> Frame:
    ramp = np.linspace(0, 1, 512, dtype=np.float32)[None]
    picture = np.full((1, 512, 3), CLEAR, np.uint8)
    return bar(spotlight.draw(picture, ramp)[0, :256], size=size)


SWATCHES: dict[str, Callable[[styles.Look, int], Frame]] = {
    "heat": _heat,
    "contour": _contour,
    "fog": _fog,
    "peaks": _peaks,
    "spotlight": _spotlight,
}
