"""One way of running a model, in its own process: how fast, how much work, how much memory.

A fresh process for each way keeps its peak memory separate from that of the others.
`salcli.bench.compare` calls its functions in this order: `prepare`, `lap` once or more,
`peak_bytes`, `count`. Counting comes last because the counter itself takes memory.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode, conv_flop_count

from salcli import devices
from salcli.errors import SalcliError
from salcli.media.open import open_stimulus
from salcli.models import loading
from salcli.models.model import Model
from salcli.prediction import loop
from salcli.types import Frame, Stimulus

__all__ = [
    "Workload",
    "RunSettings",
    "count",
    "lap",
    "peak_bytes",
    "prepare",
    "refuse",
    "stimulus_of",
]

DISC_SHARE = 1 / 8
"""Radius of the disc that crosses the generated clip, as a share of its height."""


@dataclass(frozen=True)
class Workload:
    """The input of every way: a real one, or a generated clip.

    Attributes:
        source: A file or folder; `None` for a generated clip.
        frames: Maximum number of frames.
        size: `(H, W)` of the generated clip.
    """

    source: Path | None
    frames: int
    size: tuple[int, int]


@dataclass(frozen=True)
class RunSettings:
    """One way of running a model; see `salcli.models.loading.load_model`.

    Attributes:
        model: `NAME[:TAG]`.
        options: `key=value` texts; later ones win.
        weights_file: A local file.
        untrained: Use random weights: speed does not depend on them.
        device, precision: Names; see `salcli.devices`.
        batch_size: In frames; `None` for the device's default.
        engine: What runs the network.
        filters: Around the model, as texts.
        offline: Never use the network.
    """

    model: str
    options: Sequence[str] = ()
    weights_file: Path | None = None
    untrained: bool = False
    device: str = "auto"
    precision: str = "auto"
    batch_size: int | None = None
    engine: str = "torch"
    filters: Sequence[str] = ()
    offline: bool = False

    def load(self) -> tuple[str, Model]:
        """A label for the model and its weights, and the model, ready to run."""
        loaded = loading.load_model(
            self.model,
            options=self.options,
            weights_file=self.weights_file,
            device=self.device,
            precision=self.precision,
            batch_size=self.batch_size,
            engine=self.engine,
            filters=self.filters,
            offline=self.offline,
            untrained=self.untrained,
        )
        return f"{self.model}, untrained" if self.untrained else loaded.label, loaded.model


class DriftingClip:
    """A picture that drifts to the left while a disc crosses it; each iteration is the same."""

    def __init__(self, count: int, size: tuple[int, int]) -> None:
        self._count, self._size = count, size

    def __iter__(self) -> Iterator[Frame]:
        height, width = self._size
        y, x = np.mgrid[:height, :width]
        waves = [np.sin(x / (9 + 7 * c) + y / (31 - 6 * c)) for c in range(3)]
        picture = (127 + 70 * np.stack(waves, axis=-1)).astype(np.uint8)
        for index in range(self._count):
            frame = np.roll(picture, -2 * index, axis=1)
            centre = 5 * index % width
            disc = (x - centre) ** 2 + (y - height / 2) ** 2 < (DISC_SHARE * height) ** 2
            frame[disc] = (240, 200, 40)
            yield frame


class Runner:
    """A loaded model and its input."""

    def __init__(self, label: str, model: Model, workload: Workload) -> None:
        self.label, self.model = label, model
        self.stimulus = stimulus_of(workload, model.spec.accepts)

    def maps(self) -> Iterator[np.ndarray[Any, np.dtype[np.float32]]]:
        """The maps at the published size, as `salcli predict` makes them."""
        for result in loop.run(
            self.model, self.stimulus, size="published", extras=False, notice=refuse
        ):
            yield result.saliency


_runners: list[Runner] = []
"""The runner of this process, once `prepare` has created it."""


WARM_UP = 2
"""Frames to predict before timing starts."""


def prepare(setup: RunSettings, workload: Workload) -> tuple[str, str, str]:
    """Load the model and warm up; returns its label, device and precision."""
    runner = Runner(*setup.load(), workload)
    for _ in Runner(runner.label, runner.model, replace(workload, frames=WARM_UP)).maps():
        pass
    _runners[:] = [runner]
    device = runner.model.device
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)
    return runner.label, name, str(runner.model.precision).removeprefix("torch.")


def lap() -> float:
    """Seconds from the first frame to the last map, including decoding."""
    started = time.perf_counter()
    for _ in _runners[0].maps():
        pass
    return time.perf_counter() - started


def peak_bytes() -> dict[str, int]:
    """Peak memory of the process and of the accelerator."""
    peaks = {}
    memory = devices.peak_memory()
    if memory is not None:
        peaks["memory"] = memory
    if _runners[0].model.device.type == "cuda":
        peaks["device_memory"] = torch.cuda.max_memory_allocated(_runners[0].model.device)
    return peaks


def count(target: Path) -> tuple[int, int]:
    """Number of maps and total multiply-accumulates; writes the maps to a file.

    The counter sees one thread only, so chunks of frames are not computed at once. It sees PyTorch
    only, so that what another engine computes is counted there.
    """
    runner, maps, threads = _runners[0], 0, torch.get_num_threads()
    counter = FlopCounterMode(display=False, custom_mapping={FUSED: _fused_flops})
    torch.set_num_threads(1)
    try:
        with counter, target.open("wb") as file:
            for map_ in runner.maps():
                np.save(file, map_)
                maps += 1
            if runner.model.engine:
                runner.model.engine = None
                for _ in runner.maps():
                    pass
    finally:
        torch.set_num_threads(threads)
    return maps, counter.get_total_flops() // 2


FUSED = torch.ops.mkldnn._convolution_pointwise
"""The operator of `salcli.models.fusion`, which the counter does not know by itself."""


def _fused_flops(x: Any, weight: Any, *_: Any, out_shape: Any = None, **__: Any) -> int:
    """Those of a convolution, from shapes."""
    flops: int = conv_flop_count(x, weight, out_shape)
    return flops


def stimulus_of(workload: Workload, accepts: frozenset[str]) -> Stimulus:
    """What a workload shows to a model that takes stills, clips or both."""
    if workload.source is None:
        frames = DriftingClip(workload.frames, workload.size)
        fps = 25.0 if "clips" in accepts else None
        return Stimulus("generated", frames, fps=fps, size=workload.size, count=workload.frames)
    stimulus = open_stimulus(workload.source, accepts=accepts)
    first = _First(stimulus.frames, workload.frames)
    return Stimulus(stimulus.name, first, fps=stimulus.fps, size=stimulus.size)


class _First:
    """The first frames of a sequence; may be iterated again."""

    def __init__(self, frames: Any, count: int) -> None:
        self._frames, self._count = frames, count

    def __iter__(self) -> Iterator[Frame]:
        for _, frame in zip(range(self._count), self._frames, strict=False):
            yield frame


def refuse(text: str) -> None:
    """Fail: reducing the batch size midway would make the figures meaningless."""
    raise SalcliError(f"{text}; choose a batch size that fits")
