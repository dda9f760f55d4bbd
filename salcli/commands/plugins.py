"""`salcli plugins`: which are installed, and which are broken."""

from __future__ import annotations

import json

import typer

from salcli.commands._options import Json

__all__ = ["list_plugins"]


def list_plugins(*, as_json: Json = False) -> None:
    """List the installed plugins; a broken one with its error.

    \b
    Examples:
      salcli plugins
      salcli plugins --json
    """
    from salcli.commands import _tables
    from salcli.plugins import loader, registry

    loaded = loader.load()
    names = registry.models()  # first, because this call may find a plugin to be broken
    registry.datasets()
    registry.metrics()
    models_of: dict[str, list[str]] = {}
    for name in names:
        models_of.setdefault(registry.provider(name).name, []).append(name)
    if as_json:
        rows = [
            {
                "name": plugin.name,
                "distribution": plugin.distribution,
                "version": plugin.version,
                "models": models_of.get(plugin.name, []),
                "error": plugin.error,
            }
            for plugin in loaded
        ]
        typer.echo(json.dumps(rows, indent=2))
        return
    _tables.show(
        ("PLUGIN", "DISTRIBUTION", "VERSION", "MODELS"),
        [
            (p.name, p.distribution, p.version, ", ".join(models_of.get(p.name, ["-"])))
            for p in loaded
        ],
    )
    for plugin in loaded.broken():
        typer.echo(f"broken: {plugin.name} ({plugin.distribution}): {plugin.error}")
