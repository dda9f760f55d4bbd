"""Files with the path of a crop window, for other editors: CSV, JSON, commands for ffmpeg."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TextIO

from salcli.cropping.plan import Plan
from salcli.errors import UnknownName
from salcli.files.atomic import ESCAPED, replacing

__all__ = ["COLUMNS", "FORMATS", "PATHS", "check_formats", "write_path"]

COLUMNS = (
    "frame",  # from 1
    "time_s",  # presentation time in seconds, as stored in the file
    "shot",  # from 1
    "motion",  # still, pan, follow or padded
    "x",  # column and row of the first pixel that is shown, from 0
    "y",
    "width",  # size of what is shown, in pixels of the input
    "height",
    "share",  # of attention that is kept, in [0, 1]
    "centre_share",  # that a crop of the centre would keep
)


def _rows(plan: Plan) -> Iterator[tuple[object, ...]]:
    for number, shot in enumerate(plan.shots, start=1):
        for index in range(shot.first, shot.last + 1):
            yield (
                index + 1,
                round(float(plan.times[index]), 6),
                number,
                shot.motion,
                *plan.box(index, whole=shot.motion == "padded"),
                round(float(plan.shares[index]), 5),
                round(float(plan.centre_shares[index]), 5),
            )


def _write_csv(file: TextIO, plan: Plan) -> None:
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(_rows(plan))


def _write_json(file: TextIO, plan: Plan) -> None:
    height, width = plan.window.frame
    out_height, out_width = plan.window.output
    head = {"width": width, "height": height, "output_width": out_width}
    head |= {"output_height": out_height}
    file.write(json.dumps(head)[:-1] + f', "columns": {json.dumps(COLUMNS)}, "frames": [')
    for number, row in enumerate(_rows(plan)):
        file.write(("," if number else "") + "\n" + json.dumps(row))
    file.write("\n]}\n")


def _write_ffmpeg(file: TextIO, plan: Plan) -> None:
    """Commands for the filters `crop` and `scale`, half a frame before each change.

    The first line says how they are used. A padded shot is shown on black.
    """
    window, padded = plan.window, plan.padded()
    scaled = padded.any() or window.output != window.size

    def state(index: int) -> dict[str, int]:
        x, y, width, height = plan.box(index, whole=bool(padded[index]))
        high, wide = window.inner if padded[index] else window.output
        found = {"crop w": width, "crop h": height, "crop x": x, "crop y": y}
        return found | ({"scale w": wide, "scale h": high} if scaled else {})

    latest = state(0)
    numbers = list(latest.values())
    chain = [f"sendcmd=f={window.shape.name}.ffmpeg.txt", f"crop={_joined(numbers[:4])}:exact=1"]
    if scaled:
        chain += [f"scale={_joined(numbers[4:])}:eval=frame"]
        chain += [f"pad={_joined(window.output[::-1])}:-1:-1:eval=frame"]
        chain += [f"setsar={window.pixel_aspect}"]
    file.write(f"# ffmpeg -copyts -i INPUT -vf {','.join(chain)} -fps_mode passthrough OUTPUT\n")
    for index in range(1, len(plan.times)):
        now = state(index)
        if now != latest:
            time = (plan.times[index - 1] + plan.times[index]) / 2
            changes = [f"{key} {value}" for key, value in now.items() if latest[key] != value]
            file.write(f"{time:.6f} {', '.join(changes)};\n")
            latest = now


def _joined(numbers: Sequence[int]) -> str:
    return ":".join(map(str, numbers))


PATHS: dict[str, tuple[str, Callable[[TextIO, Plan], None]]] = {
    "csv": ("csv", _write_csv),
    "json": ("json", _write_json),
    "ffmpeg": ("ffmpeg.txt", _write_ffmpeg),
}
"""Formats of the path: the ending of the file, and what writes it."""

FORMATS = ("crop", "preview", *PATHS)
"""`crop` and `preview` are movies of clips and pictures of stills; the others are of clips only."""


def check_formats(formats: Sequence[str]) -> None:
    """Refuse what is none of `FORMATS`.

    Raises:
        UnknownName: There is no such format.
    """
    for format_ in formats:
        if format_ not in FORMATS:
            raise UnknownName("output format", format_, FORMATS)


def write_path(format_: str, path: Path, plan: Plan) -> None:
    """Write the path of a crop window in one of `PATHS`.

    Raises:
        OutputError: The file cannot be written.
    """
    with (
        replacing(path) as part,
        part.open("w", encoding="utf-8", errors=ESCAPED, newline="") as file,
    ):
        PATHS[format_][1](file, plan)
