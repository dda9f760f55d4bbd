"""Plans the crops of a clip: where the window is in each frame, shot by shot."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from salcli.cropping import paths
from salcli.cropping.paths import SAME, Limits, Motion, Shot
from salcli.cropping.shots import CUT
from salcli.cropping.windows import BINS, Shape, Window

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float32]

__all__ = ["Backdrop", "CropSettings", "Plan", "PlannedShot", "ShownBox", "plan"]

Backdrop: TypeAlias = Literal["blur", "black"]

GAIN, PART = 0.01, 0.1
"""What a moving window must keep in addition, or it rests: this share of attention, or, of maps
without much preference, this part of what it keeps beyond the share of a map without any."""

Move: TypeAlias = Callable[[Shot, Limits], "Floats"]
MOVES: dict[Motion, tuple[tuple[Motion, Move], ...]] = {
    "still": (),
    "pan": (("pan", paths.pan),),
    "follow": (("pan", paths.pan), ("follow", paths.follow)),
}
"""What a window may do instead of resting."""

LONGEST = 1.0
"""Seconds for which a frame counts at most: pauses in a recording are nothing to look at."""


@dataclass(frozen=True)
class CropSettings:
    """How inputs are cropped.

    Attributes:
        shapes: Of the crops.
        motion: How the window may move inside a shot.
        limits: How fast.
        min_share: Shots of which a crop would keep less attention are shown whole, padded.
        backdrop: What padding shows.
        cut: Change of brightness that is a cut.
    """

    shapes: tuple[Shape, ...]
    motion: Motion = "follow"
    limits: Limits = field(default_factory=Limits)
    min_share: float = 0.0
    backdrop: Backdrop = "blur"
    cut: float = CUT


@dataclass(frozen=True)
class ShownBox:
    """What is shown of a frame, counted from 0: its first column and row, and its size."""

    frame: int
    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True)
class PlannedShot:
    """One shot in one crop.

    Attributes:
        first, last: Its frames, from 0.
        start, end: In seconds, as stored in the file.
        motion: `still`, `pan` or `follow`; `padded` if the whole frame is shown.
        share: Of attention that is kept.
        centre_share: That a crop of the centre would keep.
        boxes: What is shown in its middle; where the window moves, at its ends, too.
    """

    first: int
    last: int
    start: float
    end: float
    motion: Literal["still", "pan", "follow", "padded"]
    share: float
    centre_share: float
    boxes: tuple[ShownBox, ...]


@dataclass
class Plan:
    """Where the window is in each frame.

    Attributes:
        window: The window.
        times: Seconds of each frame, as stored in the file.
        places: The window's place in each, on whole pixels, see `salcli.cropping.windows`.
        shares, centre_shares: The share of attention that is kept of each, and that a crop of the
            centre keeps.
        shots: The shots.
    """

    window: Window
    times: npt.NDArray[np.float64]
    places: Floats
    shares: Floats
    centre_shares: Floats
    shots: list[PlannedShot] = field(default_factory=list)

    def mean(self, values: Floats) -> float:
        """The mean over time of a value per frame."""
        return float(np.average(values, weights=shown_for(self.times)))

    def padded(self) -> npt.NDArray[np.bool_]:
        """For each frame whether it is shown whole."""
        found = np.zeros(len(self.times), bool)
        for shot in self.shots:
            found[shot.first : shot.last + 1] = shot.motion == "padded"
        return found

    def box(self, index: int, *, whole: bool) -> tuple[int, int, int, int]:
        """Column, row, width and height of what is shown of a frame, all of it or the window."""
        if whole:
            return 0, 0, self.window.frame[1], self.window.frame[0]
        row, column = self.window.corner(float(self.places[index]))
        return column, row, self.window.size[1], self.window.size[0]


def plan(records: Any, ranges: Sequence[range], window: Window, wanted: CropSettings) -> Plan:
    """Plan one crop of a clip.

    Args:
        records: See `salcli.cropping.measured.FrameRecords.array`, with the attention along both
            sides.
        ranges: The frames of each shot.
        window: The window.
        wanted: How it may move.
    """
    times = np.maximum.accumulate(np.array(records["time"]))
    weights = shown_for(times)
    side = slice(window.axis * BINS, (window.axis + 1) * BINS)
    places, shares, centre = np.zeros((3, len(times)), np.float32)
    found = Plan(window, times, places, shares, centre)
    for frames in ranges:
        part = slice(frames.start, frames.stop)

        def profile(a: int, b: int, first: int = frames.start) -> npt.NDArray[np.floating]:
            # records first: they are a file, of which this reads only these rows
            attention = records[first + a : first + b]["attention"][:, side]
            return np.array(attention, np.float32)

        shot = Shot(times[part] - times[frames.start], weights[part], profile, window)
        _add(found, shot, frames, wanted)
    return found


def _add(found: Plan, shot: Shot, frames: range, wanted: CropSettings) -> None:
    part = slice(frames.start, frames.stop)
    middle = shot.window.on_pixels(np.full(len(frames), shot.window.room / 2, np.float32))
    centre = shot.shares(middle)
    places, motion = _path(shot, wanted)
    shares = shot.shares(places)
    if shot.mean(shares) <= shot.mean(centre):  # no place keeps more
        places, shares, motion = middle, centre, "still"
    share = shot.mean(shares)
    padded = share < wanted.min_share
    found.places[part], found.centre_shares[part] = places, centre
    found.shares[part] = 1 if padded else shares
    middle_frame = (frames.start + frames.stop - 1) // 2
    moves = motion != "still" and not padded
    looked = dict.fromkeys(
        [frames.start, middle_frame, frames.stop - 1] if moves else [middle_frame]
    )
    found.shots.append(
        PlannedShot(
            first=frames.start,
            last=frames.stop - 1,
            start=float(found.times[frames.start]),
            end=float(found.times[frames.stop - 1] + shot.weights[-1]),
            motion="padded" if padded else motion,
            share=1.0 if padded else share,
            centre_share=shot.mean(centre),
            boxes=tuple(ShownBox(index, *found.box(index, whole=padded)) for index in looked),
        )
    )


def _path(shot: Shot, wanted: CropSettings) -> tuple[Floats, Motion]:
    """The path that keeps most, or the best place to rest if moving keeps hardly more."""
    motion: Motion = "still"
    places = paths.still(shot)
    kept = resting = shot.mean(shot.shares(places))
    for name, move in MOVES[wanted.motion]:
        moved = shot.window.on_pixels(move(shot, wanted.limits))
        more = shot.mean(shot.shares(moved))
        enough = max(SAME, min(GAIN, PART * (more - shot.window.length)))
        if more > kept and more - resting > enough:
            places, motion, kept = moved, name, more
    return places, motion


def shown_for(times: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Seconds for which each frame is shown, the last as long as usual."""
    if len(times) < 2:
        return np.ones(len(times))
    steps = np.diff(times).clip(1e-4, LONGEST)
    return np.append(steps, np.median(steps))
