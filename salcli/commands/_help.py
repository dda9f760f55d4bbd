"""Help texts: plain and at most 80 columns wide, options and commands in named panels."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import chain
from typing import Any, get_args

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


TEXTS = (str, list[str])


class _Conversion:
    """Lets typer convert what was given for a parameter; it imports pydantic for that.

    Texts that no function parses need it not, nor do defaults that have their type already.
    """

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        """The value for the command."""
        kind = param.type_descriptor.annotation
        parser = param.type_descriptor.parameter_info.parser
        default = ctx.get_parameter_source(param.name).name == "DEFAULT"
        if default and parser and value is not None:
            return parser(value)
        if _fits(value, kind) if default else kind in TEXTS and not parser:
            return value
        return type(param).get_runtime_param(param).coerce(value, param=param, ctx=ctx)


def _fits(value: Any, kind: Any) -> bool:
    """Whether a default has its type, or is one of the choices."""
    fits = issubclass(type(value), kind) if isinstance(kind, type) else value in get_args(kind)
    return value is None or fits


def _spared(parameters: list[Any]) -> list[Any]:
    for each in parameters:
        each.get_runtime_param = _Conversion
    return parameters


class Command(TyperCommand):
    """A command whose options are shown in the panels that they name (`rich_help_panel`)."""

    def get_params(self, ctx: Any) -> list[Any]:
        """All parameters, that of the help included."""
        return _spared(super().get_params(ctx))

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write arguments and options."""
        _write(_parameters(self, ctx), formatter)


class Group(TyperGroup):
    """A group of commands, which are shown in the panels that they name."""

    commands: Any  # a `_tree.Commands`, which makes them when they are asked for

    def get_params(self, ctx: Any) -> list[Any]:
        """All parameters, that of the help included."""
        return _spared(super().get_params(ctx))

    def list_commands(self, ctx: Any) -> list[str]:
        """Names of all commands."""
        return list(self.commands)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write options, then commands with the first paragraph of their help."""
        shown = (
            (panel, name, " ".join(text.partition("\n\n")[0].split()))
            for panel, name, text in self.commands.described()
        )
        _write(chain(shown, _parameters(self, ctx)), formatter)


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
