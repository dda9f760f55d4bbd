"""Opens a dataset by name: where its root is, and its options."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from salcli.errors import InputError, UsageError
from salcli.plugins import registry
from salcli.specs import DatasetSpec, parse_data_options, resolve
from salcli.types import Dataset

__all__ = ["open_dataset", "options_of", "root_of", "without_root"]

NOWHERE = "(no --root)"
"""Root of a dataset that is not there, as messages show it."""


def open_dataset(
    name: str,
    roots: Sequence[Path] = (),
    *,
    options: Sequence[str] | Mapping[str, Any] = (),
) -> Dataset:
    """The dataset of this name, below the given roots or the one that its variable names.

    Args:
        name: As registered, e.g. `dhf1k`.
        roots: Where it lies; of most datasets one.
        options: `key=value` texts, or a mapping; of the layout's own options.

    Raises:
        UnknownName: There is no such dataset or option.
        UsageError: Nobody says where it lies, or an option does not fit.
        InputError: The root does not exist, or is not this dataset.
    """
    spec = registry.dataset(name)
    where = list(roots) or root_of(spec)
    if not where:
        remedy = f" or set {spec.variable}" if spec.variable else ""
        raise UsageError(f"where is dataset '{name}'? Give its folder with --root{remedy}")
    for root in where:
        if not root.is_dir():
            raise InputError(f"there is no folder '{root}' for dataset '{name}'")
    dataset: Dataset = resolve(spec.factory)(where, parse_data_options(spec, options))
    return dataset


def without_root(name: str) -> Dataset:
    """A dataset of which only the published names and counts are known.

    Raises:
        UnknownName: There is no such dataset.
        UsageError: Its names stand in a file of its own.
    """
    spec = registry.dataset(name)
    try:
        dataset: Dataset = resolve(spec.factory)([Path(NOWHERE)], parse_data_options(spec, {}))
    except InputError as error:
        raise UsageError(f"only '{name}' itself says what it holds; give its --root") from error
    return dataset


def options_of(spec: DatasetSpec) -> dict[str, tuple[str, str]]:
    """Options of a layout by name: the default, and what it means."""
    fields = dataclasses.fields(resolve(spec.options)) if spec.options else ()
    return {f.name: (str(f.default), str(f.metadata.get("help", ""))) for f in fields}


def root_of(spec: DatasetSpec) -> list[Path]:
    """The root that the environment names for a dataset, if it does."""
    named = os.environ.get(spec.variable) if spec.variable else None
    return [Path(named).expanduser()] if named else []
