"""The stages of a prediction one by one: which of them limits how fast a clip is predicted."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from salcli.bench.worker import RunSettings, Workload, refuse, stimulus_of
from salcli.devices import exactly
from salcli.files.atomic import temporary_folder
from salcli.maps import to_8bit
from salcli.models.model import Model
from salcli.output import png, writers
from salcli.prediction import loop
from salcli.render import heatmap
from salcli.stream import batched
from salcli.types import Result, Stimulus

__all__ = ["StageTime", "measure"]


@dataclass(frozen=True)
class StageTime:
    """One stage alone.

    Attributes:
        name: What it does.
        milliseconds: Per frame, by the clock.
        cpu: Milliseconds per frame on all cores together, programs such as ffmpeg included.
    """

    name: str
    milliseconds: float
    cpu: float


def measure(setup: RunSettings, workload: Workload, *, laps: int) -> list[StageTime]:
    """Time each stage on the same frames, then all of them together, to PNG and overlay.

    Args:
        setup: The model.
        workload: The frames, all of which are kept in memory.
        laps: How often each stage runs; the fastest counts.

    Raises:
        SalcliError: The model cannot run; see `load_model` and `salcli.prediction.loop.run`.
    """
    _, model = setup.load()
    stimulus = stimulus_of(workload, model.spec.accepts)
    results = list(_results(model, stimulus))
    frames = [result.frame for result in results if result.frame is not None]

    def rounded(saliency: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
        return to_8bit(saliency, model.spec.rounding)

    maps = [result.saliency for result in results]
    levels = [rounded(saliency) for saliency in maps]
    stages: dict[str, Callable[[], Iterable[object]]] = {
        "decode": lambda: stimulus.frames,
        "preprocess": lambda: map(model.inputs, batched(frames, model.batch_size)),
        "preprocess, network": lambda: _predictions(model, replace(stimulus, frames=frames)),
        "8 bit": lambda: map(rounded, maps),
        "PNG": lambda: map(png.encode, levels),
        "overlay": lambda: map(heatmap.overlay, frames, maps),
        "all, to files": lambda: _written(model, stimulus),
    }
    return [_timed(name, run, len(frames), laps) for name, run in stages.items()]


def _results(model: Model, stimulus: Stimulus) -> Iterator[Result]:
    return loop.run(model, stimulus, extras=False, keep_frames=True, notice=refuse)


def _predictions(model: Model, stimulus: Stimulus) -> Iterator[object]:
    with torch.inference_mode(), exactly(model.precision):
        yield from model.predict(stimulus)
    if model.device.type == "cuda":
        torch.cuda.synchronize(model.device)


def _written(model: Model, stimulus: Stimulus) -> Iterator[Result]:
    rounding = model.spec.rounding
    with temporary_folder() as folder:
        place = Path(folder) / "out"
        writing = writers.open_writer(
            ("png", "overlay"), place, stimulus=stimulus, rounding=rounding, single=False
        )
        with writing as writer:
            for result in _results(model, stimulus):
                writer.write(result)
                yield result


def _timed(name: str, run: Callable[[], Iterable[object]], frames: int, laps: int) -> StageTime:
    found = []
    for _ in range(laps):
        began, spent = time.perf_counter(), _cpu()
        for _ in run():
            pass
        found.append((time.perf_counter() - began, _cpu() - spent))
    seconds, cpu = min(found)
    return StageTime(name, 1000 * seconds / frames, 1000 * cpu / frames)


def _cpu() -> float:
    """Seconds of this process and of the programs that it ran."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system
