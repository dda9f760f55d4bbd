"""Keeps a page with many stills small enough to be sent: their pictures are shrunk together."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Sequence
from typing import Any

from PIL import Image

from salcli.report.tiles import data_url

__all__ = ["fit"]

MOST_BYTES = 27_000_000
"""For all pictures and maps of stills, so that a page stays below 30 MB."""

SMALLEST = 240
"""Longest side in pixels below which nothing is shrunk further."""

STEP = 0.9


def fit(entries: Sequence[dict[str, Any]], most: int = MOST_BYTES) -> None:
    """Shrink the pictures and maps of all stills by one factor until they fit."""
    stills = list(_stills(entries))
    while (size := sum(map(_size, stills))) > most:
        # about the factor by which the bytes must fall, since they follow the area
        factor = min(STEP, (most / size) ** 0.5)
        for still in stills:
            still["picture"] = _shrunk(still["picture"], factor)
            for model in still["models"]:
                _shrink_map(model["tiles"], factor)
        if all(max(_opened(still["picture"]).size) <= SMALLEST for still in stills):
            return


def _stills(entries: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for entry in entries:
        if "picture" in entry:
            yield entry
        if entry.get("before"):
            yield from _stills([entry["before"]])


def _size(still: dict[str, Any]) -> int:
    return len(still["picture"]) + sum(len(each["tiles"]["source"]) for each in still["models"])


def _opened(url: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2])))


def _shrunk(url: str, factor: float) -> str:
    picture = _opened(url)
    sides = [max(1, round(side * factor)) for side in picture.size]
    if max(sides) < SMALLEST:
        return url
    return data_url(picture.resize((sides[0], sides[1]), Image.Resampling.LANCZOS), "jpeg")


def _shrink_map(tiles: dict[str, Any], factor: float) -> None:
    """A still's map is one tile."""
    if max(tiles["width"], tiles["height"]) * factor < SMALLEST / 2:
        return
    tiles["width"], tiles["height"] = (
        max(1, round(tiles[side] * factor)) for side in ("width", "height")
    )
    picture = _opened(tiles["source"]).resize(
        (tiles["width"], tiles["height"]), Image.Resampling.BOX
    )
    tiles["source"] = data_url(picture, "png")
