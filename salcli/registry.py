"""Models, datasets and metrics by name, as the plugins register them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TypeVar

from salcli import plugins
from salcli.errors import PluginError, UnknownName
from salcli.specs import DatasetSpec, MetricSpec, ModelSpec, Weights

__all__ = [
    "DEFAULT_MODEL",
    "dataset",
    "datasets",
    "metrics",
    "model",
    "model_names",
    "models",
    "provider",
]

DEFAULT_MODEL = "unisal:open"
"""What runs without `--model`: weights that ship in a wheel, so no network is needed."""

Spec = TypeVar("Spec", ModelSpec, DatasetSpec, MetricSpec)


def models() -> Mapping[str, ModelSpec]:
    """Every registered model by name."""
    return {name: spec for name, (spec, _) in _models().items()}


def datasets() -> Mapping[str, DatasetSpec]:
    """Every registered dataset layout by name."""
    return {name: spec for name, (spec, _) in _datasets().items()}


def metrics() -> Mapping[str, MetricSpec]:
    """Every registered metric by name."""
    return {name: spec for name, (spec, _) in _metrics().items()}


def provider(name: str) -> plugins.Plugin:
    """The plugin that registered the model `name`.

    Raises:
        UnknownName: No such model.
    """
    if name not in _models():
        raise _unknown("model", name, _models())
    return _models()[name][1]


def model(name: str) -> tuple[ModelSpec, Weights | None]:
    """The model and the weights row that `NAME` or `NAME:TAG` means.

    Raises:
        UnknownName: No such model, or no such tag.
    """
    base, _, tag = name.partition(":")
    if base not in _models():
        raise _unknown("model", base, _models())
    spec = _models()[base][0]
    return spec, spec.weights_row(tag or None)


def dataset(name: str) -> DatasetSpec:
    """The dataset layout of this name.

    Raises:
        UnknownName: No such dataset.
    """
    if name not in _datasets():
        raise _unknown("dataset", name, _datasets())
    return _datasets()[name][0]


def model_names() -> list[str]:
    """Everything that `--model` takes, for shell completion: `NAME` and `NAME:TAG`."""
    return [
        text
        for name, spec in models().items()
        for text in (name, *(f"{name}:{row.tag}" for row in spec.weights))
    ]


def _unknown(kind: str, name: str, known: Mapping[str, object]) -> UnknownName:
    broken = plugins.load().broken()
    remedy = f"; see 'salcli {kind}s'"
    if broken:
        listed = ", ".join(f"{p.distribution} ({p.error})" for p in broken)
        remedy += f"; broken plugins that may bring it: {listed}"
    return UnknownName(kind, name, known, remedy=remedy)


def _collect(hook: str, kind: type[Spec]) -> dict[str, tuple[Spec, plugins.Plugin]]:
    loaded = plugins.load()
    found: dict[str, tuple[Spec, plugins.Plugin]] = {}
    for plugin, specs in loaded.ask_each(hook):
        for spec in specs:
            if not isinstance(spec, kind):
                loaded.mark_broken(plugin, f"{hook} gave {spec!r}, not a {kind.__name__}")
                continue
            if spec.name in found:
                raise PluginError(
                    f"two plugins register the {kind.__name__.removesuffix('Spec').lower()} "
                    f"'{spec.name}': {found[spec.name][1].distribution} and {plugin.distribution}; "
                    "uninstall one of them"
                )
            found[spec.name] = (spec, plugin)
    return found


@cache
def _models() -> dict[str, tuple[ModelSpec, plugins.Plugin]]:
    return _collect("register_models", ModelSpec)


@cache
def _datasets() -> dict[str, tuple[DatasetSpec, plugins.Plugin]]:
    return _collect("register_datasets", DatasetSpec)


@cache
def _metrics() -> dict[str, tuple[MetricSpec, plugins.Plugin]]:
    return _collect("register_metrics", MetricSpec)
