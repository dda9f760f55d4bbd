"""Frames in memory: arrays, tensors and Pillow's images, one or several, taken lazily."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sized
from itertools import chain
from typing import Any

import numpy as np
from PIL import Image

from salcli.errors import InputError
from salcli.media.images import to_rgb
from salcli.types import Frame, Stimulus

__all__ = ["in_memory", "is_picture", "picture"]


def picture(frame: Any) -> Frame:
    """One frame as RGB uint8 `[H, W, 3]`.

    Args:
        frame: An image of Pillow; an array uint8 `[H, W]`, `[H, W, 1]`, `[H, W, 3]` or `[H, W, 4]`;
            or a tensor uint8, channels first as torchvision has them: `[1, H, W]`, `[3, H, W]` or
            `[4, H, W]`. One channel is grey. Four are RGBA, whose transparent parts become mid
            grey, as those of files do.

    Raises:
        InputError: It is anything else.
    """
    if isinstance(frame, Image.Image):
        return to_rgb(frame)
    found, array = type(frame).__name__, frame
    if _is_tensor(frame):
        array = frame.detach().cpu().numpy()
        array = np.moveaxis(array, 0, -1) if array.ndim == 3 else array[None, None]
    if isinstance(array, np.ndarray):
        found = f"{array.dtype} {list(frame.shape)}"
        grey = array[..., None] if array.ndim == 2 else array
        if array.dtype == np.uint8 and grey.ndim == 3 and array.size:
            if grey.shape[2] == 1:
                return np.repeat(grey, 3, axis=2)
            if grey.shape[2] == 3:
                return np.ascontiguousarray(grey)
            if grey.shape[2] == 4:
                return to_rgb(Image.fromarray(np.ascontiguousarray(grey), "RGBA"))
    raise InputError(
        "a frame must be an image of Pillow, a uint8 array [H, W], [H, W, 3] (RGB) or [H, W, 4] "
        f"(RGBA), or a uint8 tensor [3, H, W], not {found}"
    )


def is_picture(source: Any) -> bool:
    """Whether it is one frame, not several."""
    if isinstance(source, Image.Image):
        return True
    return (isinstance(source, np.ndarray) or _is_tensor(source)) and source.ndim in (2, 3)


def in_memory(source: Any, fps: float | None) -> Stimulus:
    """A stimulus of one frame or of several, which are converted when they are needed.

    Args:
        source: One frame (see `picture`), or any iterable of frames: a list, an array
            `[N, H, W, 3]`, a generator.
        fps: Frames per second of a clip, or `None` for unrelated stills.

    Raises:
        InputError: There is no frame, the first is none, or frames of a clip differ in size; raised
            as the frames are taken where they are not a list, tuple, array or tensor.
    """
    listed = [source] if is_picture(source) else source
    if isinstance(listed, str | bytes) or not isinstance(listed, Iterable):
        raise InputError(f"frames in memory must be an iterable of frames, not {listed!r}")
    frames = _MemoryFrames(listed, same=fps is not None)
    size, count = frames.first.shape[:2], None
    if isinstance(listed, Sized):
        count = len(listed)
    if fps is not None and isinstance(listed, list | tuple) and _sizes_differ(listed):
        raise InputError(MIXED)
    return Stimulus("frames", frames, fps=fps, size=(size[0], size[1]), count=count)


MIXED = "the frames of a clip must have one size; without fps they are stills"


class _MemoryFrames:
    """The frames of an iterable as RGB; an iterator can be gone through only once."""

    def __init__(self, source: Iterable[Any], *, same: bool) -> None:
        self._source, self._same = source, same
        start = iter(source)
        first = next(start, None)
        if first is None:
            raise InputError("there are no frames to predict")
        self.first = picture(first)
        # what has been taken from an iterator must come again
        self._rest = chain([first], start) if start is source else None
        self._begun = False

    def __iter__(self) -> Iterator[Frame]:
        """The frames from the first one on.

        Raises:
            InputError: A frame is none, has another size, or the iterator is used up.
        """
        if self._rest is not None and self._begun:
            raise InputError(
                "frames from an iterator can be read only once, but a smaller batch needs them "
                "again; give a list, or a smaller batch_size"
            )
        self._begun = True
        for each in self._source if self._rest is None else self._rest:
            frame = picture(each)
            if self._same and frame.shape != self.first.shape:
                raise InputError(MIXED)
            yield frame


def _is_tensor(value: Any) -> bool:
    return type(value).__module__.partition(".")[0] == "torch" and hasattr(value, "detach")


def _sizes_differ(frames: Iterable[Any]) -> bool:
    sizes = {
        getattr(frame, "size" if isinstance(frame, Image.Image) else "shape") for frame in frames
    }
    return len(sizes) > 1
