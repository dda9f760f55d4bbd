"""Panels side by side: the picture, the ground truth, and each model's map with its scores."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol, TypeAlias

import numpy as np
from PIL import Image

from salcli.plugins import registry
from salcli.render import heatmap, legend
from salcli.render.grid import Layout, Panel
from salcli.specs import resolve
from salcli.types import Result

if TYPE_CHECKING:
    import numpy.typing as npt

    from salcli.render.styles import Look, MapStyle
    from salcli.types import Frame

    Map: TypeAlias = npt.NDArray[np.float32]

__all__ = ["ComparedFrame", "PanelBoard", "Panels", "ScoredMap", "open_panels"]

IN_A_ROW = 3
"""Up to this many panels stand in one row; more of them form a square."""

LARGEST_PICTURE = (65_000, 65_000)
"""`(H, W)` just below the limit of JPEG files."""


@dataclass(frozen=True)
class ScoredMap:
    """A model's map of one frame.

    Attributes:
        title: The model's label.
        saliency: float32 `[H, W]`, not negative.
        extras: Further maps of the model by name.
        scores: Against the ground truth, by metric; NaN where undefined.
    """

    title: str
    saliency: Map
    extras: Mapping[str, Map] = field(default_factory=dict)
    scores: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class ComparedFrame:
    """One frame with its ground truth and the maps of several models.

    Attributes:
        name: Shown under the picture.
        picture: RGB uint8 `[H, W, 3]`.
        density: Ground truth, float32 `[H, W]`, not negative; `None` if this frame has none.
        has_truth: Whether this frame or others of its input have a ground truth.
        truth_note: Shown under the ground truth.
        maps: One per model.
        index, label, time: See `salcli.types.Result`.
    """

    name: str
    picture: Frame
    density: Map | None = None
    has_truth: bool = False
    truth_note: str = ""
    maps: Sequence[ScoredMap] = ()
    index: int = 0
    label: str = ""
    time: float | None = None

    def result(self, picture: Frame) -> Result:
        """The first model's result, carrying `picture` as its frame, as movies take it."""
        return Result(self.index, self.label, self.time, self.maps[0].saliency, frame=picture)


class Panels(Protocol):
    """Draws a frame with its maps; frames of one size with as many maps give pictures of one size.

    A plugin's own panels (a `StyleSpec` that draws panels) have this method.
    """

    def draw(self, compared: ComparedFrame) -> Frame:
        """The picture, RGB uint8 `[H', W', 3]`; both sides are even, as movies need them."""


def open_panels(
    style: str,
    look: Look,
    *,
    columns: int | None = None,
    largest: tuple[int, int] = LARGEST_PICTURE,
    show_legend: bool = True,
) -> Panels:
    """The panels of a style by its name; published panels keep their own size and layout.

    Args:
        style: Name of a registered style.
        look: Opacity, colours, labels.
        columns: See `PanelBoard`, as for what follows; without effect on a plugin's own panels.
        largest: `(H, W)` that a picture must not exceed.
        show_legend: Whether to draw a legend.

    Raises:
        UnknownName: There is no such style.
        PluginError: The plugin that brings it is broken.
    """
    spec = registry.style(style)
    drawer = resolve(spec.factory)(look)
    if spec.draws == "panels":
        panels: Panels = drawer
        return panels
    return PanelBoard(
        drawer, labels=look.labels, show_legend=show_legend, columns=columns, largest=largest
    )


class PanelBoard:
    """Lays out panels; all frames of one size with as many maps give boards of one size.

    Args:
        style: Draws the maps.
        labels: Whether to write titles and scores.
        show_legend: Whether to draw a legend, too; only with labels.
        columns: Panels in a row; by default as many as fit well.
        largest: `(H, W)` that a board must not exceed; its panels are shrunk for it.
    """

    def __init__(
        self,
        style: MapStyle,
        *,
        labels: bool = True,
        show_legend: bool = True,
        columns: int | None = None,
        largest: tuple[int, int] = LARGEST_PICTURE,
    ) -> None:
        self._style = style
        self._labels = labels
        self._show_legend = show_legend and labels
        self._columns = columns
        self._largest = largest
        self._sizes: dict[tuple[int, ...], tuple[int, int]] = {}

    def draw(self, compared: ComparedFrame) -> Frame:
        """The board of a frame; see `Panels.draw`."""
        full = compared.picture.shape[:2]
        while True:
            size = self._sizes.get(full, full)
            board = self._board(_resized(compared, size))
            factor = min(
                most / side for most, side in zip(self._largest, board.shape, strict=False)
            )
            if factor >= 1:
                return board
            height, width = size
            self._sizes[full] = (
                max(1, min(height - 1, int(height * factor))),
                max(1, min(width - 1, int(width * factor))),
            )

    def _board(self, compared: ComparedFrame) -> Frame:
        panels = list(self._panels(compared))
        columns = min(len(panels), self._columns or _columns(len(panels)))
        layout = Layout(compared.picture.shape[:2], columns, labels=self._labels)
        parts = [
            layout.row(panels[first : first + columns]) for first in range(0, len(panels), columns)
        ]
        with_extras = [scored for scored in compared.maps if scored.extras]
        parts += [
            layout.strip(list(self._tiles(compared.picture, scored, named=len(with_extras) > 1)))
            for scored in with_extras
        ]
        if self._show_legend:
            swatch = self._style.swatch(layout.small)
            parts.append(
                legend.draw(swatch, self._style.meaning, size=layout.small, room=layout.room)
            )
        return layout.stacked(parts)

    def _panels(self, compared: ComparedFrame) -> Iterator[Panel]:
        picture = compared.picture
        yield Panel(picture, "Original", compared.name)
        if compared.density is not None:
            drawn = self._drawn(picture, compared.density)
            yield Panel(drawn, "Ground truth", compared.truth_note)
        elif compared.has_truth:
            yield Panel(picture, "No ground truth")
        for scored in compared.maps:
            drawn = self._drawn(picture, scored.saliency)
            yield Panel(drawn, scored.title, scores=scored.scores)

    def _tiles(self, picture: Frame, scored: ScoredMap, *, named: bool) -> Iterator[Panel]:
        """The further maps of a model."""
        for name, saliency in scored.extras.items():
            title = f"{scored.title} · {name}" if named else name
            yield Panel(self._drawn(picture, saliency), title)

    def _drawn(self, picture: Frame, saliency: Map) -> Frame:
        return self._style.draw(picture, heatmap.fitted(saliency, picture.shape[:2]))


def _columns(panels: int) -> int:
    return panels if panels <= IN_A_ROW else math.ceil(math.sqrt(panels))


def _resized(compared: ComparedFrame, size: tuple[int, int]) -> ComparedFrame:
    if compared.picture.shape[:2] == size:
        return compared
    picture = Image.fromarray(compared.picture).resize(size[::-1], Image.Resampling.LANCZOS)
    return replace(compared, picture=np.asarray(picture))
