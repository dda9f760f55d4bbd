"""Opens a dataset by name: finds its root, and reads its options."""

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

__all__ = ["describe", "open_dataset", "options_of", "root_of", "without_root"]

NOWHERE = "(no root)"
"""Stands for the root of a dataset of which there is no copy."""


def open_dataset(
    name: str,
    roots: Sequence[Path] = (),
    *,
    options: Sequence[str] | Mapping[str, Any] = (),
) -> Dataset:
    """The dataset of this name, below the given roots or the one in its environment variable.

    Args:
        name: As registered, e.g. `dhf1k`.
        roots: Folders of the dataset; most have one.
        options: `key=value` texts, or a mapping; of the layout's own options.

    Raises:
        UnknownName: There is no such dataset or option.
        UsageError: The root is not known, or an option does not fit.
        InputError: The root does not exist, or holds another dataset.
    """
    spec = registry.dataset(name)
    where = list(roots) or root_of(spec)
    if not where:
        remedy = f", or set {spec.variable}" if spec.variable else ""
        raise UsageError(f"where is dataset '{name}'? Give its root folder{remedy}")
    for root in where:
        if not root.is_dir():
            raise InputError(f"there is no folder '{root}' for dataset '{name}'")
    dataset: Dataset = resolve(spec.factory)(where, parse_data_options(spec, options))
    return dataset


def without_root(name: str) -> Dataset:
    """A dataset without a copy of it: only its published names and counts are known.

    Raises:
        UnknownName: There is no such dataset.
        UsageError: Its names are listed in one of its own files only.
    """
    spec = registry.dataset(name)
    try:
        dataset: Dataset = resolve(spec.factory)([Path(NOWHERE)], parse_data_options(spec, {}))
    except InputError as error:
        raise UsageError(
            f"only '{name}' itself lists its contents; give its root folder"
        ) from error
    return dataset


def describe(spec: DatasetSpec) -> dict[str, object]:
    """A dataset and the place of its root, ready for JSON."""
    found = root_of(spec)
    return {
        "name": spec.name,
        "summary": spec.summary,
        "variable": spec.variable or None,
        "root": str(found[0]) if found else None,
        "there": bool(found) and found[0].is_dir(),
        "layout": list(spec.layout),
        "options": {key: default for key, (default, _) in options_of(spec).items()},
        "origin": spec.origin or None,
        "licence": spec.licence or None,
    }


def options_of(spec: DatasetSpec) -> dict[str, tuple[str, str]]:
    """Options of a layout by name: the default, and what it means."""
    fields = dataclasses.fields(resolve(spec.options)) if spec.options else ()
    return {f.name: (str(f.default), str(f.metadata.get("help", ""))) for f in fields}


def root_of(spec: DatasetSpec) -> list[Path]:
    """The root of a dataset from its environment variable, if that is set."""
    named = os.environ.get(spec.variable) if spec.variable else None
    return [Path(named).expanduser()] if named else []
