"""The maps and numbers of a clip over time, thinned to what a page can hold."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from salcli.output.frametable import summary
from salcli.panels.board import ScoredMap
from salcli.report.tiles import Tiles, levels

if TYPE_CHECKING:
    import numpy.typing as npt

    from salcli.areas.attention import Share

__all__ = ["MeasuredMap", "Timeline"]

CLIP_SIDE = 96
"""Longest side of a map."""

MOMENTS_PER_SECOND, MOST_MOMENTS = 10, 3000
"""How many maps of a clip are kept; fewer per second if it is longer than five minutes."""

MOTION = "peak motion, widths/s"


@dataclass(frozen=True)
class MeasuredMap(ScoredMap):
    """A model's or the observers' map of one frame, with what areas of interest get of it.

    Attributes:
        areas: What each area of interest gets.
    """

    areas: Mapping[str, Share] = field(default_factory=dict)


@dataclass(frozen=True)
class _Sample:
    """What is kept of one map.

    Attributes:
        levels: The map, small.
        peak: The place of its peak, in widths of the frame; `None` for a map of zeros.
        values: Numbers by name.
        areas: What each area gets.
    """

    levels: npt.NDArray[np.uint8]
    peak: tuple[float, float] | None
    values: Mapping[str, float]
    areas: Mapping[str, Share]


class Timeline:
    """Collects maps frame by frame, in order."""

    def __init__(self, fps: float) -> None:
        self._period = 1 / fps
        self._start = self._time = 0.0
        self._every = max(1, round(fps / MOMENTS_PER_SECOND))
        self._count = 0
        self._kept: list[float] = []
        self._samples: dict[str, list[_Sample | None]] = {}

    def wants(self, index: int, time: float) -> bool:
        """Whether to keep the frame at an index and a time; must be called for each frame."""
        self._count = index + 1
        self._start = self._start if index else time
        self._time = time - self._start
        if index % self._every == 0 and len(self._kept) == MOST_MOMENTS:
            self._every *= 2
            self._kept = self._kept[::2]
            self._samples = {name: samples[::2] for name, samples in self._samples.items()}
        return index % self._every == 0

    def add(self, maps: Sequence[MeasuredMap]) -> None:
        """Keep the maps of the frame just wanted; a model without a map of it has a gap there."""
        before = len(self._kept)
        self._kept.append(self._time)
        now = {measured.title: _sample(measured) for measured in maps}
        for name in {**self._samples, **now}:
            self._samples.setdefault(name, [None] * before).append(now.get(name))

    def document(self) -> dict[str, Any]:
        """The times of the kept maps, and their tiles, curves and numbers by model."""
        models = [self._model(name, samples) for name, samples in self._samples.items()]
        return {"times": self._kept, "duration": self._time + self._period, "models": models}

    def _model(self, name: str, samples: Sequence[_Sample | None]) -> dict[str, Any]:
        tiles = Tiles()
        for sample in samples:
            tiles.add(sample.levels if sample else None)
        names = dict.fromkeys(key for sample in samples if sample for key in sample.values)
        series = {MOTION: list(self._motion(samples))}
        series |= {key: [_value(sample, key) for sample in samples] for key in names}
        means = {f"mean {key}": _mean(values) for key, values in series.items()}
        facts = {"frames": self._count, **{key: m for key, m in means.items() if m is not None}}
        return {
            "name": name,
            "tiles": tiles.document(),
            "series": series,
            "facts": facts,
            "areas": _means(samples),
        }

    def _motion(self, samples: Sequence[_Sample | None]) -> Iterator[float | None]:
        """Speed of the peak since the previous map, in widths of the picture per second."""
        before: _Sample | None = None
        for sample, passed in zip(samples, np.diff(self._kept, prepend=0), strict=True):
            if sample and before and sample.peak and before.peak and passed > 0:
                yield math.dist(sample.peak, before.peak) / float(passed)
            else:
                yield None
            before = sample


def _sample(measured: MeasuredMap) -> _Sample:
    found = summary(measured.saliency)
    width = measured.saliency.shape[1]
    values = {"entropy, bits": found.entropy} if found else {}
    values |= {f"share of {name}": each.share for name, each in measured.areas.items()}
    values |= {name: score for name, score in measured.scores.items() if not math.isnan(score)}
    peak = (found.peak[0] / width, found.peak[1] / width) if found else None
    return _Sample(levels(measured.saliency, CLIP_SIDE), peak, values, measured.areas)


def _means(samples: Sequence[_Sample | None]) -> dict[str, list[float | None]]:
    """Share and lift of each area over all kept maps."""
    known = [sample.areas for sample in samples if sample]
    means = {}
    for name in known[0]:
        share = float(np.mean([areas[name].share for areas in known]))
        size = float(np.mean([areas[name].area_share for areas in known]))
        means[name] = [share, share / size if size else None]
    return means


def _value(sample: _Sample | None, name: str) -> float | None:
    return sample.values.get(name) if sample else None


def _mean(values: Sequence[float | None]) -> str | None:
    known = [value for value in values if value is not None]
    return f"{sum(known) / len(known):.3f}" if known else None
