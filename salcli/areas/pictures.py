"""Pictures of areas and their attention, as PNG: outlines, curves over time, what moved."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw

from salcli.areas.attention import Attention
from salcli.areas.geometry import Polygon
from salcli.output import png
from salcli.render import colormaps, heatmap, legend, lettering, styles
from salcli.render.grid import Layout, Panel
from salcli.types import Frame

if TYPE_CHECKING:
    import numpy.typing as npt
    from matplotlib.axes import Axes

__all__ = ["curves", "moved", "outlined"]

PALETTE = (
    # Okabe and Ito's colours, which every common colour vision distinguishes; yellow is too pale
    *((0, 114, 178), (213, 94, 0), (0, 158, 115), (204, 121, 167)),
    *((230, 159, 0), (86, 180, 233), (60, 60, 60)),
)

LETTERS = 0.036
"""Size of the letters, as a fraction of the picture's size, which is the root of its area."""

FAINTEST_MOVE = 0.2
"""Changes whose root is below this fraction of the largest one's are not shown."""

MOVE_COVER = 0.8
PALENESS = 0.45
"""Contrast of the picture under a change of attention."""

DOTS_PER_INCH = 150


def outlined(found: Attention) -> bytes:
    """A still under its heat map, with the outline, name and share of each area."""
    size = (found.picture.shape[0], found.picture.shape[1])
    picture = Image.fromarray(_heat(found.picture, found.saliency))
    letters = max(11, round(LETTERS * math.sqrt(size[0] * size[1])))
    pen = ImageDraw.Draw(picture)
    first = found.frames[0]
    tags = []
    for number, area in enumerate(found.areas):
        ink = PALETTE[number % len(PALETTE)]
        outlines = [_corners(p, size) for p in area.on(first.index, first.label)]
        for corners in outlines:
            pen.line([*corners, *corners[:2]], fill=ink, width=max(2, letters // 6), joint="curve")
        if outlines:
            share = first.shares[area.name]
            lift = f", {share.lift:.1f}x" if share.lift is not None else ""
            left, top = (min(axis) for axis in zip(*outlines[0], strict=True))
            tags.append(((left, top), f"{area.name} {share.share:.1%}{lift}", ink))
    for place, text, ink in tags:
        _tag(pen, place, text, ink, letters=letters, size=size)
    return png.encode(np.asarray(picture))


def _corners(polygon: Polygon, size: tuple[int, int]) -> list[tuple[float, float]]:
    """In pixels, clipped to the frame, so that each side of a large area is visible."""
    return [
        (min(max(x.on(size[1]), 0), size[1] - 1), min(max(y.on(size[0]), 0), size[0] - 1))
        for x, y in polygon
    ]


def _tag(
    pen: ImageDraw.ImageDraw,
    place: tuple[float, float],
    text: str,
    ink: lettering.Colour,
    *,
    letters: int,
    size: tuple[int, int],
) -> None:
    """White text on a coloured ground above a place, moved into the picture where needed."""
    shown = lettering.fitted(text, letters, size[1] - letters)
    width, height = lettering.width(shown, letters) + letters, round(1.5 * letters)
    left = max(0, min(round(place[0]), size[1] - width))
    top = max(0, round(place[1]) - height)
    pen.rectangle((left, top, left + width - 1, top + height - 1), fill=ink)
    middle = (left + letters // 2, top + height / 2)
    pen.text(middle, shown, font=lettering.font(letters), fill=lettering.MARK, anchor="lm")


def curves(found: Attention) -> bytes:
    """Each area's share over the time of a clip."""
    from matplotlib.figure import Figure  # takes half a second, and stills have no curves

    figure = Figure(figsize=(9, 4.5), dpi=DOTS_PER_INCH, layout="constrained")
    axes = figure.subplots()
    times = [frame.time or 0.0 for frame in found.frames]
    for number, (name, summary) in enumerate(found.summary().items()):
        ink = np.array(PALETTE[number % len(PALETTE)]) / 255
        shares = [frame.shares[name] for frame in found.frames]
        # a gap in the curve while the area is not on screen
        values = [100 * share.share if share.area_share else np.nan for share in shares]
        label = f"{name}, mean {summary.share:.1%}"
        axes.plot(times, values, color=ink, linewidth=1.8, marker=".", markersize=3, label=label)
        if summary.first_maximum is not None and summary.first_maximum.time is not None:
            first = summary.first_maximum.index
            axes.plot(times[first], values[first], "o", color=ink, markersize=6)
    _describe(axes, found.stimulus.name, times)
    content = io.BytesIO()
    # without the version of the program: equal inputs give equal bytes
    figure.savefig(content, format="png", metadata={"Software": None})
    return content.getvalue()


def _describe(axes: Axes, name: str, times: Sequence[float]) -> None:
    axes.set_xlabel("time in seconds")
    axes.set_ylabel("share of attention in %")
    axes.margins(y=0.08)
    axes.set_xlim(times[0], times[-1] if times[-1] > times[0] else None)
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title(f"{name}  (dot: first frame whose peak is inside)", loc="left")
    axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))


def moved(found: Attention, against: Attention) -> bytes:
    """The input compared against, the input, and where attention moved, over its first frame.

    All have the input's size. Colours follow the root of the change, since attention that leaves
    one place spreads over many.
    """
    size = (found.density.shape[0], found.density.shape[1])
    names = Path(against.source).name, Path(found.source).name
    before = heatmap.fitted(against.density.astype(np.float32), size)
    change = found.density - before / before.sum()
    most = np.abs(change).max()
    root = np.sign(change) * np.sqrt(np.abs(change) / (most if most > 0 else 1))
    opacity = ((np.abs(root) - FAINTEST_MOVE) / (1 - FAINTEST_MOVE)).clip(0, 1)[..., None]
    opacity *= MOVE_COVER
    pale = (
        255 - (255 - np.asarray(Image.fromarray(found.picture).convert("L")))[..., None] * PALENESS
    )
    table = colormaps.table(colormaps.DIVERGING)
    inks = colormaps.coloured(0.5 + root / 2, table)
    picture = (pale * (1 - opacity) + inks * opacity + 0.5).astype(np.uint8)
    resized = Image.fromarray(against.picture).resize((size[1], size[0]), Image.Resampling.LANCZOS)
    panels = [
        Panel(_heat(np.asarray(resized), before), "Against", names[0]),
        Panel(_heat(found.picture, found.density.astype(np.float32)), "Input", names[1]),
        Panel(picture, "Change"),
    ]
    layout = Layout(size, len(panels), labels=True)
    swatch = legend.bar(table, size=layout.small)
    text = f"less to more attention in {names[1]} than in {names[0]}"
    below = legend.draw(swatch, text, size=layout.small, room=layout.room)
    return png.encode(layout.stacked([layout.row(panels), below]))


def _heat(frame: Frame, saliency: npt.NDArray[np.float32]) -> Frame:
    return heatmap.overlay(frame, saliency, alpha=styles.ALPHA)
