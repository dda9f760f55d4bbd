"""Pictures of areas and their attention, as PNG: outlines, curves over time, what moved."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
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

__all__ = ["PALETTE", "curves", "moved", "outlined"]

PALETTE = (
    # Okabe and Ito's colours, which every common colour vision distinguishes; yellow is too pale
    *((0, 114, 178), (213, 94, 0), (0, 158, 115), (204, 121, 167)),
    *((230, 159, 0), (86, 180, 233), (60, 60, 60)),
)

LETTERS = 0.036
"""Size of the letters, as a fraction of the picture's size, which is the root of its area."""

ROOMY = 7
"""Up to so many areas have texts of full size."""

FAINTEST_MOVE = 0.2
"""Changes whose root is below this fraction of the largest one's are not shown."""

TAKEN = 4.0
"""How much a place counts where a text is already, besides how much it is looked at."""

MOVE_COVER = 0.8
PALENESS = 0.45
"""Contrast of the picture under a change of attention."""

DOTS_PER_INCH = 150

DASHES = ("-", "--", ":", "-.")
"""Of curves, which differ in grey, too."""


def outlined(found: Attention) -> bytes:
    """A still under its heat map, with the outline, name and share of each area."""
    size = (found.picture.shape[0], found.picture.shape[1])
    picture = _heat(found.picture, found.saliency)
    shares = found.frames[0].shares
    crowded = max(1.0, len(found.areas) / ROOMY)
    letters = max(11, round(LETTERS * math.sqrt(size[0] * size[1] / crowded)))
    texts = {
        name: f"{name} {share.share:.1%}"
        + (f", {share.lift:.1f}x" if share.lift is not None and crowded == 1 else "")
        for name, share in shares.items()
    }
    return png.encode(_with_areas(picture, found, found.saliency, texts=texts, letters=letters))


def _with_areas(
    picture: Frame,
    found: Attention,
    saliency: npt.NDArray[np.float32],
    *,
    texts: Mapping[str, str],
    letters: int,
) -> Frame:
    """A picture with the outline and text of each area on the first frame.

    A text stands where it covers little that is looked at, and no other text.
    """
    size = (picture.shape[0], picture.shape[1])
    canvas = Image.fromarray(picture)
    pen = ImageDraw.Draw(canvas)
    first = found.frames[0]
    tags = []
    for number, area in enumerate(found.areas):
        ink = PALETTE[number % len(PALETTE)]
        outlines = [_corners(p, size) for p in area.on(first.index, first.label)]
        for corners in outlines:
            pen.line([*corners, *corners[:2]], fill=ink, width=max(2, letters // 6), joint="curve")
        if outlines:
            tags.append((outlines[0], texts[area.name], ink))
    busy = heatmap.prominence(heatmap.fitted(saliency, size)).clip(0, 1)
    for corners, text, ink in tags:
        left, top, right, bottom = _tag_place(corners, text, busy, letters=letters)
        busy[top:bottom, left:right] += TAKEN
        pen.rectangle((left, top, right - 1, bottom - 1), fill=ink)
        shown = lettering.fitted(text, letters, size[1] - letters)
        middle = (left + letters // 2, (top + bottom) / 2)
        pen.text(middle, shown, font=lettering.font(letters), fill=lettering.MARK, anchor="lm")
    return np.asarray(canvas)


def _corners(polygon: Polygon, size: tuple[int, int]) -> list[tuple[float, float]]:
    """In pixels, clipped to the frame, so that each side of a large area is visible."""
    return [
        (min(max(x.on(size[1]), 0), size[1] - 1), min(max(y.on(size[0]), 0), size[0] - 1))
        for x, y in polygon
    ]


def _tag_place(
    corners: Sequence[tuple[float, float]],
    text: str,
    busy: npt.NDArray[np.float32],
    *,
    letters: int,
) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of a text at an outline, in the picture.

    Above it, unless another side covers less of what is `busy`.
    """
    height, width = busy.shape
    xs, ys = zip(*corners, strict=True)
    wide = min(
        width, lettering.width(lettering.fitted(text, letters, width - letters), letters) + letters
    )
    high = min(height, round(1.5 * letters))
    left, right, top, bottom = round(min(xs)), round(max(xs)), round(min(ys)), round(max(ys))
    places = [
        *((left, top - high), (right - wide, top - high), (left, bottom), (right - wide, bottom)),
        *((right, top), (left - wide, top), (left, top), (left, bottom - high)),
    ]
    found = []
    for rank, (x, y) in enumerate(places):
        x, y = max(0, min(x, width - wide)), max(0, min(y, height - high))
        covered = float(busy[y : y + high, x : x + wide].mean())
        found.append((covered + 0.02 * rank, (x, y, x + wide, y + high)))
    return min(found)[1]


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
        dashes = DASHES[number % len(DASHES)]
        axes.plot(times, values, dashes, color=ink, linewidth=1.8, markersize=3, label=label)
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

    All have the input's size, and the outlines of the areas. Colours follow the root of the change,
    since attention that leaves one place spreads over many.
    """
    size = (found.density.shape[0], found.density.shape[1])
    names = Path(against.source).name, Path(found.source).name
    before = heatmap.fitted(against.density.astype(np.float32), size)
    after = found.density.astype(np.float32)
    table = colormaps.table(colormaps.DIVERGING)
    changed, movement = _changed(found, before, table)
    resized = Image.fromarray(against.picture).resize((size[1], size[0]), Image.Resampling.LANCZOS)
    layout = Layout(size, 3, labels=True)
    texts = [
        {name: f"{name} {summary.share:.1%}" for name, summary in one.summary().items()}
        for one in (against, found)
    ]
    texts.append({one.name: f"{one.name} {100 * one.change:+.1f}" for one in found.changes()})
    drawn = [
        _with_areas(picture, areas, saliency, texts=text, letters=layout.small)
        for picture, areas, saliency, text in (
            (_heat(np.asarray(resized), before), against, before, texts[0]),
            (_heat(found.picture, after), found, after, texts[1]),
            (changed, found, movement, texts[2]),
        )
    ]
    titles = f"Before: {names[0]}", f"After: {names[1]}", "Change, in percentage points"
    panels = [Panel(picture, title) for picture, title in zip(drawn, titles, strict=True)]
    swatch = legend.bar(table, size=layout.small)
    text = f"less to more attention in {names[1]} than in {names[0]}"
    below = legend.draw(swatch, text, size=layout.small, room=layout.room)
    return png.encode(layout.stacked([layout.row(panels), below]))


def _changed(
    found: Attention, before: npt.NDArray[np.float32], table: colormaps.Table
) -> tuple[Frame, npt.NDArray[np.float32]]:
    """The pale first frame under the change of attention, and how much that is everywhere."""
    change = found.density - before / before.sum()
    most = np.abs(change).max()
    root = np.sign(change) * np.sqrt(np.abs(change) / (most if most > 0 else 1))
    opacity = ((np.abs(root) - FAINTEST_MOVE) / (1 - FAINTEST_MOVE)).clip(0, 1)[..., None]
    opacity *= MOVE_COVER
    grey = np.asarray(Image.fromarray(found.picture).convert("L"))
    pale = 255 - (255 - grey)[..., None] * PALENESS
    inks = colormaps.coloured(0.5 + root / 2, table)
    picture = (pale * (1 - opacity) + inks * opacity + 0.5).astype(np.uint8)
    return picture, np.abs(root).astype(np.float32)


def _heat(frame: Frame, saliency: npt.NDArray[np.float32]) -> Frame:
    return heatmap.overlay(frame, saliency, alpha=styles.ALPHA)
