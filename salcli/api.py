"""`predict`, `aoi`, `overlay` and `heatmap` for Python: check the arguments, open the source."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import numpy as np

from salcli.areas import files, measure, parse
from salcli.areas.attention import Attention
from salcli.areas.geometry import Area, check_same_names
from salcli.errors import InputError, UsageError
from salcli.loading import Loaded, load_model
from salcli.media.open import open_stimulus
from salcli.model import Model
from salcli.plugins import registry
from salcli.prediction import loop, manifest
from salcli.progress import Watcher
from salcli.render import colormaps
from salcli.render import heatmap as rendering
from salcli.types import Frame, Kind, Result, Scale, Size, Stimulus

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["aoi", "heatmap", "overlay", "predict"]


def predict(
    source: str | Path | Frame | Sequence[Frame],
    *,
    model: str | Model | Loaded = registry.DEFAULT_MODEL,
    filters: Sequence[str] | None = None,
    device: str = "auto",
    kind: Kind = "auto",
    fps: float | None = None,
    size: Size = "source",
    scale: Scale = "published",
) -> Iterator[Result]:
    """Saliency maps of a video, an image, a folder of frames, or frames in memory, lazily.

    Frames in memory are RGB uint8, one `[H, W, 3]` or several, which are a clip if `fps` is given.
    `load_model` has more options for making a model; `device` is used only with a model's name.
    `filters` are texts such as `"smooth,alpha=0.8"`, the outermost first; a model that is given
    loaded keeps its own by default.
    Images of a folder that cannot be read are left out, with a `RuntimeWarning` for each.

    Raises:
        InputError: The source cannot be read, or the model does not take its kind.
        UsageError: `kind`, `fps`, `size` or `scale` is not a valid value.
        UnknownName: There is no such filter.
        UnknownName, UsageError, WeightsError: See `load_model`.
        PluginError: The model broke its contract.
    """
    _check(kind=kind, fps=fps, size=size, scale=scale)
    loaded = load_model(model, device=device) if isinstance(model, str) else model
    chosen = loaded.model if isinstance(loaded, Loaded) else loaded
    if filters is not None:
        chosen = chosen.filtered(filters)
    if isinstance(source, str | Path):
        path = Path(source)
        stimulus = open_stimulus(path, kind=kind, fps=fps, accepts=chosen.spec.accepts)
    else:
        stimulus = _in_memory(source, None if kind == "stills" else fps)
    return _results(chosen, stimulus, size, scale)


def aoi(
    source: str | Path | Frame | Sequence[Frame],
    areas: str | Path | Mapping[str, Sequence[float | str]],
    *,
    against: str | Path | Frame | Sequence[Frame] | None = None,
    against_areas: str | Path | Mapping[str, Sequence[float | str]] | None = None,
    model: str | Loaded = registry.DEFAULT_MODEL,
    device: str = "auto",
    kind: Kind = "auto",
    fps: float | None = None,
    output: str | Path | None = None,
) -> Attention:
    """How much attention areas of interest get on an input, as `salcli aoi` measures it.

    What cannot be read is left out, with a `RuntimeWarning` for each.

    Args:
        source: As for `predict`.
        areas: Box (x, y, width, height) by name, in pixels or, as texts such as `"50%"`, in percent
            of the frame; or the path of a JSON or CSV file with areas.
        against: Another design or cut to compare with, which becomes `Attention.against`.
        against_areas: The areas there; by default those of `source`.
        model: A model's name, or the result of `load_model`.
        device: Used only with a model's name.
        kind: As for `predict`, as is `fps`.
        fps: Frames per second where the frames are a clip.
        output: Folder for the document, table and picture that the command writes; by default
            nothing is written.

    Returns:
        Shares in [0, 1] of each area, frame by frame. `summary()`, `changes()` and `document()`,
        which follows `schemas/aoi-1.schema.json`, are computed from them.

    Raises:
        InputError: The source cannot be read, or an area lies outside of it.
        UsageError: Areas are malformed, or `against` has areas of other names.
        OutputError: `output` cannot be written.
        UnknownName, UsageError, WeightsError: See `load_model`.
        PluginError: The model broke its contract.
    """
    _check(kind=kind, fps=fps, size="source", scale="published")
    here = _areas(areas)
    there = here if against_areas is None else _areas(against_areas)
    check_same_names(here, there)
    loaded = load_model(model, device=device) if isinstance(model, str) else model
    watcher, rate = _Warnings(), None if kind == "stills" else fps

    def measured(wanted: str | Path | Frame | Sequence[Frame], inside: list[Area]) -> Attention:
        opened = Path(wanted) if isinstance(wanted, str | Path) else _in_memory(wanted, rate)
        return measure.measure(opened, loaded, areas=inside, kind=kind, fps=fps, watcher=watcher)

    found = measured(source, here)
    if against is not None:
        found.against = measured(against, there)
    if output is not None:
        files.write(found, _place(found, Path(output)))
    return found


def overlay(
    frame: Frame,
    saliency: npt.NDArray[np.floating],
    *,
    alpha: float = rendering.OPACITY,
    colour_map: str = colormaps.DEFAULT,
) -> Frame:
    """A frame with its saliency map over it, RGB uint8 `[H, W, 3]`.

    The less salient half of the frame stays untouched.

    Args:
        frame: RGB uint8 `[H, W, 3]`.
        saliency: `[h, w]` of any size and scale, finite and not negative.
        alpha: Opacity where the map covers the frame most, in [0, 1].
        colour_map: `salcli`, `salcli-diverging`, `jet`, `hot`, or a name that matplotlib knows.

    Raises:
        InputError: The frame or the map has another shape, type or range.
        UsageError: `alpha` is outside [0, 1].
        UnknownName: There is no such colour map.
    """
    _check_frame(frame)
    if not 0 <= alpha <= 1:
        raise UsageError(f"alpha={alpha}: must be in [0, 1]")
    return rendering.overlay(frame, _map(saliency), alpha=alpha, colour_map=colour_map)


def heatmap(saliency: npt.NDArray[np.floating], *, colour_map: str = colormaps.DEFAULT) -> Frame:
    """A saliency map in colours, RGB uint8 `[H, W, 3]`, from zero to its peak.

    Args:
        saliency: `[H, W]` of any scale, finite and not negative.
        colour_map: As for `overlay`.

    Raises:
        InputError: The map has another shape or range.
        UnknownName: There is no such colour map.
    """
    return rendering.heatmap(_map(saliency), colour_map=colour_map)


class _Warnings(Watcher):
    """Turns notes into warnings."""

    def note(self, line: str) -> None:
        """Warn; the caller of the public function is three calls away."""
        warnings.warn(line, RuntimeWarning, stacklevel=5)


def _areas(areas: str | Path | Mapping[str, Sequence[float | str]]) -> list[Area]:
    found = parse.boxes(areas) if isinstance(areas, Mapping) else parse.read(Path(areas))
    if not found:
        raise UsageError("there are no areas")
    return found


def _place(found: Attention, output: Path) -> manifest.OutputPaths:
    source = Path(found.source)
    if found.against is not None:
        return files.comparison_place(output, source, against=Path(found.against.source))
    return manifest.places([source], output)[0]


def _map(saliency: object) -> npt.NDArray[np.float32]:
    """The map as float32, checked."""
    if not isinstance(saliency, np.ndarray) or saliency.ndim != 2 or not saliency.size:
        found = (
            list(saliency.shape) if isinstance(saliency, np.ndarray) else type(saliency).__name__
        )
        raise InputError(f"a saliency map must be an array [H, W], not {found}")
    if not (np.isfinite(saliency).all() and saliency.min() >= 0):
        raise InputError("a saliency map must be finite and not negative")
    return saliency.astype(np.float32, copy=False)


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
