"""Panels side by side: the picture, the ground truth, and each model's map with its scores."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from PIL import Image

from salcli.render import legend as legends
from salcli.render import styles
from salcli.render.grid import Layout, Panel

if TYPE_CHECKING:
    import numpy.typing as npt

    from salcli.types import Frame

    Map: TypeAlias = npt.NDArray[np.float32]

__all__ = ["Board", "Rated", "Shot"]

IN_A_ROW = 3
"""Up to so many panels are in one row; more of them in a square."""

LARGEST_PICTURE = (65_000, 65_000)
"""`(H, W)` that a JPEG file can nearly hold."""


@dataclass(frozen=True)
class Rated:
    """A model's map of one frame.

    Attributes:
        title: What it is called.
        saliency: `[H, W]`.
        extras: Further maps by name.
        scores: Against the ground truth, by metric; NaN where undefined.
    """

    title: str
    saliency: Map
    extras: Mapping[str, Map] = field(default_factory=dict)
    scores: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Shot:
    """Everything that there is to show of one frame.

    Attributes:
        name: Shown under the picture.
        frame: RGB `[H, W, 3]`.
        density: Ground truth `[H, W]`, if there is one for this frame.
        has_truth: Whether this frame or some beside it have one.
        truth_note: Shown under the ground truth.
        rated: The models' maps.
    """

    name: str
    frame: Frame
    density: Map | None = None
    has_truth: bool = False
    truth_note: str = ""
    rated: Sequence[Rated] = ()


class Board:
    """Lays out panels; all frames of one size, with as much to show, get boards of one size.

    Args:
        look: How maps are drawn.
        labels: Whether there are titles and scores.
        legend: Whether there is a legend, too; only with labels.
        columns: Panels in a row; by default as many as fit well.
        largest: `(H, W)` that a board must not exceed; its panels are shrunk for it.
    """

    def __init__(
        self,
        look: styles.Look,
        *,
        labels: bool = True,
        legend: bool = True,
        columns: int | None = None,
        largest: tuple[int, int] = LARGEST_PICTURE,
    ) -> None:
        self._look = look
        self._labels = labels
        self._legend = legend and labels
        self._columns = columns
        self._largest = largest
        self._sizes: dict[tuple[int, ...], tuple[int, int]] = {}

    def draw(self, shot: Shot) -> Frame:
        """The board `[H', W', 3]` of a frame; both sides are even, as movies need them."""
        full = shot.frame.shape[:2]
        while True:
            size = self._sizes.get(full, full)
            picture = self._drawn(_resized(shot, size))
            factor = min(
                most / side for most, side in zip(self._largest, picture.shape, strict=False)
            )
            if factor >= 1:
                return picture
            height, width = size
            self._sizes[full] = (
                max(1, min(height - 1, int(height * factor))),
                max(1, min(width - 1, int(width * factor))),
            )

    def _drawn(self, shot: Shot) -> Frame:
        panels = list(_panels(shot, self._look))
        columns = min(len(panels), self._columns or _columns(len(panels)))
        layout = Layout(shot.frame.shape[:2], columns, labels=self._labels)
        parts = [
            layout.row(panels[first : first + columns]) for first in range(0, len(panels), columns)
        ]
        several = sum(bool(rated.extras) for rated in shot.rated) > 1
        parts += [
            layout.strip(list(_tiles(shot.frame, rated, self._look, several=several)))
            for rated in shot.rated
            if rated.extras
        ]
        if self._legend:
            parts.append(legends.draw(self._look, size=layout.small, room=layout.room))
        return layout.stacked(parts)


def _columns(panels: int) -> int:
    return panels if panels <= IN_A_ROW else math.ceil(math.sqrt(panels))


def _resized(shot: Shot, size: tuple[int, int]) -> Shot:
    if shot.frame.shape[:2] == size:
        return shot
    picture = Image.fromarray(shot.frame).resize(size[::-1], Image.Resampling.LANCZOS)
    return replace(shot, frame=np.asarray(picture))


def _panels(shot: Shot, look: styles.Look) -> Iterator[Panel]:
    yield Panel(shot.frame, "Original", shot.name)
    if shot.density is not None:
        yield Panel(styles.draw(shot.frame, shot.density, look), "Ground truth", shot.truth_note)
    elif shot.has_truth:
        yield Panel(shot.frame, "No ground truth")
    for rated in shot.rated:
        picture = styles.draw(shot.frame, rated.saliency, look)
        yield Panel(picture, rated.title, scores=rated.scores)


def _tiles(frame: Frame, rated: Rated, look: styles.Look, *, several: bool) -> Iterator[Panel]:
    """The further maps of a model."""
    for name, saliency in rated.extras.items():
        title = f"{rated.title} · {name}" if several else name
        yield Panel(styles.draw(frame, saliency, look), title)
