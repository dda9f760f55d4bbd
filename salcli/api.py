"""`predict`, `aoi`, `overlay` and `heatmap` for Python: check the arguments, open the source."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import wraps
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeAlias, get_args

import numpy as np

from salcli.areas import files, measure, parse
from salcli.areas.attention import Attention
from salcli.areas.geometry import Area, check_same_names
from salcli.errors import InputError, UsageError
from salcli.media.memory import in_memory
from salcli.media.open import find_inputs, open_stimulus
from salcli.models import loading
from salcli.models.loading import Loaded
from salcli.models.model import Model
from salcli.plugins import registry
from salcli.prediction import loop, manifest
from salcli.render import colormaps
from salcli.render import heatmap as rendering
from salcli.results import PictureResult
from salcli.terminal.events import Watcher
from salcli.terminal.progress import watch
from salcli.types import Frame, Kind, Precision, Scale, Size, Stimulus

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["aoi", "heatmap", "load_model", "overlay", "predict"]

Source: TypeAlias = Any
"""A path, a `Stimulus`, or frames in memory; see `predict`."""


P = ParamSpec("P")


@dataclass(frozen=True)
class ReadyModel(Loaded):
    """A loaded model that can be called on one picture."""

    def __call__(self, source: Source) -> PictureResult:
        """The saliency map of one picture: a path, an image of Pillow, an array or a tensor.

        >>> import numpy as np
        >>> import salcli
        >>> model = salcli.load_model("centre")
        >>> model(np.zeros((90, 160, 3), np.uint8))
        <Result '0001': 160x90, peak 1 at (79, 44)>

        Raises:
            InputError: It cannot be read, or is more than one picture.
        """
        found = list(islice(predict(source, model=self, kind="stills"), 2))
        if len(found) != 1:
            raise InputError("this is more than one picture; use salcli.predict")
        return found[0]


def _ready(make: Callable[P, Loaded]) -> Callable[P, ReadyModel]:
    @wraps(make)
    def load(*arguments: P.args, **keywords: P.kwargs) -> ReadyModel:
        return ReadyModel(**vars(make(*arguments, **keywords)))

    return load


load_model = _ready(loading.load_model)


def predict(
    source: Source | Iterable[Source],
    *,
    model: str | Model | Loaded = registry.DEFAULT_MODEL,
    options: Sequence[str] | Mapping[str, Any] = (),
    weights: str | Path | None = None,
    filters: Sequence[str] | None = None,
    device: str = "auto",
    precision: Precision = "auto",
    batch_size: int | None = None,
    engine: str = "torch",
    kind: Kind = "auto",
    fps: float | None = None,
    size: Size = "source",
    scale: Scale = "published",
    progress: bool = False,
) -> Iterator[PictureResult]:
    """Saliency maps of videos, images, folders of frames, or frames in memory, lazily.

    A result is an array with its frame, and can draw and save itself:

    >>> import numpy as np
    >>> import salcli
    >>> frames = np.zeros((3, 90, 160, 3), np.uint8)
    >>> for result in salcli.predict(frames, model="centre", fps=25):
    ...     print(result)
    <Result '0001' at 0.00 s: 160x90, peak 1 at (79, 44)>
    <Result '0002' at 0.04 s: 160x90, peak 1 at (79, 44)>
    <Result '0003' at 0.08 s: 160x90, peak 1 at (79, 44)>
    >>> result.saliency.shape, result.overlay().shape
    ((90, 160), (90, 160, 3))
    >>> result.save("third.overlay.png").name
    'third.overlay.png'

    Images of a folder that cannot be read are left out, with a `RuntimeWarning` for each.

    Args:
        source: A path or glob, or several; a `Stimulus`; or frames: one, or any iterable of them,
            which is taken lazily. A frame is an image of Pillow, a uint8 array `[H, W]` (grey),
            `[H, W, 3]` (RGB) or `[H, W, 4]` (RGBA, transparent parts become mid grey), or a uint8
            tensor `[3, H, W]`.
        model: A model's name, or the result of `load_model`.
        options: Of the model, as those that follow: `key=value` texts or a mapping; used only
            with a model's name.
        weights: Your own weights file.
        filters: Texts such as `"smooth,alpha=0.8"`, the outermost first; a model that is given
            loaded keeps its own by default.
        device: `auto`, `cpu`, `cuda`, `cuda:N` or `mps`.
        precision: `auto`, `float32`, `bfloat16` or `float16`.
        batch_size: In frames.
        engine: What runs the network: `torch`, `onnxruntime`, `openvino`, or `auto`, the fastest of
            those that are installed; used only with a model's name, as batch_size is.
        kind: How to take a folder of frames: `auto`, `clip` or `stills`.
        fps: Frames per second; makes a folder of frames, or frames in memory, a clip.
        size: Of the maps: `source`, `published` or `(height, width)`.
        scale: Of the maps: `published`, `max` (the peak is 1) or `density` (the sum is 1).
        progress: Whether to show progress on stderr.

    Raises:
        InputError: A source cannot be read, or the model does not take its kind.
        UsageError: `kind`, `fps`, `size` or `scale` is not a valid value.
        UnknownName: There is no such filter.
        UnknownName, UsageError, WeightsError: See `load_model`.
        PluginError: The model broke its contract.
    """
    _check(kind=kind, fps=fps, size=size, scale=scale)
    if isinstance(model, str):
        loaded: Model | Loaded = loading.load_model(
            model,
            options=options,
            weights_file=weights,
            device=device,
            precision=precision,
            batch_size=batch_size,
            engine=engine,
        )
    elif options or weights or batch_size:
        raise UsageError("options, weights and batch_size need the name of a model")
    else:
        loaded = model
    chosen = loaded.model if isinstance(loaded, Loaded) else loaded
    if filters is not None:
        chosen = chosen.filtered(filters)
    opened = _opened(source, kind=kind, fps=fps, accepts=chosen.spec.accepts)
    first = next(opened, None)  # what is wrong with it is said now, not with the first map
    if first is None:
        raise InputError("there are no frames to predict")
    watcher = watch(1, quiet=not progress)
    return _results(chosen, chain([first], opened), size, scale, watcher=watcher)


def _opened(
    source: Any, *, kind: Kind, fps: float | None, accepts: frozenset[str]
) -> Iterator[Stimulus]:
    """The stimuli that a source stands for, each opened when it is its turn."""
    if isinstance(source, Stimulus):
        yield source
        return
    if isinstance(source, str | Path):
        source = [source]
    if isinstance(source, list | tuple) and source and isinstance(source[0], str | Path):
        for path in find_inputs([str(each) for each in source]):
            yield open_stimulus(path, kind=kind, fps=fps, accepts=accepts)
    else:
        yield in_memory(source, None if kind == "stills" else fps)


def aoi(
    source: Source,
    areas: str | Path | Mapping[str, Sequence[float | str]],
    *,
    against: Source | None = None,
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

    def measured(wanted: Source, inside: list[Area]) -> Attention:
        opened = Path(wanted) if isinstance(wanted, str | Path) else in_memory(wanted, rate)
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


def _results(
    model: Model, stimuli: Iterable[Stimulus], size: Size, scale: Scale, *, watcher: Watcher
) -> Iterator[PictureResult]:
    rounding = model.spec.rounding
    with watcher:
        for stimulus in stimuli:
            watcher.start(stimulus.name, stimulus.expected)
            found = loop.run(
                model, stimulus, size=size, scale=scale, keep_frames=True, notice=_warn
            )
            with closing(found) as results:
                for result in results:
                    watcher.step()
                    yield PictureResult(**vars(result), source=stimulus.source, rounding=rounding)
            watcher.finish(f"{stimulus.name}: done")
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


def _check_frame(frame: object) -> None:
    if not isinstance(frame, np.ndarray):
        found = type(frame).__name__
    elif frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3 or not frame.size:
        found = f"{frame.dtype} {list(frame.shape)}"
    else:
        return
    raise InputError(f"a frame must be an RGB uint8 array [H, W, 3], not {found}")
