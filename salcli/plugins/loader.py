"""Loads plugins one by one, so that a broken one stays visible and harms nothing else."""

from __future__ import annotations

import re
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, replace
from functools import cache, partial
from importlib.metadata import Distribution, EntryPoint, PackageMetadata, entry_points
from traceback import walk_tb
from types import FrameType, FunctionType, ModuleType
from typing import Any

import pluggy
from packaging.specifiers import InvalidSpecifier, SpecifierSet

from salcli._version import __version__
from salcli.errors import UnknownName
from salcli.plugins import choice
from salcli.plugins.hooks import Hooks

__all__ = ["GROUP", "Plugin", "Plugins", "load"]

GROUP = "salcli"

CORE = re.compile(r"salcli(?![\w.-]) *(\[.*\])? *\(?(?P<versions>[^;()\[]*)\)? *", re.IGNORECASE)
"""A requirement of the core, without a condition; `packaging` itself would be slow to import."""

ALTERING = ("predict", "preprocess")
"""The hooks that change every prediction, without being asked for."""

SIGNALS = [getattr(signal, n) for n in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, n)]

STDOUT = threading.RLock()
"""Held while stdout is redirected, or two threads would each restore what the other had set."""


@dataclass(frozen=True)
class Plugin:
    """One plugin: an entry point of the group `salcli`.

    Attributes:
        name: The entry point's name; the core's own is `core`.
        distribution: Name of the distribution that brings it.
        version: That distribution's version.
        module: The imported module; `None` if the import failed.
        error: Why it is broken, in one line; empty if it is not.
        left_out: Why it was not loaded, as the user wished; empty if it was.
    """

    name: str
    distribution: str
    version: str
    module: ModuleType | None
    error: str = ""
    left_out: str = ""


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

    def named(self, name: str) -> Plugin:
        """The plugin of this name, broken or not.

        Raises:
            UnknownName: None is installed.
        """
        if name not in self._plugins:
            raise UnknownName("plugin", name, self._plugins, remedy="(see 'salcli plugins')")
        return self._plugins[name]

    def add(self, module: ModuleType, *, name: str, distribution: str, version: str) -> None:
        """Register an imported module; a module that does not fit the hooks is kept as broken."""
        error = ""
        try:
            self._manager.register(module, name)
            self._manager.check_pending()
            _check_marked(module)
        except Exception as problem:  # a guest cannot burn the house
            if self._manager.get_plugin(name) is module:
                self._manager.unregister(name=name)
            error = _one_line(problem)
        self._plugins[name] = Plugin(name, distribution, version, module, error)

    def load(self, entry_point: EntryPoint) -> None:
        """Import one entry point and register it; what cannot be used is kept as broken."""
        name = entry_point.name
        about = _about(entry_point.dist) if entry_point.dist else {"Name": "?", "Version": "?"}
        distribution, version = about["Name"], about["Version"]
        if name in self._plugins:
            first = self._plugins[name].distribution
            name = f"{name} ({distribution})"
            error = f"its name is taken by a plugin of {first}; uninstall one of them"
            self._plugins[name] = Plugin(name, distribution, version, None, error)
            return
        if distribution != GROUP and (reason := choice.left_out(name)):
            self._plugins[name] = Plugin(name, distribution, version, None, left_out=reason)
            return
        if misfit := _misfit(entry_point):
            self._plugins[name] = Plugin(name, distribution, version, None, misfit)
            return
        try:
            with _guarded():
                module = entry_point.load()
        except _GuestError as problem:
            self._plugins[name] = Plugin(name, distribution, version, None, str(problem))
            return
        self.add(module, name=name, distribution=distribution, version=version)

    def answers(self, hook: str) -> list[tuple[Plugin, Callable[..., Any]]]:
        """The plugins that implement this hook, the core first, and their functions."""
        functions = {i.plugin_name: i.function for i in getattr(self.hook, hook).get_hookimpls()}
        return [(plugin, functions[plugin.name]) for plugin in self if plugin.name in functions]

    def hooks(self, plugin: Plugin) -> list[str]:
        """Names of the hooks that a plugin implements."""
        names = [name for name in vars(Hooks) if not name.startswith("_")]
        return [n for n in names if any(plugin.name == one.name for one, _ in self.answers(n))]

    def altering(self) -> list[Plugin]:
        """The plugins that change every prediction: they implement `predict` or `preprocess`.

        The core, which implements both, leaves predictions as the model makes them.
        """
        found = {p.name: p for hook in ALTERING for p, _ in self.answers(hook) if p.name != "core"}
        return list(found.values())

    def raised_by(self, error: BaseException) -> Plugin | None:
        """The plugin whose code raised an error: the innermost on its way; `None` for the core."""
        frames = [frame for frame, _ in walk_tb(error.__traceback__)]
        for frame in reversed(frames):
            package = _package(frame.f_globals.get("__name__", ""))
            for plugin in self:
                if plugin.module and package == _package(plugin.module.__name__) != GROUP:
                    return plugin
        return None

    @contextmanager
    def guest(self, plugin: Plugin, doing: str) -> Iterator[None]:
        """Run a plugin's own code: if it raises, the plugin is kept as broken, and that is all."""
        try:
            with _guarded():
                yield
        except _GuestError as problem:
            self.mark_broken(plugin, f"{doing}: {problem}")

    def ask_each(self, hook: str) -> Iterator[tuple[Plugin, tuple[Any, ...]]]:
        """The answer of each working plugin to a collecting hook, with who gave it."""
        for plugin, function in self.answers(hook):
            answer: tuple[Any, ...] = ()
            with self.guest(plugin, hook):
                answer = tuple(function())
            yield plugin, answer

    def mark_broken(self, plugin: Plugin, error: str) -> None:
        """Remember that a plugin failed after it was loaded."""
        self._plugins[plugin.name] = replace(plugin, error=error)

    def broken(self) -> list[Plugin]:
        """The plugins that cannot be used, each with its error."""
        return [plugin for plugin in self if plugin.error]


