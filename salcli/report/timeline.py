"""What several models say of a clip over its time, thinned to what a page can hold."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from salcli.output.frametable import summary
from salcli.report.tiles import Tiles, levels

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["Said", "Tracks"]

CLIP_SIDE = 96
"""Longest side of a map."""

MOMENTS_PER_SECOND, MOST_MOMENTS = 10, 3000
"""How many maps of a clip are kept; of clips longer than five minutes fewer per second."""

MOTION = "peak motion, widths/s"


@dataclass(frozen=True)
class Said:
    """What a model, or observers, say of one frame.

    Attributes:
        name: Of the model.
        saliency: `[H, W]`, at the frame's size.
        scores: Against the ground truth, by metric; NaN where undefined.
        areas: Share of attention and lift over its size, by area; no lift off the screen.
    """

    name: str
    saliency: npt.NDArray[np.float32]
    scores: Mapping[str, float]
    areas: Mapping[str, tuple[float, float | None]]


@dataclass(frozen=True)
class _Moment:
    """What is kept of one map.

    Attributes:
        levels: The map, small.
        peak: Where its peak is, in widths of the frame; `None` for a map of zeros.
        values: Numbers by name.
    """

    levels: npt.NDArray[np.uint8]
    peak: tuple[float, float] | None
    values: Mapping[str, float]


class Tracks:
    """Collects what models say, frame after frame, in order."""

    def __init__(self, fps: float) -> None:
        self._fps = fps
        self._every = max(1, round(fps / MOMENTS_PER_SECOND))
        self._count = 0
        self._kept: list[int] = []
        self._tracks: dict[str, list[_Moment | None]] = {}

    def wants(self, index: int) -> bool:
        """Whether the frame at an index belongs to those that are kept; to be asked of each."""
        self._count = index + 1
        if index % self._every == 0 and len(self._kept) == MOST_MOMENTS:
            self._every *= 2
            self._kept = self._kept[::2]
            self._tracks = {name: moments[::2] for name, moments in self._tracks.items()}
        return index % self._every == 0

    def add(self, index: int, said: Sequence[Said]) -> None:
        """Keep what was said of a frame. Who says nothing of it has nothing to show there."""
        before = len(self._kept)
        self._kept.append(index)
        now = {each.name: _moment(each) for each in said}
        for name in {**self._tracks, **now}:
            self._tracks.setdefault(name, [None] * before).append(now.get(name))

    def document(self) -> dict[str, Any]:
        """When the kept maps are seen, and all about them by model."""
        times = [index / self._fps for index in self._kept]
        models = [self._model(name, moments) for name, moments in self._tracks.items()]
        return {"times": times, "duration": self._count / self._fps, "models": models}

    def _model(self, name: str, moments: Sequence[_Moment | None]) -> dict[str, Any]:
        tiles = Tiles()
        for moment in moments:
            tiles.add(moment.levels if moment else None)
        names = dict.fromkeys(key for moment in moments if moment for key in moment.values)
        series = {MOTION: list(self._motion(moments))}
        series |= {key: [_value(moment, key) for moment in moments] for key in names}
        means = {f"mean {key}": _mean(values) for key, values in series.items()}
        facts = {"frames": self._count, **{key: m for key, m in means.items() if m is not None}}
        return {"name": name, "tiles": tiles.document(), "series": series, "facts": facts}

    def _motion(self, moments: Sequence[_Moment | None]) -> Iterator[float | None]:
        """How fast the peak moved since the map before, in widths of the picture per second."""
        before: _Moment | None = None
        for moment in moments:
            if moment and before and moment.peak and before.peak:
                yield math.dist(moment.peak, before.peak) * self._fps / self._every
            else:
                yield None
            before = moment


def _moment(said: Said) -> _Moment:
    found = summary(said.saliency)
    width = said.saliency.shape[1]
    values = {"entropy, bits": found.entropy} if found else {}
    values |= {f"share of {name}": share for name, (share, _) in said.areas.items()}
    values |= {name: score for name, score in said.scores.items() if not math.isnan(score)}
    peak = (found.peak[0] / width, found.peak[1] / width) if found else None
    return _Moment(levels(said.saliency, CLIP_SIDE), peak, values)


def _value(moment: _Moment | None, name: str) -> float | None:
    return moment.values.get(name) if moment else None


def _mean(values: Sequence[float | None]) -> str | None:
    known = [value for value in values if value is not None]
    return f"{sum(known) / len(known):.3f}" if known else None
