"""What a report says of one input: pictures, maps, and numbers for each model."""

from __future__ import annotations

import base64
import math
import tempfile
from collections import defaultdict
from collections.abc import Generator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from salcli import prediction
from salcli.movie import Movie
from salcli.report.tiles import Tiles, data_url
from salcli.table import summary

if TYPE_CHECKING:
    from salcli.model import Loaded
    from salcli.progress import Watcher
    from salcli.types import Frame, Result, Stimulus

__all__ = ["entries_of"]

PICTURE_SIDE, STILL_SIDE, CLIP_SIDE = 1280, 320, 96
"""Longest sides of pictures, of maps of stills, and of maps of clips: maps are smooth."""

MOVIE_SIDE, MOVIE_QUALITY = 640, 26

MOMENTS_PER_SECOND, MOST_MOMENTS = 10, 3000
"""How many maps of a clip are kept; of clips longer than five minutes fewer per second."""

Series = dict[str, list[float | None]]


def entries_of(
    stimulus: Stimulus, models: Sequence[Loaded], watcher: Watcher
) -> list[dict[str, Any]]:
    """One entry for a clip; one for each still.

    Raises:
        InputError: The stimulus cannot be read.
        PluginError: A model broke its contract.
    """
    return (
        [_clip(stimulus, models, watcher)]
        if stimulus.is_clip
        else _stills(stimulus, models, watcher)
    )


def _results(loaded: Loaded, stimulus: Stimulus, watcher: Watcher) -> Generator[Result, None, None]:
    """The maps of a model at the frames' size, with the frames."""
    watcher.start(f"{stimulus.name} ({loaded.label})", stimulus.count)
    results = prediction.run(
        loaded.model, stimulus, extras=False, keep_frames=True, notice=watcher.note
    )
    with closing(results):
        for result in results:
            watcher.step()
            yield result


def _stills(stimulus: Stimulus, models: Sequence[Loaded], watcher: Watcher) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = []
    for loaded in models:
        for result in _results(loaded, stimulus, watcher):
            if result.index == len(entries):
                entries.append(_still(result))
            tiles = Tiles()
            tiles.add(_shrunk(result.saliency, STILL_SIDE))
            model = {"name": loaded.label, "tiles": tiles.document(), "facts": _facts(result)}
            entries[result.index]["models"].append(model)
    return entries


def _still(result: Result) -> dict[str, Any]:
    frame = _frame(result)
    height, width = frame.shape[:2]
    picture = Image.fromarray(frame)
    picture.thumbnail((PICTURE_SIDE, PICTURE_SIDE), Image.Resampling.LANCZOS)
    return {
        "name": result.label,
        "width": width,
        "height": height,
        "picture": data_url(picture, "jpeg"),
        "models": [],
    }


def _facts(result: Result) -> dict[str, Any]:
    """Numbers of one map, as the page shows them."""
    found = summary(result.saliency)
    if found is None:
        return {"peak": "none, the map is zero everywhere"}
    x, y = found.peak
    return {"peak": f"{x}, {y}", "entropy": f"{found.entropy:.2f} bits"}


def _clip(stimulus: Stimulus, models: Sequence[Loaded], watcher: Watcher) -> dict[str, Any]:
    assert stimulus.fps is not None
    entry: dict[str, Any] = {"name": stimulus.name, "models": []}
    for loaded in models:
        track = _Track(stimulus.fps)
        with ExitStack() as stack:
            results = stack.enter_context(closing(_results(loaded, stimulus, watcher)))
            footage = None if "video" in entry else stack.enter_context(_Footage(stimulus))
            for result in results:
                track.add(result)
                if footage:
                    footage.add(result)
            if footage:
                entry["video"] = footage.finish()
        entry |= track.moments()
        entry["models"].append({"name": loaded.label, **track.document()})
    return entry


