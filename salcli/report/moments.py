"""Pictures of an input at some moments, with something drawn over them, and tables, as HTML."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from PIL import Image

from salcli.report.summary import cells
from salcli.report.tiles import data_url

if TYPE_CHECKING:
    from salcli.types import Frame, Stimulus

__all__ = ["MOST_PICTURES", "figure", "frames", "rgb", "section", "spread", "table"]

SIDE, MOST_PICTURES = 480, 24
"""Longest side of a picture, and how many there are of one input."""


def frames(stimulus: Stimulus, wanted: Sequence[int]) -> Iterator[tuple[int, Frame]]:
    """Some frames of a clip, by their number, in order."""
    rest = iter(wanted)
    now = next(rest, None)
    for index, frame in enumerate(stimulus.frames):
        if now is None:
            return
        if index == now:
            yield index, frame
            now = next(rest, None)


def spread(values: Sequence[Any]) -> list[Any]:
    """At most `MOST_PICTURES` of these, evenly over all of them."""
    count = min(len(values), MOST_PICTURES)
    return [values[(2 * number + 1) * len(values) // (2 * count)] for number in range(count)]


def figure(frame: Frame, stimulus: Stimulus, overlay: str, caption: str) -> str:
    """A frame as it is shown, below `overlay` and above `caption`, both HTML."""
    picture = Image.fromarray(frame)
    width, height = picture.width * float(stimulus.pixel_aspect), picture.height
    scale = min(1.0, SIDE / max(width, height))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    picture = picture.resize(size, Image.Resampling.LANCZOS)
    return (
        f"<figure><div class='stage'><img alt='' src='{data_url(picture, 'jpeg')}'>{overlay}</div>"
        f"<figcaption>{caption}</figcaption></figure>"
    )


def section(title: str, parts: Sequence[str], figures: Sequence[str]) -> str:
    """A part of the page: texts and tables, then figures."""
    shown = "".join(part if part.startswith("<") else f"<p>{part}</p>" for part in parts)
    pictures = f"<div class='moments'>{''.join(figures)}</div>" if figures else ""
    return f"<section class='record'><h2>{html.escape(title)}</h2>{shown}{pictures}</section>"


def table(rows: Sequence[Sequence[str]], *, names: int) -> str:
    """A table; the first row has the titles, the first `names` columns have names."""
    head, *others = rows
    lines = [cells(head, "th", names=names), *(cells(row, "td", names=names) for row in others)]
    return f'<div class="wide"><table>{"".join(lines)}</table></div>'


def rgb(ink: tuple[int, int, int]) -> str:
    """A colour for CSS."""
    return "rgb({} {} {})".format(*ink)
