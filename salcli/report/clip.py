"""A clip, encoded small enough for a page."""

from __future__ import annotations

from contextlib import ExitStack
from operator import attrgetter
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from salcli.files.atomic import temporary_folder
from salcli.output.movie import Movie

if TYPE_CHECKING:
    from salcli.panels.board import ComparedFrame
    from salcli.types import Stimulus

__all__ = ["EmbeddedClip"]

SIDE, QUALITY = 640, 26
"""Longest side, and x264's constant rate factor."""


class EmbeddedClip:
    """The frames of a clip as MP4, with the clip's sound; a context manager."""

    def __init__(self, stimulus: Stimulus) -> None:
        height, width = stimulus.size[0], stimulus.size[1] * float(stimulus.pixel_aspect)
        scale = min(1.0, SIDE / max(height, width))
        self._size = _even(width * scale), _even(height * scale)
        self._stimulus = stimulus
        self._stack = ExitStack()

    def __enter__(self) -> EmbeddedClip:
        self._path = self._stack.enter_context(temporary_folder()) / "clip.mp4"
        self._movie = Movie(
            self._path,
            shown=self._path,
            draw=attrgetter("frame"),
            fps=self._stimulus.fps or 1,
            source=self._stimulus.source,
            source_start=self._stimulus.source_start,
            quality=QUALITY,
        )
        self._stack.callback(self._movie.discard)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def add(self, compared: ComparedFrame) -> None:
        """Append a frame's picture."""
        picture = Image.fromarray(compared.picture).resize(self._size, Image.Resampling.LANCZOS)
        self._movie.add(compared.result(np.asarray(picture)))

    def finish(self) -> bytes:
        """The bytes of the MP4 file."""
        self._movie.finish()
        return self._path.read_bytes()


def _even(side: float) -> int:
    """The nearest even number: every player takes even sides."""
    return max(2, 2 * round(side / 2))
