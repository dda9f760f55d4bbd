"""Chooses frames of a clip that show well what it is about."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from salcli.cropping.plan import Plan

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["key_frames"]

EDGE = 3
"""Frames at the ends of a shot that are not chosen: cuts are often blurred or mixed."""


def key_frames(sharpness: npt.NDArray[np.float32], plan: Plan, count: int) -> list[int]:
    """Indices of at most `count` frames: of equal parts of the clip, one each.

    Of the sharper half of a part, it is the frame of which the crop keeps most attention.
    """
    inside = np.ones(len(sharpness), bool)
    for shot in plan.shots:
        if shot.last - shot.first > 4 * EDGE:
            inside[shot.first : shot.first + EDGE] = False
            inside[shot.last + 1 - EDGE : shot.last + 1] = False
    found = []
    for part in np.array_split(np.arange(len(sharpness)), count) if count else ():
        usable = part[inside[part]] if inside[part].any() else part
        if len(usable):
            sharp = usable[sharpness[usable] >= np.median(sharpness[usable])]
            found.append(int(sharp[plan.shares[sharp].argmax()]))
    return found
