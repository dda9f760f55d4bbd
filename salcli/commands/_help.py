"""Help texts: plain and at most 80 columns wide, options and commands in named panels."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import chain
from typing import Any, get_type_hints

import typer
from typer.core import TyperCommand, TyperGroup

__all__ = [
    "ABOUT",
    "COMPUTING",
    "DATA",
    "ENCODING",
    "INPUTS",
    "LOOK",
    "MAPS",
    "MEASURE",
    "MESSAGES",
    "MODEL",
    "PICTURES",
    "PLUGINS",
    "RECIPE",
    "SCORES",
    "SHARING",
    "STORE",
    "TRAIN",
    "USE",
    "Command",
    "Group",
    "arrange",
]

INPUTS, MAPS, PICTURES, MODEL, DATA = "Input", "Maps", "Pictures", "Model", "Dataset"
RECIPE, SCORES, ENCODING = "Overrides of the recipe", "Scores", "Encoding"
COMPUTING, SHARING, MESSAGES = "Computing", "Sharing out the work", "Messages"
"""Panels of options, after the everyday ones, which have none."""

LOOK, USE, MEASURE, TRAIN, STORE, ABOUT, PLUGINS = (
    "Predict and look",
    "Use the maps",
    "Measure",
    "Train",
    "Data and weights",
    "About salcli",
    "From plugins",
)
"""Panels of commands, in the order in which they are listed."""

ORDER = ("Arguments", "Options", "Commands", LOOK, USE, MEASURE, TRAIN, STORE, ABOUT, PLUGINS)
"""Panels that come first; others follow in the order of their first member."""

COLUMN = 24
"""Width of the names; the text of a longer name begins below it."""


class Command(TyperCommand):
    """A command whose options are shown in the panels that they name (`rich_help_panel`)."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write arguments and options."""
        _write(_parameters(self, ctx), formatter)


class Group(TyperGroup):
    """A group of commands, which are shown in the panels that they name."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write options, then commands with the first paragraph of their help."""
        # typer adds the panels to its own commands alone
        commands: list[Any] = [self.commands[name] for name in self.list_commands(ctx)]
        shown = (
            (each.rich_help_panel or "Commands", str(each.name), _first_paragraph(each.help))
            for each in commands
            if not each.hidden
        )
        _write(chain(shown, _parameters(self, ctx)), formatter)


def arrange(app: typer.Typer) -> None:
    """Give every command and group below `app` these classes, unless it has its own.

    Annotations that are text are evaluated, since typer would do so at each of four readings.
    """
    for command in app.registered_commands:
        if command.callback is not None:
            hints = get_type_hints(command.callback, include_extras=True)
            command.callback.__annotations__ = hints
        if command.cls in (None, TyperCommand):
            command.cls = Command
    for group in app.registered_groups:
        group.cls = Group
        if group.typer_instance is not None:
            arrange(group.typer_instance)


def _parameters(command: Any, context: Any) -> Iterable[tuple[str, str, str]]:
    """Panel, names and text of each parameter."""
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is None:
            continue
        names, text = re.sub(r"<(int|float)( range)?>", "N", record[0]), record[1]
        text = re.sub(r"\[default: \((.*?)\)", r"[default: \1", text)
        if parameter.param_type_name == "argument":
            yield "Arguments", parameter.metavar or parameter.name.upper(), text
        else:
            indent = "    " if names.startswith("--") else ""
            names = indent + re.sub("[<>]", "", names)
            yield parameter.rich_help_panel or "Options", names, text


def _write(rows: Iterable[tuple[str, str, str]], formatter: Any) -> None:
    panels: dict[str, list[tuple[str, str]]] = {name: [] for name in ORDER}
    for panel, names, text in rows:
        panels.setdefault(panel, []).append((names.ljust(COLUMN), text))
    for panel, found in panels.items():
        if found:
            with formatter.section(typer.style(panel, bold=True)):
                formatter.write_dl(found, col_max=COLUMN)


def _first_paragraph(text: str | None) -> str:
    return " ".join((text or "").partition("\n\n")[0].split())
