"""Plain frozen descriptions of models, weights, data, filters, metrics and so on; light."""

from __future__ import annotations

import dataclasses
import operator
import pkgutil
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias, TypeVar

from salcli.errors import PluginError, UnknownName, UsageError

__all__ = [
    "ArrayNetwork",
    "DatasetSpec",
    "EngineSpec",
    "FilterSpec",
    "MetricSpec",
    "ModelSpec",
    "ProtocolSpec",
    "StyleSpec",
    "TrainedOn",
    "Weights",
    "as_json",
    "option",
    "parse_data_options",
    "parse_options",
    "resolve",
]

T = TypeVar("T")

PRECISIONS: Sequence[Literal["float32", "bfloat16", "float16"]] = ("float32", "bfloat16", "float16")
"""Floating-point types of networks."""

ArrayNetwork: TypeAlias = Callable[..., Sequence[Any]]
"""A network in another engine: float32 arrays in, float32 arrays out; called by several threads."""


def option(
    default: T,
    help: str,  # noqa: A002 (as typer and argparse call it)
    *,
    min: float | None = None,  # noqa: A002
    above: float | None = None,
    max: float | None = None,  # noqa: A002
) -> T:
    """A field of the `Options` of a model, filter or dataset, a frozen dataclass.

    Args:
        default: The default value.
        help: Help text; the limits are appended to it.
        min: The minimum of a number.
        above: A bound that the number must exceed.
        max: The maximum of a number.
    """
    limits = {"at least": min, "above": above, "at most": max}
    known = {words: limit for words, limit in limits.items() if limit is not None}
    text = " and ".join(f"{words} {limit:g}" for words, limit in known.items())
    metadata = {"help": f"{help}; {text}" if text else help, "limits": known, "range": text}
    made: T = field(default=default, metadata=metadata)
    return made


@dataclass(frozen=True)
class TrainedOn:
    """A dataset that weights were trained on; `str` gives it in words.

    Attributes:
        data: Its name, as `salcli datasets` lists it if salcli reads it.
        splits: The splits whose recordings were trained on; empty if that is unknown.
        chosen_by: The splits that chose the epoch.
        edition: Edition that these splits belong to, such as a fold; empty if there is only one.
        groups: Groups of its recordings; empty for all.
    """

    data: str
    splits: tuple[str, ...] = ()
    chosen_by: tuple[str, ...] = ()
    edition: str = ""
    groups: tuple[str, ...] = ()

    def __str__(self) -> str:
        facts = [self.edition, *self.groups, *self.splits]
        facts += [f"epoch chosen by {split}" for split in self.chosen_by]
        known = ", ".join(filter(None, facts))
        return f"{self.data} ({known})" if known else self.data


@dataclass(frozen=True)
class Weights:
    """One published weights file of a model.

    Attributes:
        tag: The name after the colon, as in `unisal:open`.
        urls: Download addresses, tried in order.
        hash: `"sha256:<hex>"` or `"gitblob:<hex>"` (SHA-1 of `"blob <size>\\0"` + content). `None`
            only if it is unknown: then the first download records it.
        size: In bytes; `None` if unknown.
        filename: Name of the file in the cache, and of a copy downloaded by hand.
        resource: Path of a file inside the plugin's own package, instead of a download.
        options: Model options that these weights need (`-O` overrides them).
        licence: SPDX identifier or a short text.
        trained_on: All datasets that they were trained on.
        note: Anything else that users must know.
        known_limits: What maps by these weights are bad at, and what to use instead; told where
            somebody judges designs by them.
    """

    tag: str
    urls: tuple[str, ...] = ()
    hash: str | None = None
    size: int | None = None
    filename: str = ""
    resource: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    licence: str = ""
    trained_on: tuple[TrainedOn, ...] = ()
    note: str = ""
    known_limits: str = ""


@dataclass(frozen=True)
class ModelSpec:
    """The description of a model, available before anything heavy is imported.

    Attributes:
        name: What the user types.
        summary: One line for `salcli models`.
        factory: `"package.module:Class"`, a subclass of `salcli.authoring.Model`, imported when
            needed.
        weights: Published files; the first is the default.
        options: A frozen dataclass whose fields are the `-O key=value` options.
        accepts: `"stills"`, `"clips"` or both.
        precisions: Floating-point types that the network can run in.
        rounding: How the published code rounds maps to 8 bit, see `salcli.authoring.to_8bit`.
        paper, year, licence, citation: Where it comes from and how to cite it (BibTeX).
        scores: Published scores, one line each.
        card: Further rows for `salcli models NAME`: parameters, cost per frame, input size.
        context: How many earlier frames of a clip a map depends on: an interrupted run shows these
            again. 0 if it depends on its own frame alone, `None` if on all of them.
        comparisons: Options of other ways to compute the maps, by name, for `salcli bench
            --compare`.
    """

    name: str
    summary: str
    factory: str
    weights: tuple[Weights, ...] = ()
    options: type | None = None
    accepts: frozenset[Literal["stills", "clips"]] = frozenset({"stills", "clips"})
    precisions: Sequence[Literal["float32", "bfloat16", "float16"]] = PRECISIONS
    rounding: Literal["floor", "nearest", "up"] = "nearest"
    paper: str = ""
    year: int | None = None
    licence: str = ""
    citation: str = ""
    scores: tuple[str, ...] = ()
    card: Mapping[str, str] = field(default_factory=dict)
    context: int | None = None
    comparisons: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def weights_row(self, tag: str | None = None) -> Weights | None:
        """The row with this tag, by default the first; `None` for a model without weights.

        Raises:
            UnknownName: No row has this tag.
        """
        if tag is None:
            return self.weights[0] if self.weights else None
        for row in self.weights:
            if row.tag == tag:
                return row
        raise UnknownName(f"weights tag of model '{self.name}'", tag, [w.tag for w in self.weights])


