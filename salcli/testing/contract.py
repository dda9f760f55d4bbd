"""How a model must behave, as laws that can be tried on any model."""

from __future__ import annotations

import copy
import hashlib
import itertools
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any

import numpy as np
from torch import Tensor

from salcli.errors import PluginError
from salcli.models.model import Model
from salcli.prediction import loop
from salcli.testing.subject import (
    BATCH_SIZE,
    FEW,
    FPS,
    LANDSCAPE,
    LOOK_AHEAD,
    ODD,
    PORTRAIT,
    Endless,
    Map,
    Subject,
    broken,
    picture,
)
from salcli.testing.training import can_be_trained
from salcli.testing.wiring import WIRING, leaves_no_trace, runs_in_its_precisions
from salcli.types import Stimulus

__all__ = ["LAWS"]

TOLERANCE = 1e-4
"""How much of a map may change with the batch size, as float arithmetic goes."""

REPEATABLE = 1e-6
"""How much two runs on the same frames may differ."""

STILLS = 6
"""Enough for a state to come back to the last one where up to five recurrences take turns."""


def gives_valid_maps(subject: Subject) -> None:
    """One float32 map in [0, 1] for each frame: of short and odd clips, of stills of any size."""
    small = subject.small or subject
    for fps in subject.kinds():
        for one, length, size in ((subject, 1, LANDSCAPE), (small, 2, PORTRAIT), (small, 7, ODD)):
            one.maps(one.known, [picture(seed, size) for seed in range(length)], fps)
    model = small.known
    if "stills" in subject.spec.accepts:
        sizes = (LANDSCAPE, LANDSCAPE, LANDSCAPE, PORTRAIT, ODD)
        subject.maps(model, [picture(seed, size) for seed, size in enumerate(sizes)], None)


def keeps_no_state(subject: Subject) -> None:
    """The same stimulus gives the same maps, whatever is seen before or meanwhile.

    What is stored on the model and its network depends on shapes only, not on what was seen.
    """
    one, other = [picture(n) for n in range(FEW)], [picture(n) for n in range(10, 10 + FEW)]
    model = subject.fresh()
    # for all kinds, since one must not change the maps of another either
    for fps in subject.kinds():
        first = subject.maps(model, one, fps)
        kept = _kept(model)
        if not _close(first, subject.known_maps[fps], REPEATABLE):
            once, again = (subject.maps(subject.fresh(), one, fps) for _ in range(2))
            if not _close(once, again, REPEATABLE):
                how = "the same frames gave other maps; draw no random numbers, and leave the "
                raise broken(subject.spec, "deterministic", f"{how}network in evaluation mode")
            raise _remembers(subject, "after another one was predicted")
        subject.maps(model, other, fps)
        changed = [name for name, value in _kept(model).items() if value != kept.get(name)]
        if not _close(first, subject.maps(model, one, fps), REPEATABLE):
            raise _remembers(subject, "after another one was predicted")
        running = subject.stream(model, one, fps)
        mixed = list(itertools.islice(running, 1))
        subject.first_maps(model, other, fps, 2)
        if not _close(first, [*mixed, *running], REPEATABLE):
            raise _remembers(subject, "because another one was predicted meanwhile")
        if changed:
            how = f"prediction changes self.{changed[0]}; let it travel as a local variable, and "
            how += "leave the network in evaluation mode"
            raise broken(subject.spec, "nothing kept", how)


def _remembers(subject: Subject, why: str) -> PluginError:
    how = f"maps of a stimulus changed {why}; keep what travels from frame to frame in local "
    return broken(subject.spec, "no state between stimuli", f"{how}variables of predict")


def _kept(model: Model) -> dict[str, object]:
    return {name: _fingerprint(value, {}) for name, value in vars(model).items()}


def ignores_batch_size(subject: Subject) -> None:
    """How many frames go through the network at once is nobody's business."""
    size = BATCH_SIZE + 1
    frames = [picture(seed) for seed in range(FEW)]
    for fps in subject.kinds():
        known = subject.known_maps[fps]
        larger = subject.maps(_with_batch_size(subject.known, size), frames, fps)
        if not _close(known, larger, TOLERANCE):
            far = max(float(np.abs(a - b).max()) for a, b in zip(known, larger, strict=True))
            how = f"maps with batch size {size} differ from those with {BATCH_SIZE} by {far:.2g}; "
            how += "reduce over the last dimensions only, not over the batch"
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
            if distances[nearest] < distances[index] - TOLERANCE:
                how = f"map {index + 1} of three stills is that of still {nearest + 1}; yield "
                how += "maps in the order of the frames"
                raise broken(subject.spec, "in order", how)
    if "clips" in subject.spec.accepts:
        before, after = ([picture(seed)] * 4 for seed in (0, 1))
        start, end = (subject.first_maps(model, half * 2, FPS, 4)[3] for half in (before, after))
        cut = subject.maps(model, [*before, *after], FPS)
        right = _distance(cut[0], start) + _distance(cut[-1], end)
        wrong = _distance(cut[0], end) + _distance(cut[-1], start)
        if wrong < right / 2 and right > TOLERANCE:
            how = "after a cut, the first maps are those of the last frames; yield maps in the "
            how += "order of the frames"
            raise broken(subject.spec, "in order", how)


