"""A model with the filters around it: each is checked, and named if it fails."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

import torch
from torch import Tensor

from salcli import stream
from salcli.blame import failures_of
from salcli.errors import PluginError
from salcli.plugins import loader
from salcli.types import Prediction, Predictor, Stimulus

if TYPE_CHECKING:
    from salcli.models.model import Model

    Layer: TypeAlias = Callable[[Stimulus], Iterator[Prediction]]

__all__ = ["check_ranges", "of_model", "outermost", "predictions", "ranges"]

ROUNDING = 1e-5
"""How far float32 arithmetic may leave [0, 1]."""


def predictions(model: Model, stimulus: Stimulus) -> Iterator[Prediction]:
    """One prediction per frame: those of the model, changed by its filters, the last one first.

    Raises:
        InputError: The frames cannot be read.
        PluginError: The model, a filter or a plugin failed or broke its contract; it is named.
        OutOfMemoryError: A step does not fit into memory.
    """
    plugins = loader.load()
    who = _named(model)

    def following(inner: Stimulus) -> Iterator[Prediction]:
        found: Iterator[Prediction] = plugins.hook.predict(model=model, stimulus=inner)
        return found

    layer: Layer = following
    if altering := ", ".join(f"'{plugin.distribution}'" for plugin in plugins.altering()):
        who = f"{who}, as changed by {altering},"
        layer = partial(_checked, who, layer)
    for each in reversed(model.filters):
        inner = partial(_in_range, who, layer)
        who = f"filter '{each.spec.name}'"
        layer = partial(_checked, who, partial(each.predict, following=inner))
    return layer(stimulus)


def of_model(model: Predictor, stimulus: Stimulus) -> Iterator[Prediction]:
    """The model's own predictions, checked."""
    return _checked(_named(model), model.predict, stimulus)


def outermost(model: Model) -> str:
    """Who gives the predictions in the end: the first filter, or the model if there is none."""
    return f"filter '{model.filters[0].spec.name}'" if model.filters else _named(model)


def ranges(maps: Tensor) -> Tensor:
    """Minimum and maximum of maps `[N, h, w]`, `[N, 2]`, for `check_ranges`."""
    return torch.stack([maps.amin((1, 2)), maps.amax((1, 2))], dim=1)


def check_ranges(who: str, found: Tensor, *, name: str, first: int) -> None:
    """Reject values of maps that are not finite or not in [0, 1].

    Args:
        who: Gave the maps.
        found: The `ranges` of the maps of consecutive frames.
        name: Which map of a prediction they are.
        first: Position of the first frame, from 0.

    Raises:
        PluginError: There are such values.
    """
    for row, (low, high) in enumerate(found.tolist()):
        if not (low >= -ROUNDING and high <= 1 + ROUNDING):  # both are NaN if any value is
            text = "NaN" if math.isnan(low) else f"{low:.4g} ... {high:.4g}"
            raise PluginError(
                f"{who} gave values outside [0, 1] as {name} of frame {first + row + 1}: {text}"
            )


def _named(model: Predictor) -> str:
    return f"model '{model.spec.name}'"


def _checked(who: str, layer: Layer, stimulus: Stimulus) -> Generator[Prediction, None, None]:
    """The predictions of one layer: one for each frame that it is given, of valid shape."""
    tap = stream.FrameTap(stimulus.frames, lambda frame: None)
    index = -1
    steps = _steps(who, partial(layer, replace(stimulus, frames=tap)))
    with closing(tap), closing(steps):
        for index, prediction in enumerate(stream.checked(steps, who)):
            if not tap.pending:
                raise PluginError(
                    f"{who} gave {index + 1} maps for '{stimulus.name}', but took {tap.taken} "
                    "frames of it; there must be one map per frame"
                )
            tap.pending.popleft()
            yield prediction
        if tap.pending or tap.has_more():
            raise PluginError(
                f"{who} gave {index + 1} maps for '{stimulus.name}', which has more frames; there "
                "must be one map per frame"
            )


def _steps(
    who: str, begin: Callable[[], Iterator[Prediction]]
) -> Generator[Prediction, None, None]:
    """The predictions, step by step; an error names whose it is."""
    with failures_of(who):
        predictions = iter(begin())
    try:
        while True:
            with failures_of(who):
                prediction = next(predictions, None)
            if prediction is None:
                return
            yield prediction
    finally:
        if isinstance(predictions, Generator):
            predictions.close()


def _in_range(who: str, layer: Layer, stimulus: Stimulus) -> Iterator[Prediction]:
    """The predictions of a layer, with their values checked, before a filter changes them."""
    for index, prediction in enumerate(layer(stimulus)):
        for name, map_ in (("saliency", prediction.saliency), *prediction.extras.items()):
            check_ranges(who, ranges(map_[None]), name=name, first=index)
        yield prediction
