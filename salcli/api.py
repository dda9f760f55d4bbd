"""`salcli.predict`: maps of what is at hand in Python, with all that is asked for checked."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import get_args

import numpy as np

from salcli.errors import InputError, UsageError
from salcli.loading import Loaded, load_model
from salcli.media.open import open_stimulus
from salcli.model import Model
from salcli.plugins import registry
from salcli.prediction import loop
from salcli.types import Frame, Kind, Result, Scale, Size, Stimulus

__all__ = ["predict"]


def predict(
    source: str | Path | Frame | Sequence[Frame],
    *,
    model: str | Model | Loaded = registry.DEFAULT_MODEL,
    device: str = "auto",
    kind: Kind = "auto",
    fps: float | None = None,
    size: Size = "source",
    scale: Scale = "published",
) -> Iterator[Result]:
    """Saliency maps of a video, an image, a folder of frames, or frames in memory, lazily.

    Frames in memory are RGB uint8, one `[H, W, 3]` or several, which are a clip if `fps` is given.
    `load_model` gives more say in how a model is made; `device` only counts for a model's name.
    Images of a folder that cannot be read are left out, with a `RuntimeWarning` for each.

    Raises:
        InputError: The source cannot be read, or the model does not take its kind.
        UsageError: `kind`, `fps`, `size` or `scale` is none that there is.
        UnknownName, UsageError, WeightsError: See `load_model`.
        PluginError: The model broke its contract.
    """
    _check(kind=kind, fps=fps, size=size, scale=scale)
    loaded = load_model(model, device=device) if isinstance(model, str) else model
    chosen = loaded.model if isinstance(loaded, Loaded) else loaded
    if isinstance(source, str | Path):
        path = Path(source)
        stimulus = open_stimulus(path, kind=kind, fps=fps, accepts=chosen.spec.accepts)
    else:
        stimulus = _in_memory(source, None if kind == "stills" else fps)
    return _results(chosen, stimulus, size, scale)


def _results(model: Model, stimulus: Stimulus, size: Size, scale: Scale) -> Iterator[Result]:
    found = loop.run(model, stimulus, size=size, scale=scale, keep_frames=True, notice=_warn)
    with closing(found) as results:
        yield from results
    for problem in stimulus.problems:
        _warn(f"left out: {problem}")


def _warn(text: str) -> None:
    warnings.warn(text, RuntimeWarning, stacklevel=3)


def _check(*, kind: str, fps: float | None, size: object, scale: str) -> None:
    for name, value, known in (("kind", kind, get_args(Kind)), ("scale", scale, get_args(Scale))):
        if value not in known:
            raise UsageError(f"{name}={value!r}: must be one of {', '.join(known)}")
    if fps is not None and not fps > 0:
        raise UsageError(f"the frame rate must be above 0, not {fps:g}")
    sides = size if isinstance(size, tuple) and len(size) == 2 else ()
    fit = all(isinstance(side, int | np.integer) and side > 0 for side in sides)
    if size not in ("source", "published") and not (sides and fit):
        raise UsageError(f"size={size!r}: must be 'source', 'published' or (height, width)")


def _in_memory(source: Frame | Sequence[Frame], fps: float | None) -> Stimulus:
    frames = [source] if isinstance(source, np.ndarray) and source.ndim == 3 else list(source)
    for frame in frames:
        _check_frame(frame)
    if not frames:
        raise InputError("there are no frames to predict")
    height, width, _ = frames[0].shape
    if fps is not None and any(frame.shape != frames[0].shape for frame in frames):
        raise InputError("the frames of a clip must have one size; without fps they are stills")
    return Stimulus("frames", frames, fps=fps, size=(height, width), count=len(frames))


def _check_frame(frame: object) -> None:
    if not isinstance(frame, np.ndarray):
        found = type(frame).__name__
    elif frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3 or not frame.size:
        found = f"{frame.dtype} {list(frame.shape)}"
    else:
        return
    raise InputError(f"a frame must be an RGB uint8 array [H, W, 3], not {found}")
