"""Cuts black bars off the frames, and pads the maps back."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from torch import Tensor
from torch.nn import functional

from salcli.filters import LetterboxOptions
from salcli.maps import resize
from salcli.types import Frame, Prediction, Stimulus

if TYPE_CHECKING:
    from salcli.filters.chain import Following

__all__ = ["letterbox", "picture"]

LOOK = 24
"""Number of frames at the beginning of a clip that tell where its bars are."""

Box: TypeAlias = tuple[int, int, int, int]
"""(top, bottom, left, right) in pixels of a frame."""


def letterbox(
    stimulus: Stimulus, following: Following, options: LetterboxOptions
) -> Iterator[Prediction]:
    """Predictions of the frames without their black bars; in the bars the maps are zero.

    A bar is black over its whole length and lies at the edge; it counts as far as the opposite one
    is as wide. The first 24 frames of a clip decide for all of it; each still for itself. A map
    that is padded has the size of its frame.
    """
    frames = _WithoutBars(stimulus.frames, options, clip=stimulus.is_clip)
    for prediction in following(replace(stimulus, frames=frames, size=frames.first_size)):
        size, box = frames.pending.popleft()
        saliency = _padded(prediction.saliency, size, box)
        extras = {name: _padded(map_, size, box) for name, map_ in prediction.extras.items()}
        yield replace(prediction, saliency=saliency, extras=extras)


def picture(frames: Iterable[Frame], options: LetterboxOptions) -> Box:
    """`(top, bottom, left, right)` of what is not a black bar in all frames, of one size."""
    height = width = rows = columns = 0
    for frame in frames:
        above, beside = _bars(frame, options.level)
        if not height:
            height, width = frame.shape[:2]
            rows, columns = above, beside
        rows, columns = min(rows, above), min(columns, beside)
        if not rows and not columns:
            break
    if 2 * rows >= height or 2 * columns >= width:  # everything is black
        return 0, height, 0, width
    return rows, height - rows, columns, width - columns


def _bars(frame: Frame, level: int) -> tuple[int, int]:
    """Width of the bars above and below, and of those left and right; a black frame is all bar."""
    bright = frame.max(axis=2) > level
    found = []
    for seen in (bright.any(axis=1), bright.any(axis=0)):
        nearest = min(int(seen.argmax()), int(seen[::-1].argmax()))
        found.append(nearest if seen.any() else len(seen))
    return found[0], found[1]


class _WithoutBars:
    """Frames without their bars; may be iterated again.

    Attributes:
        first_size: `(H, W)` of the first frame; zeros if there is none.
        pending: Size of each frame whose map has not come back yet, and the part that was shown.
    """

    def __init__(self, frames: Iterable[Frame], options: LetterboxOptions, *, clip: bool) -> None:
        self._frames, self._options = frames, options
        self._taken = 0
        box = picture(islice(frames, LOOK if clip else 1), options)
        self._box = box if clip else None
        self.first_size = box[1] - box[0], box[3] - box[2]
        self.pending: deque[tuple[tuple[int, int], Box]] = deque()

    def __iter__(self) -> Iterator[Frame]:
        for index, frame in enumerate(self._frames):
            box = self._box or picture([frame], self._options)
            if index == self._taken:
                self._taken += 1
                self.pending.append(((frame.shape[0], frame.shape[1]), box))
            top, bottom, left, right = box
            yield np.ascontiguousarray(frame[top:bottom, left:right])


def _padded(map_: Tensor, size: tuple[int, int], box: Box) -> Tensor:
    """The map of a part of a frame, as a map of the frame; unchanged if the part is all of it."""
    height, width = size
    top, bottom, left, right = box
    if box == (0, height, 0, width):
        return map_
    fitted = resize(map_[None], (bottom - top, right - left))[0]
    return functional.pad(fitted, (left, width - right, top, height - bottom))
