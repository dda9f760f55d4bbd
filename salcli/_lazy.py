"""Public names whose modules are imported when they are first used."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

__all__ = ["lazily"]


def lazily(module: str, places: Mapping[str, str]) -> Callable[[str], Any]:
    """A module's `__getattr__` for names that other modules define.

    Args:
        module: The name of the module that offers them.
        places: The module that defines each name. A name that it lacks stands for the module.
    """

    def find(name: str) -> Any:
        if name not in places:
            raise AttributeError(f"module '{module}' has no attribute '{name}'")
        place = import_module(places[name])
        return getattr(place, name, place)

    return find
