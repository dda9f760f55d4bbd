"""Carries out a protocol: one predicted map and one frame's ground truth to values by metric."""

from __future__ import annotations

import dataclasses
import inspect
import math
import zlib
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import torch

from salcli.errors import UnknownName
from salcli.plugins import registry
from salcli.protocols import PROTOCOLS, Protocol, Variant
from salcli.protocols.preparation import Map, Truth, prepare, prepare_truth, size_of
from salcli.specs import MetricSpec, resolve

__all__ = ["Measure", "Scorer", "generator", "measure"]


class Place:
    """Moves the arrays of a frame to a device, each once; without one they stay numpy's."""

    def __init__(self, device: torch.device | None) -> None:
        self._device = device
        self._moved: dict[int, tuple[Map, torch.Tensor]] = {}

    def __call__(self, array: Map) -> Any:
        if self._device is None:
            return array
        if id(array) not in self._moved:
            self._moved[id(array)] = array, torch.tensor(array, device=self._device)
        return self._moved[id(array)][1]


ON_HOST = Place(None)


@dataclass(frozen=True)
class Measure:
    """One metric as a protocol computes it."""

    spec: MetricSpec
    variant: Variant

    @cached_property
    def function(self) -> Callable[..., float]:
        """What computes it."""
        found: Callable[..., float] = resolve(self.variant.function or self.spec.function)
        return found

    @cached_property
    def settings(self) -> Mapping[str, Any]:
        """Every keyword of the function with its value, the generator left out."""
        parameters = inspect.signature(self.function).parameters.values()
        keywords = [p for p in parameters if p.kind is p.KEYWORD_ONLY and p.name != "rng"]
        return {p.name: self.variant.settings.get(p.name, p.default) for p in keywords}

    @cached_property
    def is_random(self) -> bool:
        """Whether the function takes a generator."""
        return "rng" in inspect.signature(self.function).parameters

    @property
    def needs(self) -> tuple[str, ...]:
        """Names of the parts of `Truth` that it takes."""
        return (self.spec.needs, *([self.spec.also] if self.spec.also else []))

    def __call__(
        self, saliency: Map, truth: Truth, *, rng: np.random.Generator, place: Place = ON_HOST
    ) -> float:
        """The value; NaN where a part of the ground truth is missing."""
        parts = [getattr(truth, name) for name in self.needs]
        if any(part is None for part in parts):
            return math.nan
        arrays = [saliency, *parts]
        if self.spec.takes_tensors:
            arrays = [place(array) for array in arrays]
        random = {"rng": rng} if self.is_random else {}
        return float(self.function(*arrays, **self.variant.settings, **random))


class Scorer:
    """Measures frame after frame by one protocol.

    What is random depends on the seed, the frame's key and the metric alone: not on the order of
    the frames, on how many there are, or on which other metrics are computed.

    Attributes:
        measures: The metrics, in order.
    """

    def __init__(
        self,
        protocol: Protocol,
        metrics: Sequence[str] = (),
        *,
        seed: int = 0,
        device: torch.device | None = None,
    ) -> None:
        """Without names, the metrics of the protocol's own tables; without device, in numpy.

        A metric that the protocol says nothing of, such as that of a plugin, is computed with its
        own defaults, if no protocol varies it.

        Raises:
            UnknownName: There is no such metric, or the protocol does not define it.
        """
        self.protocol, self.seed, self.device = protocol, seed, device
        self.measures = [measure(protocol, name) for name in metrics or protocol.published]

    @property
    def needs(self) -> frozenset[str]:
        """Names of the parts of `Truth` that are needed."""
        return frozenset(name for each in self.measures for name in each.needs)

    def frame(
        self,
        saliency: Map,
        truth: Truth,
        *,
        key: str,
        rounding: Literal["floor", "nearest"] = "nearest",
        leave_out: Container[str] = (),
    ) -> dict[str, float]:
        """Every metric of one frame; NaN where it is undefined.

        Args:
            saliency: Predicted map `[h, w]`: uint8, or floating point in [0, 1].
            truth: What is known of the frame.
            key: Names the frame among all others, for what is random.
            rounding: How a floating-point map becomes 8 bit, where the protocol wants that.
            leave_out: Metrics that are not wanted for this frame; see `shares`.

        Raises:
            ValueError: The map has NaN, another size where none is allowed, or values beyond its
                range.
        """
        rule, values = self.protocol.preparation, {}
        prepared_truth, maps = prepare_truth(rule, truth), dict[tuple[int, int], Map]()
        place = Place(self.device)
        for each in self.measures:
            if each.spec.name in leave_out:
                continue
            size = size_of(rule, truth, each.spec.needs)
            if size is not None and size not in maps:
                maps[size] = prepare(rule, saliency, size, rounding=rounding)
            name = each.spec.name
            values[name] = math.nan
            if size is not None:
                rng = generator(self.seed, key, name)
                values[name] = each(maps[size], prepared_truth, rng=rng, place=place)
        return values

    def shares(self, video: str, frames: int) -> dict[str, frozenset[int]]:
        """On which of a clip's frames each metric is computed that is not computed on all.

        `frame` is then told to leave it out on the others. A clip of one frame is an image.
        """
        chosen = {}
        for each in self.measures:
            if each.variant.share < 1:
                rng = generator(self.seed, video, "share")
                count = max(1, int(frames * each.variant.share))
                chosen[each.spec.name] = frozenset(rng.permutation(frames)[:count].tolist())
        return chosen

    def statement(self) -> dict[str, Any]:
        """All that tells these numbers from others of the same names, ready for JSON."""
        protocol = self.protocol
        facts = {
            name: getattr(protocol, name)
            for name in ("name", "version", "summary", "source", "averaging", "limit")
        }
        return {
            **facts,
            "preparation": dataclasses.asdict(protocol.preparation),
            "negatives": protocol.negatives.statement() if protocol.negatives else None,
            "seed": self.seed,
            "metrics": {each.spec.name: _statement(each) for each in self.measures},
        }


def measure(protocol: Protocol, name: str) -> Measure:
    """The metric of this name as the protocol computes it.

    Raises:
        UnknownName: There is no such metric, or the protocol does not define it.
    """
    specs = registry.metrics()
    if name not in specs:
        raise UnknownName("metric", name, specs)
    varied = {variant.metric for each in PROTOCOLS.values() for variant in each.variants}
    return Measure(specs[name], protocol.variant(name) if name in varied else Variant(name))


def generator(seed: int, *names: str) -> np.random.Generator:
    """The random numbers that belong to these names."""
    return np.random.default_rng([seed, *(zlib.crc32(name.encode()) for name in names)])


def _statement(each: Measure) -> dict[str, Any]:
    settings = {
        name: "undefined" if isinstance(value, float) and math.isnan(value) else value
        for name, value in each.settings.items()
    }
    return {
        "definition": each.spec.summary,
        "function": each.variant.function or each.spec.function,
        "settings": settings,
        "random": each.is_random,
        "share of frames": each.variant.share,
        "higher is better": each.spec.higher_is_better,
        "note": each.variant.note,
    }
