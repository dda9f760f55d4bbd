"""How a model must behave, as laws that can be tried on any model."""

from __future__ import annotations

import copy
import hashlib
import itertools
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from salcli import loading
from salcli.errors import PluginError, SalcliError
from salcli.model import Model
from salcli.prediction import loop
from salcli.specs import ModelSpec
from salcli.types import Batch, Frame, Stimulus

__all__ = ["LAWS", "Subject", "broken"]

Map: TypeAlias = npt.NDArray[np.float32]

TOLERANCE = 1e-4
"""How much of a map may change with the batch size, as float arithmetic goes."""

REPEATABLE = 1e-6
"""How much two runs on the same frames may differ."""

LOOK_AHEAD = 512
"""So many frames and no map: the model reads the whole stimulus."""

FPS = 25.0

BATCH_SIZE = 2
"""How many frames go through the network at once, where the law does not say."""

LANDSCAPE, PORTRAIT, ODD = (48, 64), (64, 36), (45, 61)
"""Sizes (H, W) of the stimuli."""


def broken(spec: ModelSpec, law: str, how: str) -> PluginError:
    """The error for a broken law."""
    return PluginError(f"model '{spec.name}' breaks the law '{law}': {how}")


def picture(seed: int, size: tuple[int, int] = ODD) -> Frame:
    """A picture of coloured blobs on noise, `[H, W, 3]`; every seed gives another one."""
    random = np.random.default_rng(seed)
    blobs = random.integers(0, 200, (size[0] // 9 + 1, size[1] // 9 + 1, 3))
    noise = random.integers(0, 56, (*size, 3))
    large = blobs.repeat(9, axis=0).repeat(9, axis=1)[: size[0], : size[1]]
    return (large + noise).astype(np.uint8)


@dataclass(frozen=True)
class Subject:
    """A model on trial, with the options under which it is tried."""

    spec: ModelSpec
    options: Mapping[str, Any]

    @cached_property
    def known(self) -> Model:
        """One model for all laws that do not ask for a fresh one; networks may be large.

        It may have seen anything. Once `keeps_no_state` has shown that this makes no difference,
        nothing more could be learned from fresh ones.
        """
        return self.fresh()

    def fresh(self) -> Model:
        """The model with a random network, each time the same one."""
        row = self.spec.weights_row()
        with torch.random.fork_rng(devices=()):
            torch.manual_seed(0)
            model = loading.create(
                self.spec.name, options=self.options, defaults=row.options if row else {}
            )
        model.to(torch.device("cpu"), torch.float32)
        model.batch_size = BATCH_SIZE
        return model

    def kinds(self) -> list[float | None]:
        """Frame rates of what the model takes: a number for clips, `None` for stills."""
        return [FPS if kind == "clips" else None for kind in sorted(self.spec.accepts)]

    def maps(self, model: Model, frames: Sequence[Frame], fps: float | None) -> list[Map]:
        """One map per frame; a failure breaks the first law."""
        return list(self.stream(model, frames, fps))

    def stream(self, model: Model, frames: Sequence[Frame], fps: float | None) -> Iterator[Map]:
        """The maps one by one."""
        size = (frames[0].shape[0], frames[0].shape[1])
        stimulus = Stimulus("trial", frames, fps=fps, size=size, count=len(frames))
        try:
            for result in loop.run(model, stimulus, size="published", notice=print):
                yield result.saliency
        except SalcliError as error:
            what = "clip" if fps else "stills"
            how = f"{error} ({what} of {len(frames)} frames, first {size[0]}x{size[1]})"
            raise broken(self.spec, "one valid map per frame", how) from error


def gives_valid_maps(subject: Subject) -> None:
    """One float32 map in [0, 1] for each frame: of short and odd clips, of stills of any size."""
    model = subject.known
    for fps in subject.kinds():
        for length, size in ((1, LANDSCAPE), (2, PORTRAIT), (7, ODD)):
            subject.maps(model, [picture(seed, size) for seed in range(length)], fps)
    if "stills" in subject.spec.accepts:
        sizes = (LANDSCAPE, LANDSCAPE, LANDSCAPE, PORTRAIT, ODD)
        subject.maps(model, [picture(seed, size) for seed, size in enumerate(sizes)], None)


def keeps_no_state(subject: Subject) -> None:
    """The same stimulus gives the same maps, whatever was seen before or is seen meanwhile."""
    one, other = [picture(n) for n in range(4)], [picture(n) for n in range(10, 14)]
    # for all kinds, since one must not change the maps of another either
    model, untroubled = subject.fresh(), subject.fresh()
    for fps in subject.kinds():
        first = subject.maps(model, one, fps)
        if not _close(first, subject.maps(untroubled, one, fps), REPEATABLE):
            raise broken(subject.spec, "deterministic", "the same frames gave other maps")
        subject.maps(model, other, fps)
        if not _close(first, subject.maps(model, one, fps), REPEATABLE):
            how = "maps of a stimulus changed after another one was predicted"
            raise broken(subject.spec, "no state between stimuli", how)
        running = subject.stream(model, one, fps)
        mixed = list(itertools.islice(running, 1))
        subject.maps(model, other, fps)
        if not _close(first, [*mixed, *running], REPEATABLE):
            how = "maps of a stimulus changed because another one was predicted meanwhile"
            raise broken(subject.spec, "no state between stimuli", how)


def keeps_nothing(subject: Subject) -> None:
    """What is stored on the model and its network depends on shapes only, not on what was seen."""
    model = subject.known
    for fps in subject.kinds():
        seen = []
        for start in (0, 10):
            subject.maps(model, [picture(seed) for seed in range(start, start + 4)], fps)
            seen.append({name: _fingerprint(value, set()) for name, value in vars(model).items()})
        changed = [name for name in seen[1] if seen[1][name] != seen[0].get(name)]
        if changed:
            how = f"prediction changes self.{changed[0]}; let it travel as a local variable"
            raise broken(subject.spec, "nothing kept", how)


def ignores_batch_size(subject: Subject) -> None:
    """How many frames go through the network at once is nobody's business."""
    frames = [picture(seed) for seed in range(4)]
    for fps in subject.kinds():
        singly, together = (
            subject.maps(_with_batch_size(subject.known, size), frames, fps) for size in (1, 3)
        )
        if not _close(singly, together, TOLERANCE):
            far = max(float(np.abs(a - b).max()) for a, b in zip(singly, together, strict=True))
            how = f"maps with batch size 3 differ from those with 1 by {far:.2g}"
            raise broken(subject.spec, "batch size changes nothing", how)


def keeps_order(subject: Subject) -> None:
    """Map i belongs to frame i."""
    model = subject.known
    if "stills" in subject.spec.accepts:
        stills = [picture(seed) for seed in range(3)]
        alone = [subject.maps(model, [still], None)[0] for still in stills]
        for index, map_ in enumerate(subject.maps(model, stills, None)):
            distances = [_distance(map_, other) for other in alone]
            nearest = int(np.argmin(distances))
            # a baseline that ignores the frame is as near to all of them
            if distances[nearest] < distances[index]:
                how = f"map {index + 1} of three stills is that of still {nearest + 1}"
                raise broken(subject.spec, "in order", how)
    if "clips" in subject.spec.accepts:
        before, after = ([picture(seed)] * 4 for seed in (0, 1))
        start, end = (subject.maps(model, half * 2, FPS)[3] for half in (before, after))
        cut = subject.maps(model, [*before, *after], FPS)
        right = _distance(cut[0], start) + _distance(cut[-1], end)
        wrong = _distance(cut[0], end) + _distance(cut[-1], start)
        if wrong < right / 2:
            how = "after a cut, the first maps are those of the last frames"
            raise broken(subject.spec, "in order", how)


class _Endless:
    """Frames without end; notes how many were taken before the first map."""

    def __init__(self) -> None:
        self.taken = 0

    def __iter__(self) -> Iterator[Frame]:
        for seed in itertools.count():
            if self.taken == LOOK_AHEAD:
                return
            self.taken += 1
            yield picture(seed % 4)


def is_lazy(subject: Subject) -> None:
    """Maps come while frames are still being read, so that an hour fits into memory."""
    for fps in subject.kinds():
        frames = _Endless()
        stimulus = Stimulus("endless", frames, fps=fps, size=ODD)
        results = loop.run(subject.known, stimulus, size="published", notice=print)
        with closing(results):
            next(results)
        if frames.taken == LOOK_AHEAD:
            how = f"it took {LOOK_AHEAD} frames before it gave a map"
            raise broken(subject.spec, "lazy", how)


def can_be_trained(subject: Subject) -> None:
    """A model with recipes has losses, with a gradient, that its recipes weigh."""
    model = subject.known  # which then is in training mode: this law must be the last one
    recipes = model.recipes()
    if not recipes:
        return
    if type(model).losses is Model.losses:
        raise broken(subject.spec, "training", "it has recipes, but no losses")
    if "stills" not in subject.spec.accepts:
        return  # what length of clip the network needs is not known here
    model.start_epoch(0)
    for name, recipe in recipes.items():
        for loss in model.losses(_batch(model, slices=recipe.slices)):
            total = loss.total(recipe.losses)
            if total.ndim or not total.isfinite() or not total.requires_grad:
                how = f"recipe '{name}' does not give a finite scalar with a gradient"
                raise broken(subject.spec, "training", how)


def _batch(model: Model, *, slices: int) -> Batch:
    """Two stills, a uniform density, and one fixation on every map."""
    inputs = model.preprocess([picture(0), picture(1)])[:, None]
    density = torch.full((2, 1, slices, *ODD), 1 / (ODD[0] * ODD[1]))
    fixations = torch.zeros(2, 1, slices, *ODD, dtype=torch.bool)
    fixations[..., ODD[0] // 2, ODD[1] // 3] = True
    return Batch(inputs, density, fixations)


LAWS = (
    gives_valid_maps,
    keeps_no_state,
    keeps_nothing,
    ignores_batch_size,
    keeps_order,
    is_lazy,
    can_be_trained,
)
"""In an order in which the first that is broken says most."""


def _with_batch_size(model: Model, size: int) -> Model:
    other = copy.copy(model)
    other.batch_size = size
    return other


def _close(some: Sequence[Map], others: Sequence[Map], tolerance: float) -> bool:
    return all(
        a.shape == b.shape and bool(np.abs(a - b).max() <= tolerance)
        for a, b in zip(some, others, strict=True)
    )


def _distance(a: Map, b: Map) -> float:
    return float(np.abs(a - b).mean())


def _fingerprint(value: Any, seen: set[int]) -> object:
    """Something that compares equal exactly if the value holds the same numbers."""
    if isinstance(value, Tensor):
        value = value.detach().float().cpu().numpy()
    if isinstance(value, np.ndarray):
        return value.shape, hashlib.sha1(np.ascontiguousarray(value).data).hexdigest()
    if isinstance(value, str | bytes | int | float | None):
        return value
    if id(value) in seen:
        return "again"
    seen.add(id(value))
    if isinstance(value, Mapping):
        return {repr(key): _fingerprint(item, seen) for key, item in value.items()}
    if isinstance(value, list | tuple | deque):
        return [_fingerprint(item, seen) for item in value]
    return type(value).__qualname__, _fingerprint(getattr(value, "__dict__", None), seen)
