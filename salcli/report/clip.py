"""A clip small enough for a page."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from salcli.output.movie import Movie

if TYPE_CHECKING:
    from salcli.types import Frame, Result, Stimulus

__all__ = ["Footage"]

SIDE, QUALITY = 640, 26
"""Longest side, and x264's constant rate factor."""


class Footage:
    """The frames of a clip as MP4, with the clip's sound; a context manager."""

    def __init__(self, stimulus: Stimulus) -> None:
        height, width = stimulus.size
        scale = min(1.0, SIDE / max(height, width))
        self._size = _even(width * scale), _even(height * scale)
        self._stimulus = stimulus
        self._stack = ExitStack()

    def __enter__(self) -> Footage:
        folder = tempfile.TemporaryDirectory(prefix="salcli-report-")
        self._path = Path(self._stack.enter_context(folder)) / "clip.mp4"
        self._movie = Movie(
            self._path,
            shown=self._path,
            draw=self._draw,
            fps=self._stimulus.fps or 1,
            source=self._stimulus.source,
            quality=QUALITY,
        )
        self._stack.callback(self._movie.discard)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def add(self, result: Result) -> None:
        """Append the frame of a result, which must carry it."""
        self._movie.add(result)

    def finish(self) -> bytes:
        """The MP4 file."""
        self._movie.finish()
        return self._path.read_bytes()

    def _draw(self, result: Result) -> Frame:
        if result.frame is None:
            raise ValueError("footage needs results that carry their frame (keep_frames=True)")
        picture = Image.fromarray(result.frame)
        return np.asarray(picture.resize(self._size, Image.Resampling.LANCZOS))


def _even(side: float) -> int:
    """An even side, which every player knows."""
    return max(2, 2 * round(side / 2))
