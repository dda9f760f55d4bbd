"""Panels as published programs draw them, for comparison with published pictures.

`unisal`: UNISAL's `visualize_examples`. `tempsal`: the animation on TempSAL's project page.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from PIL import Image, ImageDraw

from salcli.render import colormaps, lettering, styles

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from salcli.panels.board import Shot
    from salcli.types import Frame

    Map: TypeAlias = npt.NDArray[np.float32]
    _Indices: TypeAlias = npt.NDArray[np.int64]

__all__ = ["TempsalPanels", "UnisalPanels", "difference", "hot", "resized_8bit"]

GAP = 12
BAND = 50
LETTERS = 26
"""About the height of UNISAL's letters (Hershey Simplex 0.9)."""

BLACK = (0, 0, 0)

FACTORS = 2048
"""One, in OpenCV's 8-bit bilinear arithmetic."""


@dataclass(frozen=True)
class UnisalPanels:
    """Image; image with ground truth; for each model, its map with the ground truth over it.

    Maps run from their minimum to their maximum through `colour_map`, and cover all of the image
    with `alpha`; the ground truth over a prediction covers with 0.6 alpha. White between.
    """

    alpha: float = 0.55
    colour_map: str = "jet"
    labels: bool = True

    def draw(self, shot: Shot) -> Frame:
        """The panels `[H', W', 3]` of a frame in one row, both sides even as movies need them."""
        panels = [Image.fromarray(panel) for _, panel in self.panels(shot)]
        titles = [title for title, _ in self.panels(shot)]
        height, width = shot.frame.shape[:2]
        band = BAND if self.labels else 0
        whole = len(panels) * (width + GAP) - GAP
        canvas = Image.new("RGB", (whole + whole % 2, height + band + height % 2), (255, 255, 255))
        pen = ImageDraw.Draw(canvas)
        for number, (title, panel) in enumerate(zip(titles, panels, strict=True)):
            left = number * (width + GAP)
            canvas.paste(panel, (left, band))
            if self.labels:
                shown = lettering.fitted(title, LETTERS, width - GAP)
                font = lettering.font(LETTERS)
                pen.text((left + GAP, 30), shown, font=font, fill=BLACK, anchor="ls")
        return np.asarray(canvas)

    def panels(self, shot: Shot) -> Iterator[tuple[str, Frame]]:
        """Title and picture of each panel."""
        yield "Original", shot.frame
        truth = None if shot.density is None else self._levels(shot.density, shot.frame)
        if truth is None:
            yield "No GT", shot.frame
        else:
            yield "GT Map", self._over(shot.frame, truth, self.alpha)
        for number, rated in enumerate(shot.rated):
            levels = self._levels(rated.saliency, shot.frame)
            picture = self._over(shot.frame, levels, self.alpha)
            title = rated.title if number else "Pred" if truth is not None else "Prediction"
            if truth is not None:
                picture = self._over(picture, truth, 0.6 * self.alpha)
                title += " + GT"
            yield title, picture

    def _levels(self, saliency: Map, frame: Frame) -> npt.NDArray[np.uint8]:
        """8-bit levels from the map's minimum to its maximum, at the size of the frame."""
        spread = saliency - saliency.min()
        peak = spread.max()
        levels = (255 * (spread / peak if peak > 0 else spread)).astype(np.uint8)
        return resized_8bit(levels, (frame.shape[0], frame.shape[1]))

    def _over(self, frame: Frame, levels: npt.NDArray[np.uint8], alpha: float) -> Frame:
        inks = colormaps.coloured(levels / 255, colormaps.table(self.colour_map))
        blended: Frame = np.rint((1 - alpha) * frame + alpha * inks).astype(np.uint8)
        return blended


@dataclass(frozen=True)
class TempsalPanels:
    """Heat and spotlight of the ground truth, of the prediction, and difference and image.

    These are three rows of two. Without a ground truth there are heat and spotlight of the
    prediction, and the image. Further models add rows.
    """

    def draw(self, shot: Shot) -> Frame:
        """The panels `[H', W', 3]` of a frame without space between, both sides even."""
        look = styles.Look("spotlight")
        rows: list[tuple[Frame, Frame]] = []
        if shot.density is not None:
            rows.append((hot(shot.density), styles.draw(shot.frame, shot.density, look)))
        for rated in shot.rated:
            rows.append((hot(rated.saliency), styles.draw(shot.frame, rated.saliency, look)))
            if shot.density is not None:
                rows.append((difference(shot.density, rated.saliency), shot.frame))
        if shot.density is None:
            rows.append((shot.frame, np.zeros_like(shot.frame)))
        whole = np.concatenate([np.concatenate(row, axis=1) for row in rows])
        odd = whole.shape[0] % 2, whole.shape[1] % 2
        return np.pad(whole, ((0, odd[0]), (0, odd[1]), (0, 0)))


def hot(saliency: Map) -> Frame:
    """TempSAL's heat picture `[H, W, 3]`: levels truncated to 8 bit, in OpenCV's colours HOT."""
    peak = saliency.max()
    levels = (255 * (saliency / (peak if peak > 0 else 1))).astype(np.uint8)
    return colormaps.coloured(levels / 255, colormaps.table("hot"))


def difference(truth: Map, saliency: Map) -> Frame:
    """0.5 + (truth - prediction) / 2, each with peak 1, in OpenCV's colours TWILIGHT."""
    first, second = (map_ / (map_.max() if map_.max() > 0 else 1) for map_ in (truth, saliency))
    fine = colormaps.table("twilight").astype(np.float64)
    steps = np.linspace(0, len(fine) - 1, 256)
    table = [np.interp(steps, np.arange(len(fine)), channel) for channel in fine.T]
    levels = (255 * (0.5 + (first - second) / 2)).astype(np.uint8)
    found: Frame = np.rint(np.stack(table, axis=1)).astype(np.uint8)[levels]
    return found


def resized_8bit(levels: npt.NDArray[np.uint8], size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """Levels `[h, w]` at `(H, W)` by OpenCV's bilinear arithmetic for 8 bit.

    Factors are whole 2048ths, and bits are dropped before the sum of two rows: that moves levels by
    one, and colours of JET by four.
    """
    (top, bottom, down), (left, right, across) = (
        _neighbours(n, wanted) for n, wanted in zip(levels.shape, size, strict=True)
    )
    wide = levels.astype(np.int64)
    rows = (wide[:, left] * (FACTORS - across) + wide[:, right] * across) >> 4
    upper, lower = (FACTORS - down)[:, None] * rows[top], down[:, None] * rows[bottom]
    return (((upper >> 16) + (lower >> 16) + 2) >> 2).astype(np.uint8)


def _neighbours(n: int, wanted: int) -> tuple[_Indices, _Indices, _Indices]:
    """For each wanted place the two places around it, and the factor of the second."""
    places = (np.arange(wanted) + 0.5) * n / wanted - 0.5
    first = np.floor(places).astype(np.int64)
    factors = np.rint((places - first) * FACTORS).astype(np.int64)
    return first.clip(0, n - 1), (first + 1).clip(0, n - 1), factors
