"""Areas drawn with CVAT (XML 1.1, of images and video) or Label Studio (JSON).

Both say where a tracked shape is at key frames; between two of these it moves evenly.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from salcli.areas.geometry import Area, Length, Polygon

__all__ = ["from_cvat", "from_label_studio", "is_label_studio"]

Corners = tuple[tuple[float, float], ...]

UPLOADED = re.compile(r"^[0-9a-f]{8}-")
"""What Label Studio puts before the name of an uploaded file."""

LONGEST = 1_000_000
"""Limit of frames between two key frames."""


def from_cvat(text: str) -> Iterator[Area]:
    """The areas of CVAT's XML: boxes and polygons, by their label.

    Raises:
        ValueError: It is not CVAT's XML.
    """
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise ValueError("CVAT's files define no entities")
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise ValueError(f"not XML: {error}") from error
    if root.tag != "annotations":
        raise ValueError(f"its root is <{root.tag}>, that of CVAT's XML is <annotations>")
    try:
        images = root.findall("image")
        for image in images:
            yield from _cvat_image(image, only=len(images) == 1)
        for track in root.findall("track"):
            keys = [
                (int(s.attrib["frame"]), s.attrib.get("outside") != "1", _cvat_corners(s))
                for s in track
                if s.tag in ("box", "polygon")
            ]
            yield Area(track.attrib["label"], frames=_moving(keys, first=0, unit=_pixels))
    except KeyError as error:
        raise ValueError(f"not CVAT's XML 1.1: {error} is missing") from error


def _cvat_image(image: ElementTree.Element, *, only: bool) -> Iterator[Area]:
    name = Path(image.attrib["name"]).stem
    for shape in image:
        if shape.tag in ("box", "polygon"):
            polygon = _pixels(_cvat_corners(shape))
            label = shape.attrib["label"]
            yield Area(label, (polygon,)) if only else Area(label, frames={name: (polygon,)})


def _cvat_corners(shape: ElementTree.Element) -> Corners:
    if shape.tag == "box":
        left, top, right, bottom = (float(shape.attrib[k]) for k in ("xtl", "ytl", "xbr", "ybr"))
        return _corners(left, top, right - left, bottom - top)
    points = [text.split(",") for text in shape.attrib["points"].split(";")]
    return tuple((float(x), float(y)) for x, y in points)


def is_label_studio(document: object) -> bool:
    """Whether a JSON document is an export of Label Studio: a list of tasks."""
    return isinstance(document, list) and any(
        isinstance(task, dict) and "annotations" in task for task in document
    )


def from_label_studio(document: Sequence[Any]) -> Iterator[Area]:
    """The areas of Label Studio's JSON: rectangles, polygons, and rectangles in videos.

    Raises:
        ValueError: It is of another form, or a rectangle is rotated.
    """
    try:
        for task in document:
            where = next((v for v in task.get("data", {}).values() if isinstance(v, str)), "")
            name = UPLOADED.sub("", Path(where).stem)
            for annotation in task["annotations"]:
                for result in annotation["result"]:
                    yield from _label_studio_area(result, name, only=len(document) == 1)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not Label Studio's format: {error} is missing or wrong") from error


def _label_studio_area(result: Mapping[str, Any], name: str, *, only: bool) -> Iterator[Area]:
    value, kind = result["value"], result["type"]
    if kind == "videorectangle":
        keys = [(key["frame"], key.get("enabled", True), _ls_box(key)) for key in value["sequence"]]
        # a disabled key frame is the last one that shows the shape
        frames = _moving(keys, first=1, unit=_percent, shown_at_end=True)
        for label in value["labels"]:
            yield Area(label, frames=frames)
        return
    shapes = {
        "rectanglelabels": lambda: _ls_box(value),
        "polygonlabels": lambda: tuple((float(x), float(y)) for x, y in value["points"]),
    }
    if kind in shapes:
        polygon = _percent(shapes[kind]())
        for label in value[kind]:
            yield Area(label, (polygon,)) if only else Area(label, frames={name: (polygon,)})


def _ls_box(value: Mapping[str, Any]) -> Corners:
    if value.get("rotation"):
        raise ValueError("a rectangle is rotated; draw it as a polygon")
    return _corners(*(float(value[key]) for key in ("x", "y", "width", "height")))


def _moving(
    keys: Sequence[tuple[int, bool, Corners]],
    *,
    first: int,
    unit: Any,
    shown_at_end: bool = False,
) -> Mapping[str | int, tuple[Polygon, ...]]:
    """The polygons on each frame by its number from 1, from key frames counted from `first`."""
    found: dict[str | int, list[Polygon]] = defaultdict(list)
    ordered = sorted(keys, key=lambda key: key[0])
    for (frame, shown, corners), after in zip_longest(ordered, ordered[1:]):
        number = frame - first + 1
        if shown or shown_at_end:
            found[number].append(unit(corners))
        if not shown or after is None or len(after[2]) != len(corners):
            continue
        reach = after[0] - frame
        if reach > LONGEST:
            raise ValueError(f"{reach} frames lie between two key frames")
        for step in range(1, reach):
            share = step / reach
            between = tuple(
                (x + share * (u - x), y + share * (v - y))
                for (x, y), (u, v) in zip(corners, after[2], strict=True)
            )
            found[number + step].append(unit(between))
    return {number: tuple(polygons) for number, polygons in found.items()}


def _corners(x: float, y: float, width: float, height: float) -> Corners:
    return ((x, y), (x + width, y), (x + width, y + height), (x, y + height))


def _pixels(corners: Corners) -> Polygon:
    return tuple((Length(x), Length(y)) for x, y in corners)


def _percent(corners: Corners) -> Polygon:
    return tuple((Length(percent=x), Length(percent=y)) for x, y in corners)