def tells_stills_apart(subject: Subject) -> None:
    """A still has the same map alone and among others, whatever the options choose."""
    if "stills" not in subject.spec.accepts:
        return
    for together, *singly in subject.choices():
        if _stills_are_alone(together):
            continue
        wrong = [one for one in (*singly, together) if _stills_are_alone(one) is False]
        if wrong:
            varied = {k: v for k, v in wrong[0].options.items() if k not in subject.options}
            raise broken(
                subject.spec,
                "a still does not depend on its neighbours",
                "".join(f"with {name}={value}, " for name, value in varied.items())
                + "the map of a still changes with the stills around it; unless stimulus.is_clip, "
                "begin each frame with a new state, and compute nothing over several frames",
            )


def _stills_are_alone(subject: Subject) -> bool | None:
    """Whether a still's map is the same among others; `None` if these options cannot tell."""
    if not subject.is_possible():
        return None
    stills = [picture(seed) for seed in range(STILLS)]
    # one by one: an option may let maps depend on what shares a batch, as some originals do
    model = _with_batch_size(subject.known, 1)
    among = subject.maps(model, stills, None)
    last, first = subject.maps(model, [stills[-1], stills[0]], None)
    # a random network's maps may be so flat that only their contrast tells what is a change
    allowed = max(REPEATABLE, TOLERANCE * float(np.ptp([first, last])))
    if _close([among[0], among[-1]], [first, last], allowed):
        return True
    again, once_more = (subject.maps(model, stills[:1], None) for _ in range(2))
    return False if _close(again, once_more, REPEATABLE) else None  # it may be random by choice


def tells_its_context(subject: Subject) -> None:
    """A map depends on no more earlier frames than `context` says: a resumed clip is the same."""
    context = subject.known.context
    # with a long context, these few frames are all within it
    if "clips" not in subject.spec.accepts or context is None or context >= FEW - 1:
        return
    later = [picture(seed) for seed in range(FEW - 1 - context, FEW)]
    *_, last = subject.maps(subject.known, later, FPS)
    if not _close([last], subject.known_maps[FPS][-1:], TOLERANCE):
        how = f"a map depends on more than the {context} frames before its own that context= says"
        raise broken(subject.spec, "context", f"{how}; leave it out if it depends on all of them")


def is_lazy(subject: Subject) -> None:
    """Maps come while frames are still being read, so that an hour fits into memory."""
    for fps in subject.kinds():
        frames = Endless()
        stimulus = Stimulus("endless", frames, fps=fps, size=ODD)
        results = loop.run(subject.known, stimulus, size="published", notice=print)
        with closing(results):
            next(results)
        if frames.taken == LOOK_AHEAD:
            how = f"it took {LOOK_AHEAD} frames before it gave a map; take a few at a time, as by "
            how += "batched(stimulus.frames, self.batch_size), not list(stimulus.frames)"
            raise broken(subject.spec, "lazy", how)


LAWS = (
    gives_valid_maps,
    *WIRING,
    keeps_no_state,
    leaves_no_trace,
    ignores_batch_size,
    keeps_order,
    tells_stills_apart,
    tells_its_context,
    is_lazy,
    runs_in_its_precisions,
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


def _fingerprint(value: Any, seen: dict[int, object]) -> object:
    """Something that compares equal exactly if the value holds the same numbers.

    What was `seen` is kept alive, for Python gives the `id` of what is gone to another object.
    """
    if isinstance(value, Tensor):
        value = value.detach().float().cpu().numpy()
    if isinstance(value, np.ndarray):
        return value.shape, hashlib.sha1(np.ascontiguousarray(value).data).hexdigest()
    if isinstance(value, str | bytes | int | float | None):
        return value
    if isinstance(value, type):
        return value.__qualname__
    if id(value) in seen:
        return "again"
    seen[id(value)] = value
    if isinstance(value, Mapping):
        return {repr(key): _fingerprint(item, seen) for key, item in value.items()}
    if isinstance(value, list | tuple | deque):
        return [_fingerprint(item, seen) for item in value]
    return type(value).__qualname__, _fingerprint(getattr(value, "__dict__", None), seen)
