"""Feature maps of a layer as one picture."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from salcli.authoring import atomic, png, stretch, to_8bit

if TYPE_CHECKING:
    import numpy.typing as npt
    from torch import Tensor

__all__ = ["draw", "save"]

GAP, GREY = 1, 96
"""Width in pixels and brightness of the lines between tiles."""


def draw(maps: Tensor) -> npt.NDArray[np.uint8]:
    """Maps `[C, h, w]` as tiles of a nearly square sheet, each stretched from black to white."""
    channels, height, width = maps.shape
    columns = min(channels, max(1, round(math.sqrt(channels * height / width))))
    rows = -(-channels // columns)
    tiles = to_8bit(stretch(maps).cpu().numpy(), "nearest")
    sheet = np.full((rows * (height + GAP) - GAP, columns * (width + GAP) - GAP), GREY, np.uint8)
    for index, tile in enumerate(tiles):
        row, column = divmod(index, columns)
        top, left = row * (height + GAP), column * (width + GAP)
        sheet[top : top + height, left : left + width] = tile
    return sheet


def save(path: Path, maps: Tensor) -> None:
    """Write the sheet as PNG.

    Raises:
        OutputError: The file cannot be written.
    """
    atomic.write(path, png.encode(draw(maps)))