@dataclass(frozen=True)
class DatasetSpec:
    """A dataset layout: `factory(roots, options)` makes a `salcli.Dataset`.

    Attributes:
        name: What the user types after `--data`.
        summary: One line for `salcli datasets`.
        factory: `"package.module:function"`, imported on first use.
        layout: What the reader expects below a root, one line per path.
        variable: Environment variable that names a root if `--root` does not.
        options: `"package.module:Class"`, a frozen dataclass whose fields are the `-D key=value`
            options, or nothing; the factory then gets `None`.
        origin: Where to get it.
        licence: SPDX identifier or a short text.
    """

    name: str
    summary: str
    factory: str
    layout: tuple[str, ...] = ()
    variable: str = ""
    options: str = ""
    origin: str = ""
    licence: str = ""


@dataclass(frozen=True)
class FilterSpec:
    """A filter around a model: it changes the frames that the model sees, its maps, or both.

    Attributes:
        name: What the user types after `--filter`.
        summary: One line.
        factory: `"package.module:function"`, imported on first use. `function(stimulus, following,
            options)` gives one `Prediction` per frame of the stimulus, in order, lazily.
            `following(stimulus)` gives those of the next filter, or of the model, for the stimulus
            that it is given.
        options: A frozen dataclass whose fields are the `KEY=VALUE` options, or nothing; the
            function then gets `None`.
        trains: `"package.module:function"` where training applies the filter, too.
            `function(frames, options)` gives `(top, bottom, left, right)`: the part, in pixels, of
            the frames of a sample (RGB uint8 `[H, W, 3]`, of one size) to train on; ground truth is
            cut alike. Empty: training refuses the filter.
    """

    name: str
    summary: str
    factory: str
    options: type | None = None
    trains: str = ""


@dataclass(frozen=True)
class EngineSpec:
    """An engine that runs a model's network instead of PyTorch, on the CPU in float32.

    Attributes:
        name: What the user types after `--engine`.
        summary: One line.
        load: `"package.module:function"`, imported on first use. `function(path, threads, calls)`
            loads an ONNX file whose inputs have a first dimension of any length, and gives a
            function of arrays: its arguments and results have the file's order. `calls` threads
            call it at once, and share `threads` cores.
        needs: Distributions that must be installed, the engine's own first.
        install: The command that installs them.
    """

    name: str
    summary: str
    load: str
    needs: tuple[str, ...]
    install: str


@dataclass(frozen=True)
class MetricSpec:
    """A saliency metric: `function(saliency, truth) -> float`.

    A parameter named `rng` gets a `numpy.random.Generator`; other keyword parameters are set by
    protocols.

    Attributes:
        name: Column title, the field's own term.
        summary: One line.
        function: `"package.module:function"`, imported on first use.
        needs: The ground truth that the function takes as its second argument: a fixation density
            map, or the number of fixations per pixel.
        higher_is_better: Whether higher scores are better.
        also: The third argument of the function, if any: the fixations of other stimuli per pixel,
            or the density map of a baseline.
        validates: Whether training measures it after each epoch; it then takes two arguments.
        takes_tensors: Whether the function also takes tensors, which it gets if there is a GPU;
            otherwise it gets only numpy arrays.
    """

    name: str
    summary: str
    function: str
    needs: Literal["fixations", "density"]
    higher_is_better: bool = True
    also: Literal["negatives", "baseline"] | None = None
    validates: bool = True
    takes_tensors: bool = False


@dataclass(frozen=True)
class StyleSpec:
    """A way to draw saliency maps in `salcli visualize`.

    Attributes:
        name: What the user types after `--style`.
        summary: One line for the help text.
        factory: `"package.module:Class"`, imported on first use and called with the
            `salcli.authoring.Look` that the user chose.
        draws: What an instance draws. `"map"`: one map on its picture, as a
            `salcli.authoring.MapStyle`; salcli arranges the panels. `"panels"`: a frame with all
            its maps, by a method `draw` that takes a `salcli.authoring.ComparedFrame` and gives a
            picture, RGB uint8 with even sides.
    """

    name: str
    summary: str
    factory: str
    draws: Literal["map", "panels"] = "map"


@dataclass(frozen=True)
class ProtocolSpec:
    """A scoring protocol and its name.

    Attributes:
        name: What the user types.
        protocol: `"package.module:NAME"` of a `salcli.authoring.Protocol` with this name, imported
            on first use.
    """

    name: str
    protocol: str


