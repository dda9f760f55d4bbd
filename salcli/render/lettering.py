"""Text and marks in pictures, in the typeface that Pillow brings (Aileron)."""

from __future__ import annotations

import math
from functools import cache
from typing import TypeAlias

from PIL import Image, ImageDraw, ImageFont, features

from salcli.errors import OutputError

__all__ = ["INK", "QUIET", "Colour", "centred", "fitted", "font", "ring", "width"]

Colour: TypeAlias = tuple[int, int, int]

INK: Colour = (24, 26, 31)
QUIET: Colour = (96, 101, 112)
"""Of secondary text; its contrast to white is above 5 to 1."""

HALO: Colour = (0, 0, 0)
MARK: Colour = (255, 255, 255)

OVERSAMPLED = 4
"""Marks are drawn this many times larger and then shrunk: Pillow draws without antialiasing."""


@cache
def font(size: int) -> ImageFont.FreeTypeFont:
    """The typeface at a size in pixels.

    Raises:
        OutputError: This Pillow cannot draw text.
    """
    if not features.check("freetype2"):
        raise OutputError(
            "this Pillow cannot draw text (it lacks FreeType); reinstall it, or draw without labels"
        )
    found = ImageFont.load_default(size)
    assert isinstance(found, ImageFont.FreeTypeFont)
    return found


def width(text: str, size: int) -> int:
    """Width of a text in pixels."""
    return math.ceil(font(size).getlength(text))


def fitted(text: str, size: int, room: int) -> str:
    """The text, shortened by an ellipsis in its middle if it is wider than `room` pixels."""
    if width(text, size) <= room:
        return text
    for kept in range(len(text) - 1, 0, -1):
        head = (kept + 1) // 2
        shorter = f"{text[:head].rstrip()}…{text[len(text) - (kept - head) :].lstrip()}"
        if width(shorter, size) <= room:
            return shorter
    return ""


def centred(pen: ImageDraw.ImageDraw, place: tuple[float, float], text: str, *, size: int) -> None:
    """White text with a dark border, its middle at (x, y): readable on any picture."""
    pen.text(
        place,
        text,
        font=font(size),
        fill=MARK,
        anchor="mm",
        stroke_width=max(1, round(size / 10)),
        stroke_fill=HALO,
    )


def ring(picture: Image.Image, place: tuple[float, float], radius: float, thickness: float) -> None:
    """A white ring with a dark border around (x, y)."""
    for colour, thick in ((HALO, 2.0 * thickness), (MARK, thickness)):
        outer = radius + thick / 2
        reach = math.ceil(outer) + 1
        left, top = math.floor(place[0]) - reach, math.floor(place[1]) - reach
        side = (2 * reach + 1) * OVERSAMPLED
        mask = Image.new("L", (side, side))
        x, y = ((place[0] - left) * OVERSAMPLED, (place[1] - top) * OVERSAMPLED)
        far = outer * OVERSAMPLED
        ImageDraw.Draw(mask).ellipse(
            (x - far, y - far, x + far, y + far),
            outline=255,
            width=max(1, round(thick * OVERSAMPLED)),
        )
        mask = mask.resize((side // OVERSAMPLED, side // OVERSAMPLED), Image.Resampling.BOX)
        picture.paste(colour, (left, top), mask)
