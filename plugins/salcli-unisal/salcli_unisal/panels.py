"""Panels as UNISAL's `visualize_examples` draws them, for comparison with published pictures."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw

from salcli.authoring import colormaps, lettering, resample

if TYPE_CHECKING:
    import numpy.typing as npt

    from salcli import Frame
    from salcli.authoring import ComparedFrame, Look

__all__ = ["UnisalPanels"]

GAP = 12
BAND = 50
LETTERS = 26
"""About the height of UNISAL's letters (Hershey Simplex 0.9)."""

BLACK = (0, 0, 0)


class UnisalPanels:
    """Image; image with ground truth; for each model, its map with the ground truth over it.

    Maps are stretched from minimum to maximum over the colours, and cover the whole image with the
    look's alpha; the ground truth over a prediction has 0.6 alpha. Panels are separated by white.
    """

    def __init__(self, look: Look) -> None:
        self._alpha = look.alpha
        self._colours = colormaps.table(look.colour_map or "jet")
        self._labels = look.labels

    def draw(self, compared: ComparedFrame) -> Frame:
        """The panels `[H', W', 3]` of a frame in one row; both sides are even."""
        panels = list(self.panels(compared))
        height, width = compared.picture.shape[:2]
        band = BAND if self._labels else 0
        whole = len(panels) * (width + GAP) - GAP
        canvas = Image.new("RGB", (whole + whole % 2, height + band + height % 2), (255, 255, 255))
        pen = ImageDraw.Draw(canvas)
        for number, (title, panel) in enumerate(panels):
            left = number * (width + GAP)
            canvas.paste(Image.fromarray(panel), (left, band))
            if self._labels:
                shown = lettering.fitted(title, LETTERS, width - GAP)
                font = lettering.font(LETTERS)
                pen.text((left + GAP, 30), shown, font=font, fill=BLACK, anchor="ls")
        return np.asarray(canvas)

    def panels(self, compared: ComparedFrame) -> Iterator[tuple[str, Frame]]:
        """Title and picture of each panel."""
        picture = compared.picture
        yield "Original", picture
        truth = None if compared.density is None else _levels(compared.density, picture)
        if truth is None:
            yield "No GT", picture
        else:
            yield "GT Map", self._over(picture, truth, self._alpha)
        for number, scored in enumerate(compared.maps):
            drawn = self._over(picture, _levels(scored.saliency, picture), self._alpha)
            title = scored.title if number else "Pred" if truth is not None else "Prediction"
            if truth is not None:
                drawn = self._over(drawn, truth, 0.6 * self._alpha)
                title += " + GT"
            yield title, drawn

    def _over(self, picture: Frame, levels: npt.NDArray[np.uint8], alpha: float) -> Frame:
        inks = colormaps.coloured(levels / 255, self._colours)
        blended: Frame = np.rint((1 - alpha) * picture + alpha * inks).astype(np.uint8)
        return blended


def _levels(saliency: npt.NDArray[np.float32], picture: Frame) -> npt.NDArray[np.uint8]:
    """8-bit levels from the map's minimum to its maximum, at the picture's size as OpenCV does."""
    spread = saliency - saliency.min()
    peak = spread.max()
    levels = (255 * (spread / peak if peak > 0 else spread)).astype(np.uint8)
    return resample(levels, (picture.shape[0], picture.shape[1]), "bilinear")
