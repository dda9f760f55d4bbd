"""Tries everything that a plugin brings, and says of each law whether it is kept."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import numpy as np
import torch

from salcli.errors import SalcliError
from salcli.filters.chain import choose, trained_part
from salcli.models import loading
from salcli.models.model import Model
from salcli.plugins.loader import Plugin, load
from salcli.prediction import loop
from salcli.specs import DatasetSpec, FilterSpec, MetricSpec, ModelSpec, resolve
from salcli.testing import contract
from salcli.testing.description import DESCRIPTION, check_class, law
from salcli.testing.subject import FPS, LOOK_AHEAD, ODD, PORTRAIT, Endless, Subject, broken, picture
from salcli.types import Frame, Stimulus

__all__ = ["Verdict", "laws", "verdicts"]

Law: TypeAlias = tuple[str, Callable[[], None]]


@dataclass(frozen=True)
class Verdict:
    """One law, tried on one part of a plugin.

    Attributes:
        part: Kind and name, such as `model 'x'`.
        law: The law in words.
        complaint: How it is broken; empty if it is kept.
    """

    part: str
    law: str
    complaint: str = ""


def verdicts(plugin: Plugin) -> Iterator[Verdict]:
    """Try all models, filters, metrics and datasets of a plugin.

    What depends on a law that is broken is not tried any more.
    """
    for part, tried in _parts(plugin):
        for words, check in tried:
            try:
                check()
            except Exception as error:  # a guest cannot burn the house
                yield Verdict(part, words, _complaint(part, error))
                break
            yield Verdict(part, words)


def laws(subject: Subject) -> Iterator[Law]:
    """Every law in words, and a function that tries it, in an order that says most."""
    spec = subject.spec
    for describe in DESCRIPTION:
        yield _words(describe), partial(describe, spec)
    yield "It can be built.", partial(_build, subject)
    for check in contract.LAWS:
        yield _words(check), partial(_check, check, subject)


def _check(check: Callable[[Subject], None], subject: Subject) -> None:
    """Try a law with a small input, where that is possible; only at full size it can be broken."""
    if check is not contract.gives_valid_maps and subject.small is not None:
        with suppress(SalcliError):
            return check(subject.small)
    return check(subject)


def _build(subject: Subject) -> None:
    with law(subject.spec, "factory"):
        _ = subject.known


def _words(check: Callable[..., None]) -> str:
    return str(check.__doc__).partition("\n")[0]


def _parts(plugin: Plugin) -> Iterator[tuple[str, Iterator[Law]]]:
    makers: dict[str, Callable[[Any], Iterator[Law]]] = {
        "register_models": _model,
        "register_filters": _filter,
        "register_metrics": _metric,
        "register_datasets": _dataset,
    }
    for hook, maker in makers.items():
        kind = hook.removeprefix("register_").removesuffix("s")
        for found, specs in load().ask_each(hook):
            for spec in specs if found.name == plugin.name else ():
                yield f"{kind} '{spec.name}'", maker(spec)


def _model(spec: ModelSpec) -> Iterator[Law]:
    try:
        wrapped = loading.model_class(spec).open is not Model.open
    except SalcliError:
        wrapped = False  # the laws will say why
    return laws(Subject(spec, {}, weights=wrapped))


def _filter(spec: FilterSpec) -> Iterator[Law]:
    yield "Its options have defaults and help.", partial(_options, spec)
    yield "One map in [0, 1] for each frame, of stills and clips.", partial(_maps, spec)
    yield "The same stimulus gives the same maps again.", partial(_repeats, spec)
    yield "Maps come while frames are still being read.", partial(_lazy, spec)
    if spec.trains:
        yield "It tells which part of a frame is trained on.", partial(_trains, spec)


def _metric(spec: MetricSpec) -> Iterator[Law]:
    yield "Its function can be imported.", partial(resolve, spec.function)
    yield "It gives a number.", partial(_number, spec)
    yield "Agreement scores better than disagreement.", partial(_agreement, spec)


def _dataset(spec: DatasetSpec) -> Iterator[Law]:
    yield "Its factory can be imported.", partial(resolve, spec.factory)
    yield "Its options have defaults and help.", partial(_options, spec)
    yield "It says what its folders hold.", partial(_layout, spec)


def _complaint(part: str, error: Exception) -> str:
    if isinstance(error, SalcliError):
        return str(error)
    return f"{part} failed: {type(error).__name__}: {' '.join(str(error).split())}"


def _options(spec: FilterSpec | DatasetSpec) -> None:
    options = resolve(spec.options) if isinstance(spec.options, str) and spec.options else None
    options = spec.options if isinstance(spec.options, type) else options
    if options is not None:
        check_class(spec, options)


def _around(spec: FilterSpec) -> Model:
    """A baseline that sees brightness and structure, with the filter around it."""
    model = loading.create("spectral-residual", defaults={})
    model.to(torch.device("cpu"), torch.float32)
    return model.filtered([spec.name])


def _run(spec: FilterSpec, frames: Sequence[Frame], fps: float | None) -> list[Any]:
    stimulus = Stimulus("trial", frames, fps=fps, size=ODD, count=len(frames))
    return [one.saliency for one in loop.run(_around(spec), stimulus, notice=print)]


def _maps(spec: FilterSpec) -> None:
    for count in (1, 2, 9):
        _run(spec, [picture(seed) for seed in range(count)], FPS)
    _run(spec, [picture(0, ODD), picture(1, PORTRAIT), picture(2, ODD)], None)


def _repeats(spec: FilterSpec) -> None:
    frames = [picture(seed) for seed in range(6)]
    once = _run(spec, frames, FPS)
    _run(spec, [picture(seed) for seed in range(10, 14)], FPS)
    again = _run(spec, frames, FPS)
    if not all(map(np.array_equal, once, again)):
        raise broken(spec, "no state between stimuli", "the same frames gave other maps")


def _lazy(spec: FilterSpec) -> None:
    frames = Endless()
    stimulus = Stimulus("endless", frames, fps=FPS, size=ODD)
    with closing(loop.run(_around(spec), stimulus, notice=print)) as results:
        next(results)
    if frames.taken == LOOK_AHEAD:
        raise broken(spec, "lazy", f"it took {LOOK_AHEAD} frames before it gave a map")


def _trains(spec: FilterSpec) -> None:
    trained_part(choose([spec.name]), [picture(0), picture(1)])


def _scored(spec: MetricSpec, saliency: Any) -> float:
    """The score of a map against one spot at the upper left."""
    truth = np.zeros((48, 64), np.float32 if spec.needs == "density" else np.int64)
    truth[8:12, 8:12] = 1
    function = resolve(spec.function)
    others = [np.ones((48, 64), truth.dtype)] if spec.also else []
    random = {"rng": np.random.default_rng(0)} if "rng" in _parameters(function) else {}
    try:
        return float(function(saliency, truth, *others, **random))
    except SalcliError:
        raise
    except Exception as error:
        text = f"{type(error).__name__}: {error}"
        raise broken(spec, "a number", f"it fails on maps [48, 64]: {text}") from error


def _parameters(function: Callable[..., Any]) -> Sequence[str]:
    return list(inspect.signature(function).parameters)


def _spot(row: int, column: int) -> Any:
    y, x = np.mgrid[:48, :64]
    return np.exp(-((y - row) ** 2 + (x - column) ** 2) / 50).astype(np.float32)


def _number(spec: MetricSpec) -> None:
    if math.isnan(_scored(spec, _spot(10, 10))):
        raise broken(spec, "a number", "it gives NaN for a map with one spot, where people look")


def _agreement(spec: MetricSpec) -> None:
    right, wrong = _scored(spec, _spot(10, 10)), _scored(spec, _spot(38, 50))
    if (right > wrong) != spec.higher_is_better:
        how = f"a map of the right spot scores {right:.3g}, one of a wrong spot {wrong:.3g}"
        raise broken(spec, "higher is better", f"{how}; is higher_is_better right?")


def _layout(spec: DatasetSpec) -> None:
    if not spec.layout:
        raise broken(spec, "layout", "set layout= to a line for each path below its root")
