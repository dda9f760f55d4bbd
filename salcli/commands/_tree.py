"""The tree of commands: typer makes each of them when a command line first asks for it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from copy import copy
from functools import cache, partial
from typing import Any, TypeAlias, get_type_hints

import typer
from typer.core import TyperCommand
from typer.main import get_command, get_command_name, solve_typer_info_defaults
from typer.models import CommandInfo, TyperInfo

from salcli.commands._help import Command, Group

__all__ = ["Commands", "Info", "listed", "make_all", "root"]

Info: TypeAlias = CommandInfo | TyperInfo
"""What typer makes a command or a group of."""


class Commands(Mapping[str, Any]):
    """Commands by name; one is made when it is first asked for, its parameters included.

    Args:
        first: Gives what each command is made of.
        more: Gives the same of further ones; asked about a name that is none of the first.
    """

    def __init__(
        self, first: Mapping[str, Callable[[], Info]], more: Callable[[], Mapping[str, Info]]
    ) -> None:
        self._first, self._more = first, cache(more)
        self._made: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._made:
            self._made[name] = _made(self._info(name))
        return self._made[name]

    def __contains__(self, name: object) -> bool:
        return name in self._first or name in self._more()

    def __iter__(self) -> Iterator[str]:
        yield from self._first
        yield from self._more()

    def __len__(self) -> int:
        return len(list(iter(self)))

    def described(self) -> Iterator[tuple[str, str, str]]:
        """Panel, name and help of each command that is not hidden; makes none."""
        for name in self:
            info = self._info(name)
            if isinstance(info, TyperInfo):
                info = solve_typer_info_defaults(info)
                text = info.help
            else:
                text = info.help or inspect.getdoc(info.callback)
            if not info.hidden:
                yield info.rich_help_panel or "Commands", name, text or ""

    def _info(self, name: str) -> Info:
        return self._first[name]() if name in self._first else self._more()[name]


def root(app: typer.Typer, commands: Commands) -> Any:
    """The application with these commands, which a function without arguments may call."""
    group: Any = get_command(app)
    group.commands = commands
    return group


def listed(app: typer.Typer) -> dict[str, Info]:
    """What the commands of an application are made of, by name."""
    found: dict[str, Info] = {}
    for command in app.registered_commands:
        assert command.callback is not None
        found[command.name or get_command_name(command.callback.__name__)] = command
    for group in app.registered_groups:
        assert group.typer_instance is not None
        name = solve_typer_info_defaults(group).name
        found |= {name: group} if name else listed(group.typer_instance)
    return found


def make_all(commands: Mapping[str, Any]) -> None:
    """Make all commands, and those below them; raises whatever typer does if it cannot."""
    for command in commands.values():
        make_all(getattr(command, "commands", {}))


def _made(info: Info) -> Any:
    """The command or group, with the classes of `_help`, unless it has its own.

    Annotations that are text are evaluated, since typer would do so at each of four readings.
    """
    holder = typer.Typer(callback=_nothing, rich_markup_mode=None, add_completion=False)
    commands: Commands | None = None
    if isinstance(info, CommandInfo):
        assert info.callback is not None
        info.callback.__annotations__ = get_type_hints(info.callback, include_extras=True)
        if info.cls in (None, TyperCommand):
            info.cls = Command
        holder.registered_commands.append(info)
    else:
        assert info.typer_instance is not None
        commands = Commands({}, partial(listed, info.typer_instance))
        bare = copy(info.typer_instance)
        bare.registered_commands, bare.registered_groups = [], []
        info = copy(info)
        info.cls, info.typer_instance = Group, bare
        holder.registered_groups.append(info)
    built: Any = get_command(holder)
    (made,) = built.commands.values()
    if commands is not None:
        made.commands = commands
    return made


def _nothing() -> None:
    """The callback that makes a group of an application with one command."""
