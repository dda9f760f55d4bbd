"""Legends: samples of colours with a text beside them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw

from salcli.render import colormaps, lettering
from salcli.render.lettering import QUIET, Colour

if TYPE_CHECKING:
    import numpy.typing as npt

    from salcli.types import Frame

__all__ = ["GREY", "PICTURE", "WHITE", "bar", "draw", "faded_bar", "wrapped"]

WHITE: Colour = (255, 255, 255)
GREY = 236
"""Ground under the colours of an overlay: it shines through them, as the picture does."""

PICTURE = (70, 130, 100)
"""Colour that stands for the picture where a style shows it clearly."""


def draw(swatch: Frame, text: str, *, size: int, room: int) -> Frame:
    """Text beside a swatch, or below it if there is no room beside it, `[h, room, 3]`."""
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


def faded_bar(
    colours: npt.NDArray[np.integer],
    opacity: npt.NDArray[np.floating],
    *,
    ground: int | tuple[int, int, int],
    size: int,
) -> Frame:
    """Colours `[N, 3]`, or one `[3]`, at N opacities in [0, 1] over a ground colour."""
    cover = opacity[:, None]
    return bar((colours * cover + np.array(ground) * (1 - cover)).astype(np.uint8), size=size)
