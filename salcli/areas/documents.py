"""What is measured of areas, as documents and tables.

The documents are described by `schemas/aoi-1.schema.json`. Numbers are rounded to nine places, so
that a file does not change with the order of additions.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from salcli._version import __version__
from salcli.areas.measure import AreaSummary, Attention, Instant
from salcli.atomic import replacing, reporting_os_errors
from salcli.loading import Loaded

__all__ = [
    "CHANGES",
    "COLUMNS",
    "changes",
    "compared",
    "frame_rows",
    "measured",
    "several",
    "write_csv",
    "write_json",
]

VERSION = 1
PLACES = 9

COLUMNS = (
    "frame",  # from 1
    "label",
    "time_s",  # empty for stills
    "area",
    "share",  # of all saliency of the frame
    "area_share",  # of its pixels; 0 if the area is not on screen
    "lift",  # share / area_share
    "peak",  # highest saliency inside, in parts of the frame's highest
    "peak_x",
    "peak_y",
    "rank",  # by share, 1 has most
)

CHANGES = ("area", "share", "share_against", "change", "lift", "lift_against")


def measured(loaded: Loaded, found: Attention) -> dict[str, Any]:
    """The document of one input."""
    return {**_head("attention", loaded), "input": _input(found)}


def compared(loaded: Loaded, found: Attention, *, against: Attention) -> dict[str, Any]:
    """The document of an input and what it is compared against."""
    rows = [dict(zip(("name", *CHANGES[1:]), row, strict=True)) for row in changes(found, against)]
    return {
        **_head("comparison", loaded),
        "input": _input(found),
        "against": _input(against),
        "areas": rows,
    }


def several(
    loaded: Loaded, found: Iterable[Attention], *, failed: Mapping[Path, str]
) -> dict[str, Any]:
    """The document of several inputs, some of which failed."""
    return {
        **_head("list", loaded),
        "inputs": [_input(one) for one in found],
        "failed": [{"source": str(path), "error": error} for path, error in failed.items()],
    }


def changes(found: Attention, against: Attention) -> Iterator[tuple[Any, ...]]:
    """A row of `CHANGES` for each area; what grew since `against` is positive."""
    before = against.summary()
    for name, one in found.summary().items():
        other = before[name]
        numbers = one.share, other.share, one.share - other.share, one.lift, other.lift
        yield (name, *(_rounded(number) for number in numbers))


def frame_rows(found: Attention) -> Iterator[tuple[Any, ...]]:
    """A row of `COLUMNS` for each area on each frame."""
    for instant in found.instants:
        time = "" if instant.time is None else f"{instant.time:.6f}"
        for name, share in instant.shares.items():
            numbers = share.share, share.area_share, share.lift, share.peak
            place = share.peak_x, share.peak_y
            yield (
                *(instant.index + 1, instant.label, time, name),
                *map(_rounded, numbers),
                *place,
                share.rank,
            )


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    """Write a document, atomically.

    Raises:
        OutputError: It cannot be written.
    """
    _write(path, json.dumps(document, indent=2, ensure_ascii=False) + "\n")


def write_csv(path: Path, rows: Iterable[Sequence[Any]], *, columns: Sequence[str]) -> None:
    """Write a table, atomically.

    Raises:
        OutputError: It cannot be written.
    """
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([columns, *rows])
    _write(path, text.getvalue())


def _write(path: Path, text: str) -> None:
    with reporting_os_errors(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as part:
        part.write_text(text, "utf-8", newline="\n")


def _head(kind: str, loaded: Loaded) -> dict[str, Any]:
    tool = {"salcli": __version__, "model": loaded.label, "weights_sha256": loaded.digest}
    return {"version": VERSION, "kind": kind, "tool": tool}


def _input(found: Attention) -> dict[str, Any]:
    stimulus = found.stimulus
    height, width = stimulus.size
    return {
        "source": str(found.source),
        "kind": "clip" if stimulus.is_clip else "stills",
        "width": width,
        "height": height,
        "fps": stimulus.fps,
        "frames": len(found.instants),
        "areas": [_area(name, summary) for name, summary in found.summary().items()],
    }


def _area(name: str, summary: AreaSummary) -> dict[str, Any]:
    per_second = summary.per_second
    return {
        "name": name,
        "share": _rounded(summary.share),
        "area_share": _rounded(summary.area_share),
        "lift": _rounded(summary.lift),
        "peak": _rounded(summary.peak),
        "rank": summary.rank,
        "frames_on_screen": summary.frames,
        "seconds_on_screen": _rounded(summary.seconds),
        "first_maximum": _moment(summary.first_maximum),
        "share_per_second": None if per_second is None else [_rounded(s) for s in per_second],
    }


def _moment(instant: Instant | None) -> dict[str, Any] | None:
    if instant is None:
        return None
    return {
        "frame": instant.index + 1,
        "label": instant.label,
        "time_s": _rounded(instant.time),
    }


def _rounded(number: float | None) -> float | None:
    return None if number is None else round(number, PLACES)
