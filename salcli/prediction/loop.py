"""The only prediction loop: a model, a stimulus, and finished maps in order."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor

from salcli import stream
from salcli.devices import OutOfMemoryError, exactly, reporting_shortage
from salcli.errors import InputError, SalcliError
from salcli.maps import rescale, resize, to_8bit
from salcli.models.model import Model
from salcli.prediction import layers
from salcli.types import Frame, Prediction, Result, Rounding, Scale, Size, Stimulus

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["run"]

MOVED_BYTES = 32 * 2**20
"""Limit in bytes of finished maps moved off the device at once, four maps of 1080p: glibc keeps
no larger piece of memory that is freed, and fresh pages take longer than the way over the bus."""


def run(
    model: Model,
    stimulus: Stimulus,
    *,
    size: Size = "source",
    scale: Scale = "published",
    extras: bool = True,
    keep_frames: bool = False,
    rounding: Rounding | None = None,
    skip: int = 0,
    notice: Callable[[str], None],
) -> Generator[Result, None, None]:
    """One finished map per frame, in order, lazily.

    If a batch does not fit into memory, the batch size is halved for good and the stimulus is
    restarted; maps that were already yielded are not yielded again.

    Args:
        model: Ready to run (see `load_model`).
        stimulus: What to look at.
        size: Size of the maps.
        scale: Scale of their values.
        extras: Whether each result includes the model's extra maps.
        keep_frames: Whether each result includes its frame.
        rounding: Whoever takes the results needs 8 bit only, rounded so: maps that come from
            another device than the CPU may be uint8 then. `None`: all are float32.
        skip: How many first results to leave out, which only give the model its past.
        notice: Called with a line of text for the user.

    Raises:
        InputError: The frames cannot be read, or the model does not take stimuli of this kind.
        PluginError: The model or a filter failed or broke its contract.
        SalcliError: Even one frame at a time does not fit into memory.
    """
    kind: Literal["stills", "clips"] = "clips" if stimulus.is_clip else "stills"
    if kind not in model.spec.accepts:
        raise InputError(
            f"'{stimulus.name}' is {'a clip' if stimulus.is_clip else 'not a clip'}, and model "
            f"'{model.spec.name}' takes {' and '.join(sorted(model.spec.accepts))} only; "
            "a folder can be taken as stills or as a clip"
        )
    wanted = _OutputSettings(size, scale, extras, keep_frames, rounding)
    given = skip
    while True:
        try:
            attempt = _attempt(model, stimulus, wanted, skip=given)
            with closing(attempt) as results:
                for result in results:
                    given += 1
                    yield result
            return
        except OutOfMemoryError as error:
            shortage = str(error)
        # outside the handler, because the exception holds the tensors that must be freed
        _halve(model, shortage, notice)


@dataclass(frozen=True)
class _OutputSettings:
    """What the user requested; see `run`."""

    size: Size
    scale: Scale
    extras: bool
    keep_frames: bool
    rounding: Rounding | None

    def facts(self, frame: Frame) -> tuple[tuple[int, int], Frame | None]:
        """What is remembered of a frame until its map comes back: its size, and itself if kept."""
        return (frame.shape[0], frame.shape[1]), frame if self.keep_frames else None

    def target(self, map_: Tensor, frame_size: tuple[int, int]) -> tuple[int, int]:
        """`(H, W)` of the finished map, for a map `[..., h, w]`."""
        if self.size == "source":
            return frame_size
        height, width = map_.shape[-2:] if self.size == "published" else self.size
        return height, width

    def room(self, pending: _Pending, batch_size: int) -> int:
        """How many maps like this one to finish and move off the device together."""
        sizes = (self.target(map_, pending.frame_size) for map_ in pending.maps.values())
        float_bytes = sum(4 * height * width for height, width in sizes)
        return max(1, min(batch_size, MOVED_BYTES // float_bytes))


@dataclass(frozen=True)
class _Pending:
    """A map that is still on the device, with the facts about its frame."""

    index: int
    prediction: Prediction
    frame_size: tuple[int, int]
    frame: Frame | None

    @property
    def maps(self) -> dict[str, Tensor]:
        """The saliency map under the empty name, and the extras."""
        return {"": self.prediction.saliency, **self.prediction.extras}

    def shapes(self) -> object:
        """Maps can be finished together only if this is equal."""
        return self.frame_size, {name: map_.shape for name, map_ in self.maps.items()}


def _attempt(
    model: Model, stimulus: Stimulus, wanted: _OutputSettings, *, skip: int
) -> Generator[Result, None, None]:
    """The results from frame `skip` on; may raise `OutOfMemoryError` at any of them."""
    tap = stream.FrameTap(stimulus.frames, wanted.facts)
    group: list[_Pending] = []
    with closing(tap), closing(_steps(model, replace(stimulus, frames=tap))) as steps:
        for index, prediction in enumerate(steps):
            if not wanted.extras:
                prediction = replace(prediction, extras={})
            pending = _Pending(index, prediction, *tap.pending.popleft())
            if index < skip:
                continue
            if group and pending.shapes() != group[0].shapes():
                yield from _finished(model, stimulus, wanted, group=group)
                group = []
            group.append(pending)
            if len(group) == wanted.room(pending, model.batch_size):
                yield from _finished(model, stimulus, wanted, group=group)
                group = []
        if group:
            yield from _finished(model, stimulus, wanted, group=group)


def _steps(model: Model, stimulus: Stimulus) -> Generator[Prediction, None, None]:
    """The predictions, step by step, in inference mode and in exact float32."""
    predictions = layers.predictions(model, stimulus)
    try:
        while True:
            # not held across the yield, or the modes would leak into the consumer
            with torch.inference_mode(), exactly(model.precision):
                prediction = next(predictions, None)
            if prediction is None:
                return
            yield prediction
    finally:
        if isinstance(predictions, Generator):
            predictions.close()


def _finished(
    model: Model, stimulus: Stimulus, wanted: _OutputSettings, *, group: Sequence[_Pending]
) -> list[Result]:
    """Check, resize and scale maps of one shape on their device, and move them off it together."""
    arrays: dict[str, npt.NDArray[Any]] = {}
    who, first = layers.outermost(model), stimulus.first + group[0].index
    with reporting_shortage(), torch.inference_mode(), stream.one_core():
        for name in group[0].maps:
            maps = torch.stack([pending.maps[name] for pending in group])
            found = layers.ranges(maps).to("cpu", non_blocking=True)
            maps = resize(maps, wanted.target(maps, group[0].frame_size))
            maps = rescale(maps, wanted.scale)
            if wanted.rounding and maps.device.type != "cpu":
                maps = to_8bit(maps, wanted.rounding)
            arrays[name] = maps.cpu().numpy()  # waits for the device
            layers.check_ranges(who, found, name=name or "saliency", first=first)
    saliency = arrays.pop("")
    return [
        Result(
            index=stimulus.first + pending.index,
            label=stimulus.label(pending.index),
            time=stimulus.time(pending.index),
            saliency=saliency[row],
            extras={name: maps[row] for name, maps in arrays.items()},
            frame=pending.frame,
            interpolated=pending.prediction.interpolated,
        )
        for row, pending in enumerate(group)
    ]


def _halve(model: Model, shortage: str, notice: Callable[[str], None]) -> None:
    if model.batch_size == 1:
        raise SalcliError(
            f"out of memory on {model.device} with one frame at a time ({shortage}); use the "
            "CPU, bfloat16 or smaller frames"
        )
    model.batch_size //= 2
    if model.device.type == "cuda":
        torch.cuda.empty_cache()
    notice(f"out of memory on {model.device}: continuing with batches of {model.batch_size}")
