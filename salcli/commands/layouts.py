"""What `salcli datasets list` prints."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from salcli.commands import tables

if TYPE_CHECKING:
    from salcli.specs import DatasetSpec

__all__ = ["show_all", "show_json", "show_one"]


def show_all(specs: Sequence[DatasetSpec]) -> None:
    """A row for each layout."""
    rows = [(spec.name, _where(spec), spec.summary) for spec in specs]
    tables.show(("DATASET", "WHERE", "WHAT"), rows)


def show_json(specs: Sequence[DatasetSpec]) -> None:
    """Everything as one document."""
    typer.echo(json.dumps([_document(spec) for spec in specs], indent=2))


def show_one(spec: DatasetSpec) -> None:
    """One layout: where it is looked for, what must lie there, its options."""
    from salcli.datasets.open import options_of

    rows = {"where": _where(spec), "origin": spec.origin, "licence": spec.licence}
    typer.echo(f"{spec.name}: {spec.summary}")
    for title, text in rows.items():
        if text:
            typer.echo(f"{title:<9} {text}")
    typer.echo("below its root:")
    for line in spec.layout:
        typer.echo(f"  {line}")
    for key, (default, meaning) in options_of(spec).items():
        typer.echo(f"-D {key}={default}: {meaning}")


def _where(spec: DatasetSpec) -> str:
    from salcli.datasets.open import root_of

    found = root_of(spec)
    if not found:
        return f"--root, {spec.variable}" if spec.variable else "--root"
    return str(found[0]) if found[0].is_dir() else f"{found[0]} (not there)"


def _document(spec: DatasetSpec) -> dict[str, object]:
    from salcli.datasets.open import options_of, root_of

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
