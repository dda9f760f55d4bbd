"""The files of an area measurement: a document, a table and a picture."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from salcli.areas import pictures
from salcli.areas.attention import Attention, rounded
from salcli.files import atomic
from salcli.prediction.manifest import OutputPaths

__all__ = ["CHANGE_COLUMNS", "FRAME_COLUMNS", "comparison_place", "write"]

FRAME_COLUMNS = (
    "frame",  # from 1
    "label",
    "time_s",  # empty for stills
    "area",
    "share",  # of all saliency of the frame
    "area_share",  # of its pixels; 0 if the area is not on screen
    "lift",  # share / area_share
    "peak",  # highest saliency inside, as a fraction of the frame's highest
    "peak_x",
    "peak_y",
    "rank",  # by share, 1 has most
)

CHANGE_COLUMNS = ("area", "share", "share_against", "change", "lift", "lift_against")


def comparison_place(output: Path, source: Path, *, against: Path) -> OutputPaths:
    """Where the files of a comparison go."""
    return OutputPaths(output, f"{source.stem}-against-{against.stem}")


def write(found: Attention, place: OutputPaths) -> Path:
    """Write `NAME.aoi.json`, `NAME.aoi.csv` and, except for a folder of stills, `NAME.aoi.png`.

    The picture shows a still with its areas, curves of a clip, or what moved in a comparison. The
    document is written last. Each file is written atomically. Gives the path of the document.

    Raises:
        OutputError: A file cannot be written.
    """
    if found.against is not None:
        rows = [tuple(vars(change).values()) for change in found.changes()]
        atomic.write(_file(place, "csv"), _table(CHANGE_COLUMNS, rows))
        atomic.write(_file(place, "png"), pictures.moved(found, found.against))
    else:
        atomic.write(_file(place, "csv"), _table(FRAME_COLUMNS, list(_frame_rows(found))))
        if found.stimulus.is_clip:
            atomic.write(_file(place, "png"), pictures.curves(found))
        elif len(found.frames) == 1:
            atomic.write(_file(place, "png"), pictures.outlined(found))
    document = json.dumps(found.document(), indent=2, ensure_ascii=False) + "\n"
    atomic.write(_file(place, "json"), document)
    return _file(place, "json")


def _frame_rows(found: Attention) -> Iterator[tuple[Any, ...]]:
    """A row of `FRAME_COLUMNS` for each area on each frame."""
    for frame in found.frames:
        time = "" if frame.time is None else f"{frame.time:.6f}"
        for name, share in frame.shares.items():
            numbers = share.share, share.area_share, share.lift, share.peak
            yield (
                *(frame.index + 1, frame.label, time, name),
                *map(rounded, numbers),
                *(share.peak_x, share.peak_y, share.rank),
            )


def _table(columns: tuple[str, ...], rows: list[tuple[Any, ...]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([columns, *rows])
    return text.getvalue()


def _file(place: OutputPaths, suffix: str) -> Path:
    return place.output / f"{place.name}.aoi.{suffix}"
