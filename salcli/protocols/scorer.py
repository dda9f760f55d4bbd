"""Measures one predicted map against one frame's ground truth, by a protocol or by defaults."""

from __future__ import annotations

import dataclasses
import inspect
import math
import zlib
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import torch

from salcli.errors import UnknownName
from salcli.files.atomic import ESCAPED
from salcli.gaze.groundtruth import FrameGroundTruth
from salcli.plugins import registry
from salcli.protocols.description import Protocol, Variant
from salcli.protocols.preparation import GroundTruth, Map, prepare, prepare_truth, size_of
from salcli.protocols.public import PUBLIC
from salcli.specs import MetricSpec, resolve

__all__ = ["Measure", "Scorer", "by_defaults", "generator", "measure", "other_seed"]


class DeviceCopies:
    """Copies the arrays of a frame to a device, each once; without device they stay numpy's."""

    def __init__(self, device: torch.device | None) -> None:
        self._device = device
        self._copies: dict[int, tuple[Map, torch.Tensor]] = {}

    def __call__(self, array: Map) -> Any:
        if self._device is None:
            return array
        if id(array) not in self._copies:
            self._copies[id(array)] = array, torch.tensor(array, device=self._device)
        return self._copies[id(array)][1]


ON_HOST = DeviceCopies(None)


@dataclass(frozen=True)
class Measure:
    """One metric as a protocol computes it."""

    spec: MetricSpec
    variant: Variant

    @cached_property
    def function(self) -> Callable[..., float]:
        """The function that computes it."""
        found: Callable[..., float] = resolve(self.variant.function or self.spec.function)
        return found

    @cached_property
    def settings(self) -> Mapping[str, Any]:
        """Keywords of the function with their values, without the random generator."""
        parameters = inspect.signature(self.function).parameters.values()
        keywords = [p for p in parameters if p.kind is p.KEYWORD_ONLY and p.name != "rng"]
        return {p.name: self.variant.settings.get(p.name, p.default) for p in keywords}

    @cached_property
    def is_random(self) -> bool:
        """Whether the function takes a random generator."""
        return "rng" in inspect.signature(self.function).parameters

    @property
    def needs(self) -> tuple[str, ...]:
        """Names of the parts of `GroundTruth` that the function takes."""
        return (self.spec.needs, *([self.spec.also] if self.spec.also else []))

    def __call__(
        self,
        saliency: Map,
        truth: GroundTruth,
        *,
        rng: np.random.Generator,
        copies: DeviceCopies = ON_HOST,
    ) -> float:
        """The value; NaN if a part of the ground truth is missing."""
        parts = [getattr(truth, name) for name in self.needs]
        if any(part is None for part in parts):
            return math.nan
        arrays = [saliency, *parts]
        if self.spec.takes_tensors:
            arrays = [copies(array) for array in arrays]
        random = {"rng": rng} if self.is_random else {}
        return float(self.function(*arrays, **self.variant.settings, **random))


class Scorer:
    """Measures frames by one protocol.

    Random numbers depend on the seed, the frame's key and the metric alone: not on the order or
    number of the frames, or on which other metrics are computed.

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
        """Choose the metrics, by default those of the protocol's tables.

        A metric that no public protocol defines, such as a plugin's, is computed with its own
        defaults. Without `device`, metrics run in numpy.

        Raises:
            UnknownName: There is no such metric, or the protocol does not define it.
        """
        self.protocol, self.seed, self.device = protocol, seed, device
        self.measures = [measure(protocol, name) for name in metrics or protocol.published]

    @property
    def names(self) -> list[str]:
        """Names of the metrics, in order."""
        return [each.spec.name for each in self.measures]

    @property
    def drawing(self) -> list[Measure]:
        """The metrics whose values depend on the seed: by noise, samples, or drawn negatives."""
        rule = self.protocol.negatives
        drawn = rule is not None and rule.frames is not None
        return [
            each
            for each in self.measures
            if each.is_random or (drawn and each.spec.also == "negatives")
        ]

    @property
    def needs(self) -> frozenset[str]:
        """Names of the parts of `GroundTruth` that are needed."""
        return frozenset(name for each in self.measures for name in each.needs)

    def frame(
        self,
        saliency: Map,
        truth: GroundTruth,
        *,
        key: str,
        rounding: Literal["floor", "nearest", "up"] = "nearest",
        leave_out: Container[str] = (),
    ) -> dict[str, float]:
        """Every metric of one frame; NaN if it is undefined.

        Args:
            saliency: Predicted map `[h, w]`: uint8, or floating point in [0, 1].
            truth: Ground truth of the frame.
            key: Unique name of the frame, which random numbers depend on.
            rounding: How a floating-point map becomes 8 bit, if the protocol requires it.
            leave_out: Metrics to skip on this frame; see `shares`.

        Raises:
            ValueError: The map has NaN, a size that the protocol refuses, or values out of range.
        """
        rule, values = self.protocol.preparation, {}
        prepared_truth, maps = prepare_truth(rule, truth), dict[tuple[int, int], Map]()
        copies = DeviceCopies(self.device)
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
                values[name] = each(maps[size], prepared_truth, rng=rng, copies=copies)
        return values

    def shares(self, video: str, frames: int) -> dict[str, frozenset[int]]:
        """Frames of a clip on which a metric is computed, for metrics not computed on all.

        On the others, `frame` must leave the metric out. A clip of one frame is an image.
        """
        chosen = {}
        for each in self.measures:
            if each.variant.share < 1:
                rng = generator(self.seed, video, "share")
                count = max(1, int(frames * each.variant.share))
                chosen[each.spec.name] = frozenset(rng.permutation(frames)[:count].tolist())
        return chosen

    def statement(self) -> dict[str, Any]:
        """Everything that distinguishes these numbers from others of the same names, for JSON."""
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
    varied = {variant.metric for each in (*PUBLIC, protocol) for variant in each.variants}
    return Measure(specs[name], protocol.variant(name) if name in varied else Variant(name))


def by_defaults(
    saliency: Map, truth: FrameGroundTruth | None, names: Iterable[str]
) -> dict[str, float]:
    """Each metric with its own defaults, at the map's size; NaN if it is undefined.

    Args:
        saliency: Predicted map `[H, W]`.
        truth: Ground truth at the same size; metrics that need a missing part are NaN.
        names: Registered metrics.
    """
    specs = registry.metrics()
    arrays = GroundTruth(truth.fixations, truth.density) if truth else GroundTruth()
    measures = ((name, Measure(specs[name], Variant(name))) for name in names)
    return {name: each(saliency, arrays, rng=generator(0, name)) for name, each in measures}


def generator(seed: int, *names: str) -> np.random.Generator:
    """The random generator for these names."""
    return np.random.default_rng(
        [seed, *(zlib.crc32(name.encode(errors=ESCAPED)) for name in names)]
    )


def other_seed(seed: int) -> int:
    """Another seed, to see what depends on the seed."""
    return seed + 1


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
