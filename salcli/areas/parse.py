"""Reads areas of interest: `NAME=X,Y,W,H`, boxes by name, JSON, CSV, and what tools export."""

from __future__ import annotations

import csv
import io
import math
import re
import reprlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from salcli.areas import tools
from salcli.areas.geometry import Area, Length, Polygon, box, merged
from salcli.errors import UsageError
from salcli.files.jsonfile import parse_json

__all__ = ["COLUMNS", "boxes", "collect", "parse", "read"]

COLUMNS = ("frame", "name", "x", "y", "w", "h")

SHAPES = ("box", "polygon", "frames")

EXAMPLE = '{"areas": [{"name": "button", "box": [10, 20, 80, 30]}]}'


def parse(text: str) -> Area:
    """The area of a text `NAME=X,Y,W,H`, in pixels, or in percent with `%` after the numbers.

    Raises:
        UsageError: The text describes no area.
    """
    name, _, numbers = text.rpartition("=")
    try:
        return Area(_name(name), (_box(numbers.split(",")),))
    except ValueError as error:
        raise UsageError(f"area '{text}': {error}; write NAME=X,Y,W,H") from error


def read(path: Path) -> list[Area]:
    """The areas of a file, in order; those of one name become one.

    A `.csv` has the columns `frame,name,x,y,w,h`, a row for each box on a frame; an `.xml` is
    CVAT's. Any other file is JSON: salcli's own, COCO's, where a category is an area, or Label
    Studio's; for both tools a label is an area.

    Raises:
        UsageError: The file cannot be read, is of another layout, or has no areas.
    """
    try:
        text = path.read_text("utf-8-sig")
        readers = {".csv": _from_csv, ".xml": tools.from_cvat}
        found = list(readers.get(path.suffix.lower(), _from_json)(text))
    except OSError as error:
        raise UsageError(f"'{path}' cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"'{path}' is not UTF-8 text: {error.reason}") from error
    except ValueError as error:
        raise UsageError(f"'{path}': {error}") from error
    if not found:
        raise UsageError(f"'{path}' has no areas")
    return merged(found)


def boxes(given: Mapping[str, Sequence[float | str]]) -> list[Area]:
    """An area for each name and its box (x, y, width, height); numbers as in `parse`.

    Raises:
        UsageError: A name is empty, or a box is wrong.
    """
    try:
        return [Area(_name(name), (_box(values),)) for name, values in given.items()]
    except ValueError as error:
        raise UsageError(f"areas: {error}") from error


def collect(file: Path | None, texts: Sequence[str]) -> list[Area]:
    """The areas of a file and of texts `NAME=X,Y,W,H`; those of one name become one.

    Raises:
        UsageError: See `read` and `parse`.
    """
    return merged([*(read(file) if file else ()), *map(parse, texts)])


def _from_csv(text: str) -> Iterator[Area]:
    rows = csv.DictReader(io.StringIO(text))
    columns = [name.strip() for name in rows.fieldnames or ()]
    if missing := [name for name in COLUMNS if name not in columns]:
        raise ValueError(
            f"no column {', '.join(missing)}; the first line must name {','.join(COLUMNS)}"
        )
    rows.fieldnames = columns
    for row in rows:
        try:
            cells = [(row[name] or "").strip() for name in COLUMNS]
            shape = _box(cells[2:])
            yield Area(_name(cells[1]), frames={_key(cells[0]): (shape,)})
        except ValueError as error:
            raise ValueError(f"line {rows.line_num}: {error}") from error


def _from_json(text: str) -> Iterator[Area]:
    try:
        document = parse_json(text, object)
    except ValueError as error:
        raise ValueError(f"not JSON: {error}") from error
    if isinstance(document, list) and tools.is_label_studio(document):
        return tools.from_label_studio(document)
    if isinstance(document, dict) and isinstance(document.get("annotations"), list):
        return _from_coco(document)
    if not isinstance(document, dict) or not isinstance(document.get("areas"), list):
        raise ValueError(
            "neither a list 'areas' nor COCO's 'annotations' nor Label Studio's tasks; write "
            f"{EXAMPLE}"
        )
    return (_area(number, entry) for number, entry in enumerate(document["areas"], start=1))


def _area(number: int, entry: Any) -> Area:
    try:
        if not isinstance(entry, dict):
            raise ValueError("must be an object")
        given = [key for key in SHAPES if key in entry]
        strange = [key for key in entry if key not in ("name", *SHAPES)]
        if len(given) != 1 or strange:
            raise ValueError(f"must have a name and one of {', '.join(SHAPES)}, and nothing else")
        name, shape = _name(entry.get("name")), entry[given[0]]
        if given == ["frames"]:
            if not isinstance(shape, dict) or not shape:
                raise ValueError("frames must map frames to [x, y, w, h]")
            return Area(name, frames={_key(key): (_box(value),) for key, value in shape.items()})
        return Area(name, (_box(shape) if given == ["box"] else _polygon(shape),))
    except ValueError as error:
        raise ValueError(f"area {number}: {error}; write {EXAMPLE}") from error


def _from_coco(document: Mapping[str, Any]) -> Iterator[Area]:
    try:
        names = {row["id"]: _name(row["name"]) for row in document["categories"]}
        images = _image_keys(document["images"])
        for number, row in enumerate(document["annotations"], start=1):
            name, keys = names[row["category_id"]], images[row["image_id"]]
            shapes = tuple(_coco_shapes(row, number))
            if len(images) == 1:
                yield Area(name, shapes)
            else:
                yield Area(name, frames=dict.fromkeys(keys, shapes))
    except (KeyError, TypeError) as error:
        raise ValueError(f"not COCO's format: {error} is missing or wrong") from error


def _image_keys(images: Sequence[Mapping[str, Any]]) -> dict[Any, set[str | int]]:
    """Keys of the frame of each COCO image, by its id: its stem, and the number at its end."""
    stems = {row["id"]: Path(str(row["file_name"])).stem for row in images}
    endings = {id_: re.search(r"\d*$", stem) for id_, stem in stems.items()}
    numbers = {id_: int(found[0]) for id_, found in endings.items() if found and found[0]}
    times = Counter(numbers.values())
    keys: dict[Any, set[str | int]] = {id_: {stem} for id_, stem in stems.items()}
    for id_, number in numbers.items():
        if times[number] == 1:
            keys[id_].add(number)
    return keys


def _coco_shapes(row: Mapping[str, Any], number: int) -> Iterator[Polygon]:
    rings = row.get("segmentation")
    if isinstance(rings, dict):
        raise ValueError(f"annotation {number}: run-length masks are not supported; use polygons")
    if not rings:
        yield _box(row["bbox"])
        return
    for ring in rings:
        yield _polygon(list(zip(ring[::2], ring[1::2], strict=True)))


def _key(text: Any) -> str | int:
    """The key of a frame: its number if it is written as one, else its label."""
    shown = str(text).strip()
    if not shown:
        raise ValueError("a frame must be its number from 1, or its label")
    return int(shown) if shown.isdecimal() else shown


def _name(text: Any) -> str:
    if not isinstance(text, str) or not text.strip():
        raise ValueError("an area needs a name")
    return text.strip()


def _box(values: Any) -> Polygon:
    if not isinstance(values, Sequence) or isinstance(values, str) or len(values) != 4:
        raise ValueError("a box is four numbers: x, y, w, h")
    x, y, width, height = (_length(value) for value in values)
    return box(x, y, width, height)


def _polygon(corners: Any) -> Polygon:
    if not isinstance(corners, Sequence) or isinstance(corners, str) or len(corners) < 3:
        raise ValueError("a polygon is at least three corners [x, y]")
    if not all(isinstance(c, Sequence) and not isinstance(c, str) and len(c) == 2 for c in corners):
        raise ValueError("a corner is [x, y]")
    return tuple((_length(x), _length(y)) for x, y in corners)


def _length(value: Any) -> Length:
    percent = isinstance(value, str) and value.strip().endswith("%")
    try:
        if isinstance(value, bool):
            raise ValueError
        number = float(value.strip().removesuffix("%")) if isinstance(value, str) else float(value)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(
            f"{reprlib.repr(value)} is neither a number of pixels nor of percent"
        ) from None
    if not math.isfinite(number):
        raise ValueError(f"{value!r} is not a finite number")
    return Length(percent=number) if percent else Length(number)
