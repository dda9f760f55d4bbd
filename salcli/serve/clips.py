"""From an uploaded clip to its maps over time, and to a movie with the overlay."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from salcli.media import images
from salcli.media.open import open_stimulus
from salcli.output.movie import Movie
from salcli.prediction import loop
from salcli.render.heatmap import overlay
from salcli.report.tiles import shrunk
from salcli.serve.limits import Refusal, ServerLimits
from salcli.serve.pictures import check_size, packed

if TYPE_CHECKING:
    from salcli.models.loading import Loaded
    from salcli.serve.orders import UploadOrder
    from salcli.types import Frame, Result, Stimulus

__all__ = ["run"]

MAP_SIDE, APART = 128, 0.095
"""Longest side of the maps, and the least seconds between two that are kept."""

MOVIE_SIDE = 1280
"""Longest side of the movie."""


def run(order: UploadOrder, loaded: Loaded, limits: ServerLimits) -> Iterator[Mapping[str, Any]]:
    """Predict frame by frame, and write `result` and the movie into the order's folder.

    Yields, after each frame, how many are done, and of how many, if that is known.

    Raises:
        InputError: It is not a clip.
        Refusal: It is too large or too long.
    """
    if images.kind_of(order.upload) == "still":
        raise Refusal(415, "this is a picture, not a clip")
    stimulus = open_stimulus(order.upload, kind="clip")
    assert stimulus.fps is not None  # or it would be no clip
    check_size(stimulus.size, limits)
    expected = stimulus.expected
    if expected and expected / stimulus.fps > limits.clip_seconds:
        raise _too_long(limits)
    movie = Movie(
        order.movie,
        shown=order.movie,
        draw=_drawn,
        fps=stimulus.fps,
        source=stimulus.source,
        source_start=stimulus.source_start,
        pixel_aspect=stimulus.pixel_aspect,
    )
    kept = _Kept(stimulus)
    results = loop.run(
        loaded.model, stimulus, extras=False, keep_frames=True, notice=lambda _: None
    )
    try:
        with closing(results):
            for done, result in enumerate(results, start=1):
                if done > limits.clip_frames or kept.seconds > limits.clip_seconds:
                    raise _too_long(limits)
                movie.add(result)
                kept.add(result)
                yield {"done": done, "frames": max(done, expected) if expected else None}
        movie.finish()
    except BaseException:  # closed by the server, too
        movie.discard()
        raise
    order.result.write_text(json.dumps(kept.document(loaded), separators=(",", ":")))


def _too_long(limits: ServerLimits) -> Refusal:
    return Refusal(
        413,
        f"the clip is longer than {limits.clip_seconds:g} seconds or {limits.clip_frames} frames; "
        "cut it, or use `salcli predict`",
    )


def _drawn(result: Result) -> Frame:
    """The frame under its map, small enough to be fetched."""
    assert result.frame is not None  # keep_frames
    picture = Image.fromarray(result.frame)
    picture.thumbnail((MOVIE_SIDE, MOVIE_SIDE), Image.Resampling.BOX)
    return overlay(np.asarray(picture), result.saliency)


class _Kept:
    """The maps of a clip, thinned and shrunk.

    Attributes:
        seconds: How long it is so far.
    """

    def __init__(self, stimulus: Stimulus) -> None:
        assert stimulus.fps is not None
        self._stimulus, self._fps = stimulus, stimulus.fps
        self._times: list[float] = []
        self._maps: list[bytes] = []
        self._size, self._frames, self._first, self.seconds = (0, 0), 0, 0.0, 0.0

    def add(self, result: Result) -> None:
        """Take the next result, or leave it out."""
        assert result.time is not None  # since it is a clip
        self._first = self._first if self._frames else result.time
        self.seconds = result.time - self._first
        if not self._times or self.seconds >= self._times[-1] + APART:
            small = shrunk(result.saliency, MAP_SIDE)
            self._size = (small.shape[0], small.shape[1])
            self._times.append(round(self.seconds, 6))
            self._maps.append(packed(small))
        self._frames += 1

    def document(self, loaded: Loaded) -> dict[str, Any]:
        """All of it for JSON; the maps follow each other in one text."""
        height, width = self._stimulus.size
        shown = {"name": "saliency", "width": self._size[1], "height": self._size[0]}
        return {
            "model": loaded.label,
            "weights_sha256": loaded.digest,
            "width": round(width * float(self._stimulus.pixel_aspect)),
            "height": height,
            "fps": self._fps,
            "frames": self._frames,
            "duration": round(self.seconds + 1 / self._fps, 6),
            "times": self._times,
            "maps": [{**shown, "data": base64.b64encode(b"".join(self._maps)).decode()}],
        }
