"""`salcli filters`: the filters that can be put around a model."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import typer

from salcli.commands._options import Json

__all__ = ["filters"]


def filters(*, as_json: Json = False) -> None:
    """List the filters for --filter NAME[,KEY=VALUE], with their options and defaults.

    \b
    Examples:
      salcli filters
      salcli filters --json
    """
    from salcli.commands import _tables
    from salcli.plugins import registry

    rows: list[dict[str, Any]] = []
    for name in sorted(registry.filters()):
        spec, plugin = registry.find_filter(name)
        rows.append(
            {
                "name": name,
                "options": _options(spec.options),
                "trains": bool(spec.trains),
                "distribution": plugin.distribution,
                "version": plugin.version,
                "summary": spec.summary,
            }
        )
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    _tables.show(
        ("FILTER", "OPTIONS", "TRAINS", "DISTRIBUTION", "SUMMARY"),
        [
            (
                row["name"],
                " ".join(f"{one['name']}={one['default']}" for one in row["options"]) or "-",
                "yes" if row["trains"] else "no",
                row["distribution"],
                row["summary"],
            )
            for row in rows
        ],
    )


def _options(options: type | None) -> list[dict[str, Any]]:
    if options is None:
        return []
    return [
        {"name": each.name, "default": each.default, "help": each.metadata.get("help", "")}
        for each in dataclasses.fields(options)
    ]
