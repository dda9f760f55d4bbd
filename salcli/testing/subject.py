"""A model on trial: it is built with a random network and shown small generated pictures."""

from __future__ import annotations

import copy
import dataclasses
import itertools
import typing
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import zip_longest
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from salcli.blame import failures_of
from salcli.errors import PluginError, SalcliError, UsageError
from salcli.models import loading
from salcli.models.model import Model
from salcli.prediction import loop
from salcli.specs import DatasetSpec, FilterSpec, MetricSpec, ModelSpec, parse_options
from salcli.types import Frame, Stimulus

__all__ = [
    "BATCH_SIZE",
    "Endless",
    "FEW",
    "FPS",
    "LANDSCAPE",
    "LOOK_AHEAD",
    "ODD",
    "PORTRAIT",
    "Map",
    "Subject",
    "broken",
    "picture",
]

Map: TypeAlias = npt.NDArray[np.float32]

FPS = 25.0

BATCH_SIZE = 2
"""How many frames go through the network at once, where the law does not say."""

FEW = 4
"""Frames of a stimulus that is shown again and again."""

LOOK_AHEAD = 512
"""So many frames and no map: the model reads the whole stimulus."""

LARGE = 128 * 128
"""A network's input of more pixels is shrunk where that is possible."""

STEP = 32
"""Sides of a shrunk input are multiples of this, which most networks need."""

LANDSCAPE, PORTRAIT, ODD = (48, 64), (64, 36), (45, 61)
"""Sizes (H, W) of the stimuli."""


def broken(
    spec: ModelSpec | FilterSpec | MetricSpec | DatasetSpec, law: str, how: str
) -> PluginError:
    """The error for a broken law."""
    kind = type(spec).__name__.removesuffix("Spec").lower()
    return PluginError(f"{kind} '{spec.name}' breaks the law '{law}': {how}")


def picture(seed: int, size: tuple[int, int] = ODD) -> Frame:
    """A picture of coloured blobs on noise, `[H, W, 3]`; every seed gives another one."""
    random = np.random.default_rng(seed)
    blobs = random.integers(0, 200, (size[0] // 9 + 1, size[1] // 9 + 1, 3))
    noise = random.integers(0, 56, (*size, 3))
    large = blobs.repeat(9, axis=0).repeat(9, axis=1)[: size[0], : size[1]]
    return (large + noise).astype(np.uint8)


class Endless:
    """Frames without end, up to `LOOK_AHEAD`; counts how many were taken."""

    def __init__(self) -> None:
        self.taken = 0

    def __iter__(self) -> Iterator[Frame]:
        for seed in itertools.count():
            if self.taken == LOOK_AHEAD:
                return
            self.taken += 1
            yield picture(seed % 4)


@dataclass(frozen=True)
class Subject:
    """A model on trial.

    Attributes:
        spec: Its description.
        options: Those under which it is tried.
        weights: A file to load instead of a random network; `True` for the published one.
        shrunk: Whether its network sees smaller pictures, to save time; see `small`.
    """

    spec: ModelSpec
    options: Mapping[str, Any]
    weights: bool | str | Path = False
    shrunk: bool = False

    @cached_property
    def known(self) -> Model:
        """One model for all laws that do not ask for a fresh one; networks may be large.

        It may have seen anything. Once `keeps_no_state` has shown that this makes no difference,
        nothing more could be learned from fresh ones.
        """
        return self.fresh()

    @cached_property
    def small(self) -> Subject | None:
        """The same with a small input, for a network whose own is large; `None` where that fails.

        Most laws are about what the model does around its network, at any size.
        """
        small = replace(self, shrunk=True)
        small.__dict__["known"] = _shrunk(self.known)  # shares the network
        try:
            with failures_of(f"model '{self.spec.name}'"):
                height, width = self.known.preprocessed([picture(0)]).shape[-2:]
            if height * width <= LARGE:
                return None
            for fps in self.kinds():
                small.maps(small.known, [picture(0)], fps)
        except SalcliError:
            return None
        return small

    def fresh(self) -> Model:
        """The model with a random network, each time the same one, or with its weights."""
        model = self._made()
        return _shrunk(model) if self.shrunk else model

    def _made(self) -> Model:
        if self.weights:
            file = None if self.weights is True else Path(self.weights)
            loaded = loading.load_model(
                self.spec.name,
                options=self.options,
                weights_file=file,
                device="cpu",
                batch_size=BATCH_SIZE,
            )
            return loaded.model
        row = self.spec.weights_row()
        with torch.random.fork_rng(devices=()):
            torch.manual_seed(0)
            model = loading.create(
                self.spec.name, options=self.options, defaults=row.options if row else {}
            )
        model.to(torch.device("cpu"), torch.float32)
        model.batch_size = BATCH_SIZE
        return model

    def choices(self) -> Iterator[list[Subject]]:
        """Ways to choose the options that the trial leaves open: all other values of each.

        Several options change at once, to save time; after such a subject come those that change
        one of them only. The first list holds this subject. Only options with a few known values
        are varied. Some choices may exclude each other: see `is_possible`.
        """
        yield [self]
        options = self.spec.options
        hints = typing.get_type_hints(options) if options else {}
        varied: list[list[tuple[str, Any]]] = []
        for field in dataclasses.fields(options) if options else ():
            hint = hints[field.name]
            known = typing.get_args(hint) if typing.get_origin(hint) is Literal else ()
            if field.name not in self.options:
                values = (False, True) if hint is bool else known
                varied.append([(field.name, v) for v in values if v != field.default])
        for row in zip_longest(*varied):
            changes = [change for change in row if change]
            each = [changes, *([change] for change in changes if len(changes) > 1)]
            yield [replace(self, options={**self.options, **dict(some)}) for some in each]

    def is_possible(self) -> bool:
        """Whether the model takes these options together."""
        row = self.spec.weights_row()
        try:
            parse_options(self.spec, self.options, defaults=row.options if row else {})
        except UsageError:
            return False
        return True

    def kinds(self) -> list[float | None]:
        """Frame rates of what the model takes: a number for clips, `None` for stills."""
        return [FPS if kind == "clips" else None for kind in sorted(self.spec.accepts)]

    @cached_property
    def known_maps(self) -> dict[float | None, list[Map]]:
        """Of each kind, maps of the first few pictures, by the known model."""
        frames = [picture(seed) for seed in range(FEW)]
        return {fps: self.maps(self.known, frames, fps) for fps in self.kinds()}

    def maps(self, model: Model, frames: Sequence[Frame], fps: float | None) -> list[Map]:
        """One map per frame; a failure breaks the first law."""
        return list(self.stream(model, frames, fps))

    def first_maps(
        self, model: Model, frames: Sequence[Frame], fps: float | None, count: int
    ) -> list[Map]:
        """Those of the first frames; no more are computed."""
        with closing(self.stream(model, frames, fps)) as stream:
            return list(itertools.islice(stream, count))

    def stream(
        self, model: Model, frames: Sequence[Frame], fps: float | None
    ) -> Generator[Map, None, None]:
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


def _shrunk(model: Model) -> Model:
    """A copy around the same network, whose `preprocess` gives about a quarter of each side."""

    class Shrunk(type(model)):  # type: ignore[misc]
        def preprocess(self, frames: Sequence[Frame]) -> Tensor:
            found: Tensor = super().preprocess(frames)
            sides = [max(STEP, round(side / 4 / STEP) * STEP) for side in found.shape[-2:]]
            return functional.interpolate(found, size=sides, mode="area")

    other = copy.copy(model)
    other.__class__ = Shrunk
    return other
