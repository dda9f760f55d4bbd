"""Many small maps as one grey picture, and the colours in which the page shows them."""

from __future__ import annotations

import base64
import io
import math
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from salcli.maps import to_8bit
from salcli.media import images
from salcli.render import colormaps, heatmap

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

__all__ = ["Tiles", "data_url", "levels", "palette", "read_logo", "shrunk"]

WIDEST = 8192
"""Longest side of a picture that every browser decodes, in pixels."""

LOGO = (512, 128)
"""Limits of a logo's width and height."""


class Tiles:
    """Maps of one size as 256 levels of prominence, in order."""

    def __init__(self) -> None:
        self._levels: list[npt.NDArray[np.uint8] | None] = []

    def add(self, found: npt.NDArray[np.uint8] | None) -> None:
        """Append a result of `levels`; `None` for a moment without a map, which stays clear."""
        self._levels.append(found)

    def document(self) -> dict[str, Any]:
        """The argument of `paint` in `script.js`."""
        height, width = next(found.shape for found in self._levels if found is not None)
        columns = min(len(self._levels), max(1, WIDEST // width))
        rows = math.ceil(len(self._levels) / columns)
        sheet = np.zeros((rows * height, columns * width), np.uint8)
        for index, found in enumerate(self._levels):
            top, left = index // columns * height, index % columns * width
            if found is not None:
                sheet[top : top + height, left : left + width] = found
        source = data_url(Image.fromarray(sheet), "png")
        return {"source": source, "columns": columns, "width": width, "height": height}


def levels(saliency: npt.NDArray[np.float32], side: int) -> npt.NDArray[np.uint8]:
    """A map `[H, W]`, not negative, as 256 levels, its longer side at most `side`."""
    return to_8bit(heatmap.prominence(shrunk(saliency, side)).clip(0, 1), "nearest")


def shrunk(saliency: npt.NDArray[np.float32], side: int) -> npt.NDArray[np.float32]:
    """A map `[H, W]` whose longer side is at most `side`; each value is the mean of its place."""
    height, width = saliency.shape
    scale = min(1.0, side / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(Image.fromarray(saliency).resize(size, Image.Resampling.BOX))


def data_url(picture: Image.Image, kind: str) -> str:
    """The picture as a `data:` URL; `kind` is `png` or `jpeg`."""
    file = io.BytesIO()
    picture.save(file, kind, **({"quality": 85} if kind == "jpeg" else {"optimize": True}))
    return f"data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode()}"


def read_logo(path: Path) -> str:
    """A picture of a file as a small `data:` URL; what is transparent stays so.

    Raises:
        InputError: It is no picture.
    """
    images.read(path)  # says what is wrong with it
    with Image.open(path) as picture:
        small = picture.convert("RGBA")
    small.thumbnail(LOGO)
    return data_url(small, "png")


def palette(colour_map: str = colormaps.DEFAULT) -> dict[str, Any]:
    """Colour and opacity (0 ... 255) of each level of prominence."""
    table, cover = heatmap.cover_tables(colour_map, 1.0)
    return {"colours": table.tolist(), "cover": cover.tolist()}
