"""The size of a crop window of a given shape, and how much attention it encloses at a place.

A window is the largest of its shape in the frame. So it moves along one side of the frame, and the
attention along that side decides about its place. Places and lengths are shares of that side.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from salcli.errors import UsageError

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float32]

__all__ = ["BINS", "Shape", "Window", "cumulated", "enclosed", "fit", "profiles", "shape", "sized"]

BINS = 512
"""Parts of each side of the frame whose attention is kept: so many that shares of smooth maps
are right to some thousandths of a percent."""

TEXT = re.compile(r"(\d+(?:\.\d+)?):(\d+(?:\.\d+)?)")


@dataclass(frozen=True)
class Shape:
    """The shape of a crop.

    Attributes:
        ratio: Width divided by height, as it is shown.
        size: `(H, W)` to which crops are resized; `None` leaves them as they are.
        name: What files are named after.
    """

    ratio: Fraction
    size: tuple[int, int] | None
    name: str


def shape(text: str) -> Shape:
    """The shape of a ratio such as `9:16` or `2.39:1`.

    Raises:
        UsageError: It is none.
    """
    found = TEXT.fullmatch(text)
    if not found or not (Fraction(found[1]) and Fraction(found[2])):
        raise UsageError(f"'{text}' is not a ratio such as 9:16")
    return Shape(Fraction(found[1]) / Fraction(found[2]), None, f"{found[1]}x{found[2]}")


def sized(size: tuple[int, int]) -> Shape:
    """The shape of crops that are resized to `(H, W)`."""
    return Shape(Fraction(size[1], size[0]), size, f"{size[1]}x{size[0]}px")


@dataclass(frozen=True)
class Window:
    """The window of a shape in frames of one size.

    Attributes:
        shape: Its shape.
        frame: `(H, W)` of the frames.
        size: `(H, W)` of the window, in their pixels.
        output: `(H, W)` of the crops.
        inner: `(H, W)` of a whole frame that is fitted into a crop.
        pixel_aspect: Width of a pixel of the crops divided by its height.
    """

    shape: Shape
    frame: tuple[int, int]
    size: tuple[int, int]
    output: tuple[int, int]
    inner: tuple[int, int]
    pixel_aspect: Fraction

    @property
    def axis(self) -> int:
        """The side along which it moves: 0 is the height, 1 the width."""
        left = [whole - part for whole, part in zip(self.frame, self.size, strict=True)]
        return 0 if left[0] * self.frame[1] > left[1] * self.frame[0] else 1

    @property
    def length(self) -> float:
        """Its length along that side."""
        return self.size[self.axis] / self.frame[self.axis]

    @property
    def room(self) -> float:
        """The farthest place; the nearest is 0."""
        return 1 - self.length

    @property
    def places(self) -> Floats:
        """All places where it lies on whole pixels, `[P]`."""
        side = self.frame[self.axis]
        return np.arange(side - self.size[self.axis] + 1, dtype=np.float32) / np.float32(side)

    def on_pixels(self, places: Floats) -> Floats:
        """For each place the nearest one where it lies on whole pixels."""
        known, side = self.places, self.frame[self.axis]
        found: Floats = known[np.rint(places * side).astype(np.intp).clip(0, len(known) - 1)]
        return found

    def corner(self, place: float) -> tuple[int, int]:
        """Row and column of its first pixel at a place on whole pixels."""
        first = round(place * self.frame[self.axis])
        return (first, 0) if self.axis == 0 else (0, first)


def fit(
    shape: Shape, frame: tuple[int, int], *, pixel_aspect: Fraction = Fraction(1), even: bool
) -> Window:
    """The largest window of a shape in a frame `(H, W)`.

    Args:
        shape: The shape.
        frame: Size of the frame.
        pixel_aspect: Width of a pixel divided by its height.
        even: Whether its sides must be even, as most players want those of video.

    Raises:
        UsageError: The frame is too small for it.
    """
    height, width = frame
    stored = shape.ratio / pixel_aspect  # in pixels, which need not be square
    wide = min(width, round(height * stored))
    high = min(height, round(width / stored)) if wide == width else height
    if even:
        wide, high = wide // 2 * 2, high // 2 * 2
    if not (wide and high):
        raise UsageError(f"a frame of {width}x{height} is too small for a crop {shape.name}")
    output = shape.size or (high, wide)
    own = Fraction(1) if shape.size else pixel_aspect  # a size that was asked for is of squares
    whole = Fraction(width, height) * pixel_aspect / own
    fitted = (
        min(output[0], max(1, round(output[1] / whole))),
        min(output[1], max(1, round(output[0] * whole))),
    )
    return Window(shape, frame, (high, wide), output, fitted, own)


def profiles(saliency: Floats) -> Floats:
    """The attention along height and width of a map `[h, w]`: `[2, BINS]`, each with mean 1.

    A map of zeros prefers no place.
    """
    found = np.empty((2, BINS), np.float32)
    for axis in (0, 1):
        sums = np.concatenate(([0.0], saliency.sum(axis=1 - axis, dtype=np.float64).cumsum()))
        if sums[-1] <= 0:
            sums = np.arange(len(sums), dtype=np.float64)
        edges = np.linspace(0, len(sums) - 1, BINS + 1)
        parts = np.diff(np.interp(edges, np.arange(len(sums)), sums))
        found[axis] = parts * (BINS / sums[-1])
    return found


def cumulated(profile: npt.NDArray[np.floating]) -> Floats:
    """The attention up to each edge between parts, of profiles `[n, BINS]`: `[n, BINS + 1]`."""
    sums = np.zeros((len(profile), BINS + 1), np.float32)
    exact = np.cumsum(profile, axis=1, dtype=np.float64)
    sums[:, 1:] = exact / exact[:, -1:]
    return sums


def enclosed(sums: npt.NDArray[np.floating], places: Floats, length: float) -> Floats:
    """The share of attention from each place on over a length.

    Args:
        sums: See `cumulated`, `[n, BINS + 1]`.
        places: `[n]`, one for each, or `[1, P]`, the same for all.
        length: Of the window.

    Returns:
        `[n]`, or `[n, P]`.
    """
    rows = np.arange(len(sums)) if places.ndim == 1 else np.arange(len(sums))[:, None]

    def up_to(at: Floats) -> Floats:
        position = np.clip(at * BINS, 0, BINS)
        first = np.minimum(position.astype(np.intp), BINS - 1)
        part = (position - first).astype(np.float32)
        found: Floats = sums[rows, first] * (1 - part) + sums[rows, first + 1] * part
        return found

    return up_to(places + np.float32(length)) - up_to(places)
