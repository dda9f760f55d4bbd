"""Models, datasets, filters, metrics and so on by name, as the plugins register them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Generic, TypeVar

from salcli.errors import PluginError, UnknownName
from salcli.plugins import loader
from salcli.specs import (
    DatasetSpec,
    EngineSpec,
    FilterSpec,
    MetricSpec,
    ModelSpec,
    ProtocolSpec,
    StyleSpec,
    Weights,
)

__all__ = [
    "DEFAULT_MODEL",
    "dataset",
    "datasets",
    "engine",
    "engines",
    "filters",
    "find_filter",
    "installation",
    "metrics",
    "model",
    "model_names",
    "models",
    "names_of",
    "protocol",
    "protocols",
    "provider",
    "style",
    "styles",
]

DEFAULT_MODEL = "unisal:open"
"""What runs without `--model`: weights that ship in a wheel, so no network is needed."""

OWN_PLUGINS: Mapping[str, frozenset[str]] = {
    "salcli-hf": frozenset(),
    "salcli-salema": frozenset({"salema", "salema-area"}),
    "salcli-stsnet": frozenset({"stsnet"}),
    "salcli-tased": frozenset({"tased"}),
    "salcli-tempsal": frozenset({"tempsal"}),
    "salcli-unisal": frozenset({"unisal"}),
}
"""Names of the models and protocols of salcli's own plugins, by distribution."""

LISTED_BY = {
    "model": "models",
    "dataset": "datasets",
    "filter": "filters",
    "engine": "predict --help",
    "protocol": "score --help",
    "style": "visualize --help",
}
"""The command that lists what there is of a kind."""

Spec = TypeVar(
    "Spec", ModelSpec, DatasetSpec, EngineSpec, FilterSpec, MetricSpec, ProtocolSpec, StyleSpec
)


def models() -> Mapping[str, ModelSpec]:
    """Every registered model by name."""
    return {name: spec for name, (spec, _) in _models().specs.items()}


def datasets() -> Mapping[str, DatasetSpec]:
    """Every registered dataset layout by name."""
    return {name: spec for name, (spec, _) in _datasets().specs.items()}


def filters() -> Mapping[str, FilterSpec]:
    """Every registered filter by name."""
    return {name: spec for name, (spec, _) in _filters().specs.items()}


def engines() -> Mapping[str, EngineSpec]:
    """Every registered engine by name."""
    return {name: spec for name, (spec, _) in _engines().specs.items()}


def metrics() -> Mapping[str, MetricSpec]:
    """Every registered metric by name."""
    return {name: spec for name, (spec, _) in _metrics().specs.items()}


def styles() -> Mapping[str, StyleSpec]:
    """Every registered style by name."""
    return {name: spec for name, (spec, _) in _styles().specs.items()}


def protocols() -> Mapping[str, ProtocolSpec]:
    """Every registered protocol by name."""
    return {name: spec for name, (spec, _) in _protocols().specs.items()}


def provider(name: str) -> loader.Plugin:
    """The plugin that registered the model `name`.

    Raises:
        UnknownName: No such model.
        PluginError: Two plugins register it.
    """
    return _find("model", name, _models())[1]


def model(name: str) -> tuple[ModelSpec, Weights | None]:
    """The model and the weights row that `NAME` or `NAME:TAG` means.

    Raises:
        UnknownName: No such model, or no such tag.
        PluginError: Two plugins register it.
    """
    base, colon, tag = name.partition(":")
    spec, _ = _find("model", base, _models())
    return spec, spec.weights_row(tag if colon else None)


def dataset(name: str) -> DatasetSpec:
    """The dataset layout of this name.

    Raises:
        UnknownName: No such dataset.
        PluginError: Two plugins register it.
    """
    return _find("dataset", name, _datasets())[0]


def find_filter(name: str) -> tuple[FilterSpec, loader.Plugin]:
    """The filter of this name, and the plugin that registered it.

    Raises:
        UnknownName: No such filter.
        PluginError: Two plugins register it.
    """
    return _find("filter", name, _filters())


def engine(name: str) -> EngineSpec:
    """The engine of this name.

    Raises:
        UnknownName: No such engine.
        PluginError: Two plugins register it.
    """
    return _find("engine", name, _engines())[0]


def style(name: str) -> StyleSpec:
    """The style of this name.

    Raises:
        UnknownName: No such style.
        PluginError: Two plugins register it.
    """
    return _find("style", name, _styles())[0]


