"""What the server offers: models, formats, and the description of its interface."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from salcli._version import __version__
from salcli.plugins import registry
from salcli.weights import store

__all__ = ["described", "forms", "interface", "ready"]


def ready() -> list[str]:
    """Models whose published weights are on this machine, as `NAME:TAG`; the default first.

    Baselines are offered to those who name them.
    """
    names = [
        f"{spec.name}:{row.tag}"
        for spec in registry.models().values()
        for row in spec.weights
        if store.examine(spec, row).state in ("bundled", "cached")
    ]
    return sorted(names, key=lambda name: name != registry.DEFAULT_MODEL)


def described(names: Sequence[str]) -> list[dict[str, Any]]:
    """These models, the default first."""
    rows = []
    for name in names:
        spec, row = registry.model(name)
        rows.append(
            {
                "name": name,
                "summary": spec.summary,
                "accepts": sorted(spec.accepts),
                "licence": (row.licence if row else "") or spec.licence,
                "known_limits": row.known_limits if row else "",
            }
        )
    return rows


def forms() -> list[str]:
    """Formats of a picture's result: documents, maps, and one for each style."""
    return ["json", "png", "npy", *registry.styles()]


def interface() -> dict[str, Any]:
    """The OpenAPI document."""
    document: dict[str, Any] = json.loads(
        (files("salcli.serve") / "openapi.json").read_text("utf-8")
    )
    document["info"]["version"] = __version__
    (format_,) = (
        each
        for each in document["paths"]["/predict"]["post"]["parameters"]
        if each.get("name") == "format"
    )
    format_["schema"]["enum"] = forms()
    return document
