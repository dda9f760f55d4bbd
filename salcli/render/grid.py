"""The layout of panels and their texts, in pixels."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw

from salcli.render import lettering
from salcli.render.legend import WHITE
from salcli.render.lettering import INK, QUIET, Colour

if TYPE_CHECKING:
    from salcli.types import Frame

__all__ = ["Layout", "Panel"]

LETTERS = 0.036
"""Size of the letters, as a fraction of a panel's size, which is the root of its area: they are
readable wherever the panel is."""

SMALLEST_LETTERS = 11
NARROWEST = 15
"""Least width of a column, in sizes of the letters, for tiny pictures."""

WIDEST_VALUE = "0.0000"
"""Room for a score and the gap to the next."""


@dataclass(frozen=True)
class Panel:
    """One picture with its texts.

    Attributes:
        picture: RGB `[h, w, 3]`.
        title: Above it.
        note: Below it.
        scores: Below the note.
    """

    picture: Frame
    title: str = ""
    note: str = ""
    scores: Mapping[str, float] = field(default_factory=dict)


class Layout:
    """Lays out panels of one size `(H, W)`.

    Attributes:
        room: Width inside the margins.
        small: Size of the letters below the panels.
    """

    def __init__(self, size: tuple[int, int], columns: int, *, labels: bool) -> None:
        self._height, self._width = size
        self._labels = labels
        self._letters = max(SMALLEST_LETTERS, round(LETTERS * math.sqrt(size[0] * size[1])))
        self.small = max(SMALLEST_LETTERS, round(0.85 * self._letters))
        self._gap = max(2, round(0.7 * self._letters))
        self._line = round(1.35 * self.small)
        self._column = max(self._width, NARROWEST * self._letters if labels else 0)
        self.room = columns * self._column + (columns - 1) * self._gap

    def row(self, panels: Sequence[Panel]) -> Frame:
        """Panels side by side, all with the same room for the texts below them."""
        band = round(1.6 * self._letters) if self._labels else 0
        names = max((panel.scores for panel in panels), key=len)
        cells = self._cells(names)
        lines = max([bool(panel.note) for panel in panels] + [line + 1 for _, line in cells])
        under = lines * self._line + self._gap // 3 if self._labels and lines else 0
        canvas = Image.new("RGB", (self.room, band + self._height + under), WHITE)
        pen = ImageDraw.Draw(canvas)
        for number, panel in enumerate(panels):
            left = number * (self._column + self._gap)
            inset = (self._column - self._width) // 2
            canvas.paste(Image.fromarray(panel.picture), (left + inset, band))
            if not self._labels:
                continue
            self._write(pen, (left, round(0.45 * band)), panel.title, size=self._letters, ink=INK)
            top = band + self._height + self._gap // 3
            self._write(pen, (left, top + self._line // 2), panel.note, size=self.small, ink=QUIET)
            for (inset, line), (name, value) in zip(cells, panel.scores.items(), strict=False):
                self._score(pen, (left + inset, top + line * self._line), name, value)
        return np.asarray(canvas)

    def strip(self, tiles: Sequence[Panel]) -> Frame:
        """Smaller panels side by side over the whole width, none larger than a panel."""
        count = len(tiles)
        width = min(self._width, (self.room - (count - 1) * self._gap) // count)
        height = max(1, round(self._height * width / self._width))
        band = self._line + self._gap // 2 if self._labels else 0
        canvas = Image.new("RGB", (self.room, band + height), WHITE)
        pen = ImageDraw.Draw(canvas)
        for number, tile in enumerate(tiles):
            left = number * (width + self._gap)
            picture = Image.fromarray(tile.picture)
            canvas.paste(picture.resize((width, height), Image.Resampling.BOX), (left, band))
            if self._labels:
                title = lettering.fitted(tile.title, self.small, width)
                self._write(pen, (left, self._line // 2), title, size=self.small, ink=INK)
        return np.asarray(canvas)

    def stacked(self, parts: Sequence[Frame]) -> Frame:
        """All parts below each other, on white with margins; both sides are even."""
        margin = self._gap if self._labels else 0
        height = sum(len(part) for part in parts) + self._gap * (len(parts) - 1) + 2 * margin
        width = self.room + 2 * margin
        canvas = np.full((height + height % 2, width + width % 2, 3), 255, np.uint8)
        top = margin
        for part in parts:
            canvas[top : top + len(part), margin : margin + part.shape[1]] = part
            top += len(part) + self._gap
        return canvas

    def _cells(self, names: Iterable[str]) -> list[tuple[int, int]]:
        """The place of each score: pixels from the left, and line; constant over a clip."""
        places = []
        left = line = 0
        for name in names:
            cell = lettering.width(f"{name} {WIDEST_VALUE}", self.small)
            if left and left + cell > self._column:
                left, line = 0, line + 1
            places.append((left, line))
            left += cell + self.small // 2
        return places

    def _score(
        self, pen: ImageDraw.ImageDraw, place: tuple[int, int], name: str, value: float
    ) -> None:
        left, top = place
        middle = top + self._line // 2
        self._write(pen, (left, middle), name, size=self.small, ink=QUIET)
        shown = "-" if math.isnan(value) else f"{value:.3f}"
        left += lettering.width(f"{name} ", self.small)
        self._write(pen, (left, middle), shown, size=self.small, ink=INK)

    def _write(
        self,
        pen: ImageDraw.ImageDraw,
        place: tuple[int, int],
        text: str,
        *,
        size: int,
        ink: Colour,
    ) -> None:
        shown = lettering.fitted(text, size, self._column)
        pen.text(place, shown, font=lettering.font(size), fill=ink, anchor="lm")
