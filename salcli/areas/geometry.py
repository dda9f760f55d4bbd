"""Areas of interest: boxes and polygons on frames, and how much of each pixel they cover."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from salcli.errors import InputError, UsageError

__all__ = [
    "Area",
    "Coverage",
    "Length",
    "Polygon",
    "box",
    "check_same_names",
    "checked",
    "coverage",
    "merged",
]

Coverage: TypeAlias = npt.NDArray[np.float64]
"""`[H, W]`, how much of each pixel belongs to an area, in [0, 1]."""


@dataclass(frozen=True)
class Length:
    """A coordinate from the left or top edge: pixels plus percent of the frame's side."""

    pixels: float = 0.0
    percent: float = 0.0

    def __add__(self, other: Length) -> Length:
        return Length(self.pixels + other.pixels, self.percent + other.percent)

    def on(self, side: int) -> float:
        """In pixels of a frame with a side of this many pixels."""
        return self.pixels + self.percent * side / 100


Polygon: TypeAlias = tuple[tuple[Length, Length], ...]
"""Corners (x, y) in order, at least three."""


@dataclass(frozen=True)
class Area:
    """A named part of the frames.

    Attributes:
        name: Its name.
        always: Its polygons on every frame.
        frames: Its further polygons on single frames, by label or by number. The number of a frame
            is its label if that is a number, else its position from 1.
    """

    name: str
    always: tuple[Polygon, ...] = ()
    frames: Mapping[str | int, tuple[Polygon, ...]] = field(default_factory=dict)

    @property
    def moves(self) -> bool:
        """Whether it differs between frames."""
        return bool(self.frames)

    def on(self, index: int, label: str) -> tuple[Polygon, ...]:
        """Its polygons on the frame at an index (from 0) with a label; none if not on screen."""
        number = int(label) if label.isdecimal() else index + 1
        return (*self.always, *(self.frames.get(label) or self.frames.get(number) or ()))


def box(x: Length, y: Length, width: Length, height: Length) -> Polygon:
    """The rectangle whose top left corner is (x, y).

    Raises:
        ValueError: Its width or height is not above 0.
    """
    if not (width.pixels + width.percent > 0 and height.pixels + height.percent > 0):
        raise ValueError("width and height must be above 0")
    return ((x, y), (x + width, y), (x + width, y + height), (x, y + height))


def merged(areas: Iterable[Area]) -> list[Area]:
    """The areas in order; those of one name become one."""
    found: dict[str, Area] = {}
    for area in areas:
        known = found.get(area.name, Area(area.name))
        frames = dict(known.frames)
        for key, polygons in area.frames.items():
            frames[key] = frames.get(key, ()) + polygons
        found[area.name] = Area(area.name, known.always + area.always, frames)
    return list(found.values())


def check_same_names(areas: Iterable[Area], against: Iterable[Area]) -> None:
    """Refuse areas of two inputs that cannot be compared.

    Raises:
        UsageError: They do not have the same names.
    """
    names = [sorted(area.name for area in some) for some in (areas, against)]
    if names[0] != names[1]:
        listed = " and ".join(", ".join(some) for some in names)
        raise UsageError(f"both inputs must have areas of the same names; these are {listed}")


def coverage(polygons: Sequence[Polygon], size: tuple[int, int]) -> Coverage:
    """How much of each pixel of a frame of size (H, W) the polygons cover.

    Exact for polygons that neither cross themselves nor overlap: the coverage of a frame's parts
    adds up to that of the frame. What lies outside of the frame does not count.
    """
    covered: Coverage = np.zeros(size)
    for polygon in polygons:
        corners = [(x.on(size[1]), y.on(size[0])) for x, y in polygon]
        part = np.zeros(size)
        for start, end in zip(corners, [*corners[1:], corners[0]], strict=True):
            _add_edge(part, start, end)
        covered += np.abs(part).clip(0, 1)
    return covered.clip(0, 1)


def checked(area: Area, size: tuple[int, int]) -> Area:
    """The area, if its polygons of every frame touch a frame of size (H, W).

    Raises:
        InputError: It lies outside, or has no extent.
    """
    for polygon in area.always:
        if not coverage([polygon], size).any():
            corners = ", ".join(f"({x.on(size[1]):g}, {y.on(size[0]):g})" for x, y in polygon)
            raise InputError(
                f"area '{area.name}' covers nothing of a frame of {size[1]}x{size[0]}: its corners "
                f"are {corners}"
            )
    return area


def _add_edge(part: Coverage, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Add the signed area between an edge and the right border of the frame, pixel by pixel.

    Added over all edges of a polygon, these leave its inside.
    """
    height, width = part.shape
    sign = 1.0 if end[1] > start[1] else -1.0
    (x0, y0), (x1, y1) = (start, end) if sign > 0 else (end, start)
    top, bottom = max(y0, 0.0), min(y1, float(height))
    if top >= bottom:
        return
    rows = np.arange(int(top), int(np.ceil(bottom)))
    upper, lower = np.maximum(rows, top), np.minimum(rows + 1, bottom)
    # not by the slope, which overflows where an edge is almost level
    ends = x0 + (x1 - x0) * ((np.stack([upper, lower]) - y0) / (y1 - y0))
    left, right = ends.min(axis=0)[:, None], ends.max(axis=0)[:, None]
    columns = np.arange(width + 1)
    # how much of a row lies between the edge and a column to its right, per unit of height
    within = (columns - left).clip(0, right - left)
    ramp = within**2 / np.maximum(2 * (right - left), 1e-300)
    reach = ramp + (columns - right).clip(0)
    part[rows] += sign * (lower - upper)[:, None] * np.diff(reach, axis=1)