def _misfit(entry_point: EntryPoint) -> str:
    """Why a plugin is not for this version of salcli, as its metadata say; empty if it is."""
    if not entry_point.dist or _about(entry_point.dist)["Name"] == GROUP:
        return ""
    for needed in filter(None, map(CORE.fullmatch, entry_point.dist.requires or ())):
        try:
            fits = SpecifierSet(needed["versions"]).contains(__version__, prereleases=True)
        except InvalidSpecifier:
            continue  # whoever installs the plugin is told
        if not fits:
            return (
                f"it needs salcli {needed['versions']}, and this is {__version__}; install "
                f"versions of salcli and {_about(entry_point.dist)['Name']} that fit each other"
            )
    return ""


def _check_marked(module: ModuleType) -> None:
    """Refuse a module with a function that is named like a hook, but not marked as one.

    Raises:
        ValueError: It has one.
    """
    for name in vars(Hooks):
        function = vars(module).get(name)
        own = isinstance(function, FunctionType) and function.__module__ == module.__name__
        if own and name not in ALTERING and not hasattr(function, "salcli_impl"):
            raise ValueError(f"{name} is not marked; write @salcli.hookimpl above it")


@cache
def _about(distribution: Distribution) -> PackageMetadata:
    """Name, version and so on, which `importlib.metadata` would parse at each question."""
    return distribution.metadata


def _place(entry_point: EntryPoint) -> tuple[bool, str, str]:
    """The core's own first, then by name, so that the order does not depend on the disk."""
    distribution = _about(entry_point.dist)["Name"] if entry_point.dist else ""
    return distribution != GROUP, entry_point.name, distribution


def _package(module: str) -> str:
    return module.partition(".")[0]


class _GuestError(Exception):
    """What a plugin raised, in one line."""


@contextmanager
def _guarded() -> Iterator[None]:
    """Run a plugin's own code: a guest cannot burn the house.

    What it prints goes to stderr, since stdout has results. Whatever it raises, be it an interrupt,
    is a `_GuestError`, unless a signal raised it: then somebody wants salcli to end.
    """
    came = False

    def receive(handler: Callable[..., Any], number: int, frame: FrameType | None) -> None:
        nonlocal came
        came = True
        handler(number, frame)

    in_main = threading.current_thread() is threading.main_thread()
    handlers = {number: signal.getsignal(number) for number in SIGNALS if in_main}
    ours = {number: handler for number, handler in handlers.items() if callable(handler)}
    for number, handler in ours.items():
        signal.signal(number, partial(receive, handler))
    try:
        with STDOUT, redirect_stdout(sys.stderr):
            yield
    except BaseException as problem:
        if came:
            raise
        raise _GuestError(_one_line(problem)) from problem
    finally:
        for number, handler in ours.items():
            signal.signal(number, handler)


def _one_line(problem: BaseException) -> str:
    text = " ".join(str(problem).split())
    return f"{type(problem).__name__}: {text}" if text else type(problem).__name__


@cache
def load() -> Plugins:
    """Every installed plugin, the core's own first; imported once per process."""
    plugins = Plugins()
    for entry_point in sorted(entry_points(group=GROUP), key=_place):
        plugins.load(entry_point)
    return plugins