def protocol(name: str) -> ProtocolSpec:
    """The protocol of this name.

    Raises:
        UnknownName: No such protocol.
        PluginError: Two plugins register it.
    """
    return _find("protocol", name, _protocols())[0]


def names_of(plugin: loader.Plugin, kind: str) -> list[str]:
    """Names of the `models`, `filters`, `datasets` and so on that this plugin brings."""
    found: dict[str, _Found[Any]] = {
        "models": _models(),
        "filters": _filters(),
        "datasets": _datasets(),
        "engines": _engines(),
        "metrics": _metrics(),
        "protocols": _protocols(),
        "styles": _styles(),
    }
    specs = found[kind].specs
    return [name for name, (_, owner) in specs.items() if owner.name == plugin.name]


def installation(name: str) -> str:
    """The command that installs the model `NAME` or `NAME:TAG`, or the protocol `NAME`.

    Empty if its distribution is installed (broken or not) or unknown.
    """
    base = name.partition(":")[0]
    installed = {plugin.distribution for plugin in loader.load()}
    found = (own for own, names in OWN_PLUGINS.items() if base in names and own not in installed)
    return "".join(f"pip install {distribution}" for distribution in found)


def model_names() -> list[str]:
    """Everything that `--model` takes, for shell completion: `NAME` and `NAME:TAG`."""
    return [
        text
        for name, spec in models().items()
        for text in (name, *(f"{name}:{row.tag}" for row in spec.weights))
    ]


@dataclass(frozen=True)
class _Found(Generic[Spec]):
    """What the plugins registered.

    Attributes:
        specs: Everything that can be used, by name, with the plugin that brings it.
        disputed: Names that nobody gets, with all the plugins that register them.
    """

    specs: Mapping[str, tuple[Spec, loader.Plugin]]
    disputed: Mapping[str, Sequence[loader.Plugin]]


def _find(kind: str, name: str, found: _Found[Spec]) -> tuple[Spec, loader.Plugin]:
    if name in found.specs:
        return found.specs[name]
    if name in found.disputed:
        raise PluginError(_dispute(kind, name, found.disputed[name]))
    broken = loader.load().broken()
    remedies = [f"(see 'salcli {LISTED_BY[kind]}')"]
    if broken:
        listed = ", ".join(f"{plugin.distribution}: {plugin.error}" for plugin in broken)
        remedies.append(f"these plugins are broken and may bring it: {listed}")
    if kind in ("model", "protocol") and (command := installation(name)):
        remedies.append(f"'{command}' brings it")
    raise UnknownName(kind, name, found.specs, remedy="; ".join(remedies))


def _dispute(kind: str, name: str, plugins_: Sequence[loader.Plugin]) -> str:
    rivals = " and ".join(f"'{plugin.distribution}'" for plugin in plugins_)
    return f"the {kind} '{name}' is registered by {rivals}; uninstall all but one"


def _collect(hook: str, kind: type[Spec]) -> _Found[Spec]:
    loaded = loader.load()
    noun = kind.__name__.removesuffix("Spec").lower()
    claims: dict[str, list[tuple[Spec, loader.Plugin]]] = {}
    for plugin, specs in loaded.ask_each(hook):
        for spec in specs:
            if isinstance(spec, kind):
                claims.setdefault(spec.name, []).append((spec, plugin))
            else:
                loaded.mark_broken(plugin, f"{hook} gave {spec!r}, not a {kind.__name__}")
    disputed = {name: [p for _, p in many] for name, many in claims.items() if len(many) > 1}
    for name, rivals in disputed.items():
        for plugin in rivals:
            loaded.mark_broken(plugin, _dispute(noun, name, rivals))
    return _Found({name: one[0] for name, one in claims.items() if len(one) == 1}, disputed)


@cache
def _models() -> _Found[ModelSpec]:
    return _collect("register_models", ModelSpec)


@cache
def _datasets() -> _Found[DatasetSpec]:
    return _collect("register_datasets", DatasetSpec)


@cache
def _filters() -> _Found[FilterSpec]:
    return _collect("register_filters", FilterSpec)


@cache
def _engines() -> _Found[EngineSpec]:
    return _collect("register_engines", EngineSpec)


@cache
def _metrics() -> _Found[MetricSpec]:
    return _collect("register_metrics", MetricSpec)


@cache
def _protocols() -> _Found[ProtocolSpec]:
    return _collect("register_protocols", ProtocolSpec)


@cache
def _styles() -> _Found[StyleSpec]:
    return _collect("register_styles", StyleSpec)
