"""Many small maps as one grey picture, and the colours in which a page shows them."""

from __future__ import annotations

import base64
import io
import math
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from salcli import colours, imageops, render

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["Tiles", "data_url", "palette"]

WIDEST = 8192
"""Pixels of a picture's side that every browser decodes."""


class Tiles:
    """Maps of one size, in order; each is kept as 256 levels of prominence."""

    def __init__(self) -> None:
        self._levels: list[npt.NDArray[np.uint8]] = []

    def __len__(self) -> int:
        return len(self._levels)

    def add(self, saliency: npt.NDArray[np.float32]) -> None:
        """Append a map `[h, w]`, not negative."""
        shown = render.prominence(saliency).clip(0, 1)
        self._levels.append(imageops.to_8bit(shown, "nearest"))

    def thin(self) -> None:
        """Keep every second map, from the first on."""
        self._levels = self._levels[::2]

    def document(self) -> dict[str, Any]:
        """What the page's `paint` takes."""
        height, width = self._levels[0].shape
        columns = min(len(self), max(1, WIDEST // width))
        rows = math.ceil(len(self) / columns)
        sheet = np.zeros((rows * height, columns * width), np.uint8)
        for index, levels in enumerate(self._levels):
            top, left = index // columns * height, index % columns * width
            sheet[top : top + height, left : left + width] = levels
        source = data_url(Image.fromarray(sheet), "png")
        return {"source": source, "columns": columns, "width": width, "height": height}


def data_url(picture: Image.Image, kind: str) -> str:
    """The picture inside a URL; `kind` is `png` or `jpeg`."""
    file = io.BytesIO()
    picture.save(file, kind, **({"quality": 85} if kind == "jpeg" else {"optimize": True}))
    return f"data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode()}"


def palette(colour_map: str = colours.DEFAULT) -> dict[str, Any]:
    """Colour and opacity (0 ... 255) of each level of prominence."""
    table, cover = render.cover_tables(colour_map, 1.0)
    return {"colours": table.tolist(), "cover": cover.tolist()}
