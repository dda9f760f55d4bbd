"""Encodes optical flow as pictures, the second stream's input (section 3 of the paper).

A field of flow is float32 `[h, w, 2]`: how far each pixel moves to the right and down, in pixels of
a grid of 320 x 240, whatever the field's own size.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from salcli import Frame
from salcli_stsnet import Encoding

__all__ = ["GRID", "Encode", "Field", "encode", "no_motion"]

Field: TypeAlias = npt.NDArray[np.float32]

Encode: TypeAlias = Callable[[Field], Frame]
"""Turns a field into a picture: `encode` with an encoding."""

GRID = (240, 320)
"""Height and width of the grid on which flow is measured."""

LEVELS_PER_PIXEL, NO_MOTION = 16.0, 128.0
"""Grey levels per pixel of motion, and of no motion, as Donahue et al. (LRCN, 2015) describe."""

WHEEL = (15, 6, 4, 11, 13, 6)
"""Number of the colour wheel's hues between red, yellow, green, cyan, blue, magenta, red
(Baker et al., A Database and Evaluation Methodology for Optical Flow, IJCV 2011)."""

CORNERS = ((255, 0, 0), (255, 255, 0), (0, 255, 0), (0, 255, 255), (0, 0, 255), (255, 0, 255))


def encode(
    field: Field,
    encoding: Encoding,
    *,
    scale: float = LEVELS_PER_PIXEL,
    offset: float = NO_MOTION,
) -> Frame:
    """The picture of a field `[h, w, 2]`, RGB.

    Args:
        field: The flow.
        encoding: As the option `flow_encoding`.
        scale: Grey levels per pixel of motion; the wheel has none.
        offset: Grey level of no motion, likewise.
    """
    if encoding == "wheel":
        return _wheel(field)
    magnitude = np.hypot(field[..., 0], field[..., 1])
    levels = scale * np.dstack([field, magnitude])
    levels[..., :2] += offset
    if encoding == "uvm16":
        levels[..., 2] += offset
    picture: Frame = np.floor(np.clip(levels, 0, 255) + np.float32(0.5)).astype(np.uint8)
    return picture


def no_motion(encode: Encode) -> Frame:
    """The picture of a field without motion."""
    return encode(np.zeros((*GRID, 2), np.float32))


def _wheel(field: Field) -> Frame:
    """Direction as hue, speed as saturation; the fastest pixel of the field is fully coloured."""
    colours = _colours()
    magnitude = np.hypot(field[..., 0], field[..., 1])
    speed = magnitude / (magnitude.max() + np.finfo(np.float32).eps)
    turn = np.arctan2(-field[..., 1], -field[..., 0]) / np.pi
    place = (turn + 1) / 2 * (len(colours) - 1)
    below = np.floor(place).astype(int)
    share = (place - below)[..., None]
    hue = (1 - share) * colours[below] + share * colours[(below + 1) % len(colours)]
    picture: Frame = np.floor(255 - speed[..., None] * (255 - hue)).astype(np.uint8)
    return picture


def _colours() -> npt.NDArray[np.float32]:
    """The hues of the wheel `[55, 3]`, 0 to 255."""
    hues = []
    for start, stop, count in zip(CORNERS, (*CORNERS[1:], CORNERS[0]), WHEEL, strict=True):
        direction = np.sign(np.subtract(stop, start))  # one of red, green and blue rises or falls
        hues.append(start + np.outer(np.floor(255 * np.arange(count) / count), direction))
    return np.concatenate(hues).astype(np.float32)