class _Track:
    """The maps and numbers of a clip by one model, at most `MOST_MOMENTS` of them."""

    def __init__(self, fps: float) -> None:
        self._fps = fps
        self._every = max(1, round(fps / MOMENTS_PER_SECOND))
        self._frames: list[int] = []
        self._tiles = Tiles()
        self._series: Series = defaultdict(list)
        self._peak: tuple[float, float] | None = None
        self._count = 0

    def add(self, result: Result) -> None:
        """Note a map, if its turn has come."""
        self._count += 1
        if result.index % self._every:
            return
        if len(self._tiles) == MOST_MOMENTS:
            self._thin()
            if result.index % self._every:
                return
        self._frames.append(result.index)
        self._tiles.add(_shrunk(result.saliency, CLIP_SIDE))
        found = summary(result.saliency)
        self._series["entropy, bits"].append(found.entropy if found else None)
        height, width = result.saliency.shape
        peak = (found.peak[0] / width, found.peak[1] / height) if found else None
        self._series["peak motion, widths/s"].append(self._motion(peak, height / width))
        self._peak = peak

    def _thin(self) -> None:
        self._every *= 2
        self._tiles.thin()
        self._frames = self._frames[::2]
        self._series = {name: values[::2] for name, values in self._series.items()}

    def _motion(self, peak: tuple[float, float] | None, aspect: float) -> float | None:
        """How fast the peak moved since the last map, in widths of the picture per second."""
        if peak is None or self._peak is None:
            return None
        across, down = peak[0] - self._peak[0], (peak[1] - self._peak[1]) * aspect
        return math.hypot(across, down) * self._fps / self._every

    def moments(self) -> dict[str, Any]:
        """When the maps are, in seconds; the same for every model."""
        times = [frame / self._fps for frame in self._frames]
        return {"times": times, "duration": self._count / self._fps}

    def document(self) -> dict[str, Any]:
        """What the page knows of one model."""
        known = [value for value in self._series["entropy, bits"] if value is not None]
        mean = f"{sum(known) / len(known):.2f} bits" if known else "undefined"
        facts = {"frames": self._count, "mean entropy": mean}
        return {"tiles": self._tiles.document(), "series": dict(self._series), "facts": facts}


class _Footage:
    """The clip itself, small enough for a page, with its sound; a context manager."""

    def __init__(self, stimulus: Stimulus) -> None:
        assert stimulus.fps is not None
        height, width = stimulus.size
        scale = min(1.0, MOVIE_SIDE / max(height, width))
        # even sides, which every player knows
        self._size = _even(width * scale), _even(height * scale)
        self._stack = ExitStack()
        folder = Path(
            self._stack.enter_context(tempfile.TemporaryDirectory(prefix="salcli-report-"))
        )
        self._path = folder / "clip.mp4"
        self._movie = Movie(
            self._path,
            shown=self._path,
            draw=self._draw,
            fps=stimulus.fps,
            source=stimulus.source,
            quality=MOVIE_QUALITY,
        )

    def __enter__(self) -> _Footage:
        self._stack.callback(self._movie.discard)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def add(self, result: Result) -> None:
        """Append the frame of a result."""
        self._movie.add(result)

    def finish(self) -> str:
        """The MP4 file, base64."""
        self._movie.finish()
        return base64.b64encode(self._path.read_bytes()).decode()

    def _draw(self, result: Result) -> Frame:
        picture = Image.fromarray(_frame(result))
        return np.asarray(picture.resize(self._size, Image.Resampling.LANCZOS))


def _even(side: float) -> int:
    return max(2, 2 * round(side / 2))


def _frame(result: Result) -> Frame:
    assert result.frame is not None  # every result here carries it
    return result.frame


def _shrunk(
    saliency: np.ndarray[Any, np.dtype[np.float32]], side: int
) -> np.ndarray[Any, np.dtype[np.float32]]:
    """The map with its longer side at most so long."""
    height, width = saliency.shape
    scale = min(1.0, side / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    shrunk = Image.fromarray(saliency).resize(size, Image.Resampling.BOX)
    return np.asarray(shrunk)
