"""Compares ways of running a model: maps per second, work, memory, and how far their maps differ.

Every way runs in its own process (`salcli.bench.worker`), and they take turns, so that any other
load on the machine affects all of them. Speeds are comparable within one run only.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch

from salcli import devices
from salcli.bench import worker
from salcli.bench.worker import RunSettings, Workload
from salcli.devices import PRECISIONS
from salcli.errors import SalcliError, UsageError
from salcli.files.atomic import temporary_folder
from salcli.plugins import registry
from salcli.specs import ModelSpec, parse_options

__all__ = ["Measurement", "convolution_peak", "run", "ways"]

DEFAULT = "default"
"""Name of the way that is the baseline."""

PEAK_SHAPES = ((64, 112), (256, 56), (512, 28))
"""Channels and side of the 3x3 convolutions tried to find the machine's peak."""

PEAK_SECONDS = 0.5
"""How long each is repeated."""


@dataclass(frozen=True)
class Measurement:
    """The measurements of one way.

    Attributes:
        way: Its name.
        label: Model and weights.
        device, precision: Where and in what it ran.
        maps: Number of maps per lap.
        seconds: Duration of the fastest lap.
        macs: Multiply-accumulates per map, in convolutions and matrix products.
        memory: Peak resident memory of the process in bytes, if the system reports it.
        device_memory: Peak memory of the accelerator in bytes, if there is one.
        speed_up: How many times faster the default way is.
        difference: Largest difference from the maps of the default way, in [0, 1].
    """

    way: str
    label: str
    device: str
    precision: str
    maps: int
    seconds: float
    macs: float
    memory: int | None
    device_memory: int | None
    speed_up: float
    difference: float

    @property
    def maps_per_second(self) -> float:
        """Speed of the fastest lap."""
        return self.maps / self.seconds


def ways(spec: ModelSpec, setup: RunSettings, compare: Sequence[str]) -> dict[str, RunSettings]:
    """The default way and those compared with it, by name.

    Each of `compare` is a name in `spec.comparisons`, a precision, an engine, or an option
    `KEY=VALUE`.

    Raises:
        UsageError: It is none of these, or the model has no such option.
    """
    found = {DEFAULT: setup}
    for name in compare:
        if name in spec.comparisons:
            other = [f"{key}={value}" for key, value in spec.comparisons[name].items()]
            found[name] = replace(setup, options=[*setup.options, *other])
        elif name == "torch" or name in registry.engines():
            found[name] = replace(setup, engine=name)
        elif name in PRECISIONS:
            found[name] = replace(setup, precision=name)
        elif "=" in name:
            found[name] = replace(setup, options=[*setup.options, name])
        else:
            known = ", ".join((*spec.comparisons, *PRECISIONS, *registry.engines()))
            raise UsageError(f"no way to run a model named '{name}'; known: {known}, or KEY=VALUE")
    for way in found.values():
        parse_options(spec, way.options, defaults={})
    return found


def run(
    setups: Mapping[str, RunSettings],
    workload: Workload,
    *,
    laps: int,
    notice: Callable[[str], None],
) -> list[Measurement]:
    """Run all ways on the same frames, taking turns; the first is the default.

    Raises:
        SalcliError: A way cannot run; see `load_model` and `salcli.prediction.loop.run`.
    """
    with ExitStack() as stack:
        folder = stack.enter_context(temporary_folder())
        turns = {}
        for index, (name, setup) in enumerate(setups.items()):
            turns[name] = _Turns(name, folder / f"{index}.npy", stack)
            notice(f"{name}: loading and warming up")
            turns[name].prepare(setup, workload)
        for lap in range(laps):
            for name, turn in turns.items():
                notice(f"{name}: timed run {lap + 1} of {laps}")
                turn.lap()
        for name, turn in turns.items():
            notice(f"{name}: last run, counting")
            turn.count()
        default = next(iter(turns.values()))
        return [turn.figures(default) for turn in turns.values()]


class _Turns:
    """One way: its process, and the measurements so far."""

    def __init__(self, way: str, maps_file: Path, stack: ExitStack) -> None:
        pool = ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn"))
        self._pool = stack.enter_context(pool)
        self._way, self._maps_file = way, maps_file
        self._about = ("", "", "")
        self._maps = self._macs = 0
        self._seconds = math.inf
        self._peaks: dict[str, int] = {}

    def prepare(self, setup: RunSettings, workload: Workload) -> None:
        self._about = self._call(worker.prepare, setup, workload)

    def lap(self) -> None:
        self._seconds = min(self._seconds, self._call(worker.lap))

    def count(self) -> None:
        self._peaks = self._call(worker.peak_bytes)
        self._maps, self._macs = self._call(worker.count, self._maps_file)

    def figures(self, default: _Turns) -> Measurement:
        return Measurement(
            self._way,
            *self._about,
            maps=self._maps,
            seconds=self._seconds,
            macs=self._macs / self._maps,
            memory=self._peaks.get("memory"),
            device_memory=self._peaks.get("device_memory"),
            speed_up=self._seconds / default._seconds,
            difference=_largest_difference(self._maps_file, default._maps_file),
        )

    def _call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return self._pool.submit(function, *arguments).result()
        except BrokenProcessPool as error:
            raise SalcliError(
                f"{self._way}: its process was killed, most likely because memory ran out; "
                "choose fewer frames or a smaller batch size"
            ) from error


def _largest_difference(some: Path, others: Path) -> float:
    pairs = zip(_saved(some), _saved(others), strict=True)
    return max(float(np.abs(a - b).max()) for a, b in pairs)


def _saved(path: Path) -> Iterator[np.ndarray[Any, np.dtype[np.float32]]]:
    with path.open("rb") as file:
        while file.peek(1):
            yield np.load(file)


def convolution_peak(device_name: str, precision_name: str) -> float:
    """Multiply-accumulates per second of this machine's best 3x3 convolution.

    Raises:
        UsageError: No such device or precision.
    """
    device, precision = devices.choose(device_name), devices.precision(precision_name)
    return max(_convolution_rate(*shape, device, precision) for shape in PEAK_SHAPES)


@torch.inference_mode()
def _convolution_rate(
    channels: int, side: int, device: torch.device, precision: torch.dtype
) -> float:
    layer = torch.nn.Conv2d(channels, channels, 3, padding=1, bias=False)
    layer = layer.to(device, precision).to(memory_format=torch.channels_last)
    batch = 2 if device.type == "cpu" else 64
    inputs = torch.randn(batch, channels, side, side, device=device, dtype=precision)
    inputs = inputs.contiguous(memory_format=torch.channels_last)
    macs = batch * channels**2 * 9 * side**2
    fastest, end = math.inf, time.perf_counter() + PEAK_SECONDS
    while time.perf_counter() < end:
        started = time.perf_counter()
        layer(inputs).flatten()[0].item()  # waits for the device
        fastest = min(fastest, time.perf_counter() - started)
    return macs / fastest
