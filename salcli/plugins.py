"""Loads plugins one by one, so that a broken one stays visible and harms nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType
from typing import Any

import pluggy

from salcli import builtin
from salcli.hookspecs import Hooks

__all__ = ["GROUP", "Plugin", "Plugins", "load"]

GROUP = "salcli"


@dataclass(frozen=True)
class Plugin:
    """One plugin: an entry point of the group `salcli`, or the core's own implementations.

    Attributes:
        name: The entry point's name.
        distribution: Name of the distribution that brings it.
        version: That distribution's version.
        module: The imported module; `None` if the import failed.
        error: Why it is broken, in one line; empty if it is not.
    """

    name: str
    distribution: str
    version: str
    module: ModuleType | None
    error: str = ""


class Plugins:
    """The loaded plugins, broken ones included, and the hooks that they implement."""

    def __init__(self) -> None:
        self._manager = pluggy.PluginManager("salcli")
        self._manager.add_hookspecs(Hooks)
        self._plugins: dict[str, Plugin] = {}

    @property
    def hook(self) -> pluggy.HookRelay:
        """Callers of all hooks."""
        return self._manager.hook

    def __iter__(self) -> Iterator[Plugin]:
        return iter(self._plugins.values())

    def add(self, module: ModuleType, *, name: str, distribution: str, version: str) -> None:
        """Register an imported module; a module that does not fit the hooks is kept as broken."""
        error = ""
        try:
            self._manager.register(module, name)
            self._manager.check_pending()
        except Exception as problem:  # a guest cannot burn the house
            if self._manager.has_plugin(name):
                self._manager.unregister(name=name)
            error = _one_line(problem)
        self._plugins[name] = Plugin(name, distribution, version, module, error)

    def load(self, entry_point: EntryPoint) -> None:
        """Import one entry point and register it; a failing import is kept as broken."""
        distribution = entry_point.dist.name if entry_point.dist else "?"
        version = entry_point.dist.version if entry_point.dist else "?"
        try:
            module = entry_point.load()
        except (Exception, SystemExit) as problem:  # a guest cannot burn the house
            self._plugins[entry_point.name] = Plugin(
                entry_point.name, distribution, version, None, _one_line(problem)
            )
            return
        self.add(module, name=entry_point.name, distribution=distribution, version=version)

    def ask_each(self, hook: str, **arguments: Any) -> Iterator[tuple[Plugin, Any]]:
        """The answer of each working plugin to a collecting hook, with who gave it.

        A plugin whose implementation raises is kept as broken and gives no answer.
        """
        for implementation in getattr(self.hook, hook).get_hookimpls():
            plugin = self._plugins[implementation.plugin_name]
            try:
                answer = implementation.function(
                    *(arguments[name] for name in implementation.argnames)
                )
                if answer is not None:
                    answer = tuple(answer)
            except Exception as problem:  # a guest cannot burn the house
                self.mark_broken(plugin, f"{hook}: {_one_line(problem)}")
                continue
            yield plugin, answer

    def mark_broken(self, plugin: Plugin, error: str) -> None:
        """Remember that a plugin failed after it was loaded."""
        self._plugins[plugin.name] = Plugin(
            plugin.name, plugin.distribution, plugin.version, plugin.module, error
        )

    def broken(self) -> list[Plugin]:
        """The plugins that cannot be used, each with its error."""
        return [plugin for plugin in self if plugin.error]


def _one_line(problem: BaseException) -> str:
    text = " ".join(str(problem).split())
    return f"{type(problem).__name__}: {text}" if text else type(problem).__name__


@cache
def load() -> Plugins:
    """The core's own implementations and every installed plugin; imported once per process."""
    from salcli import __version__

    plugins = Plugins()
    plugins.add(builtin, name="core", distribution="salcli", version=__version__)
    for entry_point in sorted(entry_points(group=GROUP), key=lambda e: e.name):
        plugins.load(entry_point)
    return plugins
