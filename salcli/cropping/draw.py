"""Draws crops: the part in the window, a whole frame with padding, the window in the frame."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageFilter

from salcli.cropping.plan import Backdrop
from salcli.cropping.windows import Window
from salcli.types import Frame

__all__ = ["crop", "marked", "padded"]

BLURRED = 24
"""Longer side of the picture that a blurred backdrop is made of."""

DARKER = 0.5
"""Brightness of a backdrop, and of what is outside of the window."""

MARK = (255, 214, 10)
"""Colour of the window's border."""


def crop(frame: Frame, box: tuple[int, int, int, int], output: tuple[int, int]) -> Frame:
    """A box (column, row, width, height) of a frame `[H, W, 3]`, at the size `output`."""
    x, y, width, height = box
    part = frame[y : y + height, x : x + width]
    if (height, width) == output:
        return np.ascontiguousarray(part)
    picture = Image.fromarray(part).resize(output[::-1], Image.Resampling.LANCZOS)
    return np.asarray(picture)


def padded(frame: Frame, window: Window, backdrop: Backdrop) -> Frame:
    """The whole frame inside a picture of the crop's size, before a backdrop."""
    height, width = window.output
    high, wide = window.inner
    picture = _backdrop(frame, (height, width), backdrop)
    inner = Image.fromarray(frame).resize((wide, high), Image.Resampling.LANCZOS)
    picture.paste(inner, ((width - wide) // 2, (height - high) // 2))
    return np.array(picture)


def _backdrop(frame: Frame, size: tuple[int, int], backdrop: Backdrop) -> Image.Image:
    if backdrop == "black":
        return Image.new("RGB", size[::-1])
    whole = Image.fromarray(frame)
    scale = max(size[0] / whole.height, size[1] / whole.width)
    wide, high = size[1] / scale / 2, size[0] / scale / 2
    x, y = whole.width / 2, whole.height / 2
    shrink = BLURRED / max(size)
    small = whole.resize(
        (max(1, round(size[1] * shrink)), max(1, round(size[0] * shrink))),
        Image.Resampling.BOX,
        box=(x - wide, y - high, x + wide, y + high),
    )
    small = small.filter(ImageFilter.GaussianBlur(1)).point(lambda level: level * DARKER)
    return small.resize(size[::-1], Image.Resampling.BICUBIC)


def marked(frame: Frame, box: tuple[int, int, int, int]) -> Frame:
    """The frame, darker outside of a box, which has a border."""
    x, y, width, height = box
    line = max(1, round(min(frame.shape[:2]) / 180))
    picture = (frame * np.float32(DARKER)).astype(np.uint8)
    picture[y : y + height, x : x + width] = MARK
    inner = (slice(y + line, y + height - line), slice(x + line, x + width - line))
    picture[inner] = frame[inner]
    return picture