def resolve(target: str) -> Any:
    """Import the object that `"package.module:attribute"` names.

    Raises:
        PluginError: The module cannot be imported or has no such attribute.
    """
    try:
        return pkgutil.resolve_name(target)
    except Exception as error:
        raise PluginError(f"cannot import '{target}': {type(error).__name__}: {error}") from error


def parse_options(
    spec: ModelSpec | FilterSpec,
    given: Sequence[str] | Mapping[str, Any],
    *,
    defaults: Mapping[str, Any],
) -> Any:
    """An instance of the Options of `spec` from `key=value` texts or from a mapping.

    `given` overrides `defaults` (the options of a weights row or of a checkpoint). `None` where
    there are no options.

    Raises:
        UnknownName: There is no such option.
        UsageError: A text is not `key=value`, or a value does not fit the field's type or limits.
    """
    kind = "model" if isinstance(spec, ModelSpec) else "filter"
    return _fill(spec.options, {**defaults, **_mapping(given)}, owner=f"{kind} '{spec.name}'")


def as_json(options: Any) -> dict[str, Any]:
    """An instance of Options by name, as it reads back from JSON; empty for `None`."""
    found = dataclasses.asdict(options) if options else {}
    return {name: _plain(value) for name, value in found.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def parse_data_options(spec: DatasetSpec, given: Sequence[str] | Mapping[str, Any]) -> Any:
    """An instance of the layout's Options from `key=value` texts or from a mapping.

    `None` for a layout without options. Raises like `parse_options`.
    """
    options = resolve(spec.options) if spec.options else None
    return _fill(options, _mapping(given), owner=f"dataset '{spec.name}'")


def _mapping(given: Sequence[str] | Mapping[str, Any]) -> Mapping[str, Any]:
    return given if isinstance(given, Mapping) else dict(map(_split, given))


def _fill(options: type | None, values: Mapping[str, Any], *, owner: str) -> Any:
    if options is None:
        if values:
            raise UsageError(f"{owner} has no options; remove {next(iter(values))}=...")
        return None
    fields = {f.name: f for f in dataclasses.fields(options)}
    hints = typing.get_type_hints(options)
    converted = {}
    for key, value in values.items():
        if key not in fields:
            raise UnknownName(f"option of {owner}", key, fields)
        shown = f"option {key}={value} of {owner}"
        converted[key] = _convert(shown, value, hints[key])
        _check_limits(shown, converted[key], fields[key].metadata)
    try:
        return options(**converted)
    except ValueError as error:
        raise UsageError(f"{owner}: {error}") from error


def _check_limits(shown: str, value: Any, metadata: Mapping[str, Any]) -> None:
    holds: Mapping[str, Callable[[Any, float], bool]] = {
        "at least": operator.ge,
        "above": operator.gt,
        "at most": operator.le,
    }
    limits = metadata.get("limits", {}).items() if value is not None else ()
    if not all(holds[words](value, limit) for words, limit in limits):
        raise UsageError(f"{shown}: must be {metadata['range']}")


def _split(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise UsageError(f"an option is key=value, not '{text}'")
    return key.strip().replace("-", "_"), value.strip()


def _convert(shown: str, value: Any, hint: Any) -> Any:
    """Convert `value` (text, or already of the right type) to the type `hint`."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        lowered = {str(a).lower(): a for a in arguments}
        if str(value).lower() not in lowered:
            raise UsageError(f"{shown}: must be one of {', '.join(map(str, arguments))}")
        return lowered[str(value).lower()]
    if origin in (typing.Union, types.UnionType):
        if value is None or str(value).lower() in ("none", ""):
            return None
        return _convert(shown, value, next(a for a in arguments if a is not type(None)))
    if origin is tuple:
        parts = (value.split(",") if value else ()) if isinstance(value, str) else value
        if not isinstance(parts, list | tuple):
            raise UsageError(f"{shown}: must be comma-separated values")
        if arguments[-1] is not Ellipsis and len(parts) != len(arguments):
            raise UsageError(f"{shown}: must be {len(arguments)} comma-separated values")
        return tuple(_convert(shown, part, arguments[0]) for part in parts)
    if hint not in CONVERTERS:
        raise PluginError(f"{shown}: an option cannot have the type {hint}")
    try:
        return CONVERTERS[hint](value)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise UsageError(f"{shown}: must be {WORDS[hint]}") from error


def _whole(value: Any) -> int:
    number = int(value)
    if not isinstance(value, str) and number != value:
        raise ValueError("not a whole number")
    return number


def _truth(value: Any) -> bool:
    return {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}[
        str(value).lower()
    ]


CONVERTERS: Mapping[Any, Callable[[Any], Any]] = {
    bool: _truth,
    float: float,
    int: _whole,
    Path: Path,
    str: str,
}
"""Supported option types, besides `Literal`, `X | None` and `tuple[X, ...]` of them."""

WORDS = {
    bool: "true or false",
    float: "a number",
    int: "a whole number",
    Path: "a path",
    str: "a text",
}
