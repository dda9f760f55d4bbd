"""`salcli plugins`: lists, describes, tries, switches and begins plugins."""

from __future__ import annotations

import importlib.util
import json
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

import typer

from salcli.commands._options import Json
from salcli.errors import OutputError, UsageError

if TYPE_CHECKING:
    from salcli.plugins.loader import Plugin

__all__ = ["plugins"]

plugins = typer.Typer()

KINDS = ("models", "engines", "filters", "datasets", "metrics", "protocols", "styles")
"""What plugins bring that has a name."""

CHANGES = {
    "predict": "every prediction",
    "preprocess": "the input of every network",
    "fetch_weights": "where weights are downloaded from",
    "register_commands": "the commands of salcli",
}
"""What a plugin may change that implements a hook; other hooks only add."""


def _complete(incomplete: str) -> list[str]:
    from salcli.plugins import loader

    return [plugin.name for plugin in loader.load() if plugin.name.startswith(incomplete)]


Name: TypeAlias = Annotated[
    str, typer.Argument(metavar="NAME", help="The plugin.", autocompletion=_complete)
]


@plugins.callback(invoke_without_command=True)
def _plugins(context: typer.Context, *, as_json: Json = False) -> None:
    """List the installed plugins; describe, install, check, switch and begin them."""
    if context.invoked_subcommand is not None:
        return
    from salcli.commands import _tables
    from salcli.plugins import loader

    rows = [_document(plugin) for plugin in loader.load()]
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    _tables.show(
        ("PLUGIN", "DISTRIBUTION", "VERSION", "LICENCE", "HOOKS", "MODELS"),
        [
            (
                row["name"],
                row["distribution"],
                row["version"],
                row["licence"] or "not stated",
                " ".join(hook.removeprefix("register_") for hook in row["hooks"]) or "-",
                ", ".join(row["models"]) or "-",
            )
            for row in rows
        ],
    )
    for row in rows:
        for state in ("error", "left_out", "idle"):
            if row[state]:
                word = {"error": "broken", "left_out": "not loaded", "idle": "idle"}[state]
                typer.echo(f"{word}: {row['name']} ({row['distribution']}): {row[state]}")


@plugins.command("show")
def show(name: Name, *, as_json: Json = False) -> None:
    """Show what a plugin is, brings, and may change.

    \b
    Examples:
      salcli plugins show unisal
      salcli plugins show unisal --json
    """
    from salcli.commands import _tables
    from salcli.plugins import loader, registry

    plugin = loader.load().named(name)
    row = _document(plugin)
    if as_json:
        typer.echo(json.dumps(row, indent=2))
        return
    licences = {
        f"model {model}": "; ".join(
            [
                registry.models()[model].licence or "licence not stated",
                *(f"{one.tag}: {one.licence}" for one in registry.models()[model].weights),
            ]
        )
        for model in row["models"]
    }
    shown = {
        "plugin": f"{row['name']}, of {row['distribution']} {row['version']}",
        "licence": row["licence"] or "not stated",
        "hooks": ", ".join(row["hooks"]) or "none",
        "may change": ", ".join(row["may_change"]) or "nothing; it only adds",
        **{kind: ", ".join(row[kind]) for kind in KINDS},
        **licences,
        "broken": row["error"],
        "not loaded": row["left_out"],
        "idle": row["idle"],
    }
    for line in _tables.facts(shown):
        typer.echo(line)


@plugins.command("check")
def check(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME",
            help="The plugin.",
            show_default="all but the core",
            autocompletion=_complete,
        ),
    ] = None,
    *,
    as_json: Json = False,
) -> None:
    """Try the contract on everything that a plugin brings: each law, and its verdict.

    Models are tried with random networks, at their own input size, which may take minutes. Exit
    code 4 if a law is broken.

    \b
    Examples:
      salcli plugins check
      salcli plugins check unisal
    """
    from salcli.plugins import loader
    from salcli.testing.parts import verdicts

    chosen = (
        [loader.load().named(name)]
        if name
        else [one for one in loader.load() if one.name != "core"]
    )
    rows = []
    for plugin in chosen:
        problem = plugin.error or plugin.left_out or _idle(plugin)
        if problem:
            rows.append({"plugin": plugin.name, "part": "plugin", "law": "", "broken": problem})
        for verdict in () if problem else verdicts(plugin):
            row = {"plugin": plugin.name, "part": verdict.part, "law": verdict.law}
            rows.append({**row, "broken": verdict.complaint})
            if not as_json:
                state = "BROKEN" if verdict.complaint else "kept"
                typer.echo(f"{state:<7} {verdict.part}: {verdict.law}")
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
    complaints = [row for row in rows if row["broken"]]
    for row in complaints:
        typer.echo(f"salcli: {row['plugin']}: {row['broken']}", err=True)
    if complaints:
        raise typer.Exit(4)


@plugins.command("disable")
def disable(name: Name) -> None:
    """Do not load a plugin any more, in all later starts.

    \b
    Examples:
      salcli plugins disable tased
      salcli plugins disable stsnet
    """
    _switch(name, enabled=False)


@plugins.command("enable")
def enable(name: Name) -> None:
    """Load a plugin again that was disabled.

    \b
    Examples:
      salcli plugins enable tased
      salcli plugins enable stsnet
    """
    _switch(name, enabled=True)


@plugins.command("new")
def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Lower case letters and digits.")],
    *,
    kind: Annotated[
        Literal["image", "video", "filter", "dataset", "metric"],
        typer.Option(help="What it brings; image and video are models."),
    ] = "image",
    backbone: Annotated[
        Literal["none", "resnet18", "resnet50"],
        typer.Option(help="Encoder of an image model, from torchvision."),
    ] = "none",
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="DIR", help="Folder to write into.", show_default="NAME"
        ),
    ] = None,
) -> None:
    """Begin a plugin: a distribution with code, tests, README, licence and CI.

    \b
    Examples:
      salcli plugins new demo
      salcli plugins new calm --kind filter -o salcli-calm
    """
    from salcli.plugins import scaffold

    folder = output or Path(name)
    for path in scaffold.write(name, folder, kind=kind, backbone=backbone):
        typer.echo(path)
    typer.echo(f"next: pip install -e {folder} && salcli plugins check {name}", err=True)


@plugins.command()
def install(
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="NAME", help="Plugins: unisal, or any distribution as pip names it."
        ),
    ],
) -> None:
    """Install plugins into the environment that this salcli runs in.

    \b
    Examples:
      salcli plugins install unisal
      salcli plugins install tased salema
    """
    command = _installer(Path(sys.prefix), names)
    typer.echo(shlex.join(command), err=True)
    code = subprocess.run(command, check=False).returncode
    if code:
        raise OutputError(f"'{command[0]}' could not install it (exit code {code}); see above")


def _installer(prefix: Path, names: Sequence[str]) -> list[str]:
    """The command that installs distributions into the environment at `prefix`.

    Raises:
        UsageError: Neither pip nor uv is there, or pipx is not.
    """
    from salcli.plugins.registry import OWN_PLUGINS

    wanted = [f"salcli-{name}" if f"salcli-{name}" in OWN_PLUGINS else name for name in names]
    if (prefix / "pipx_metadata.json").exists():  # pipx has to know, or upgrades forget them
        if shutil.which("pipx"):
            return ["pipx", "inject", prefix.name, *wanted]
        raise UsageError(f"pipx made this environment, but cannot be found; install {wanted[0]}")
    if (prefix / "uv-receipt.toml").exists() or not importlib.util.find_spec("pip"):
        if shutil.which("uv"):
            return ["uv", "pip", "install", "--python", sys.executable, *wanted]
        raise UsageError(f"there is neither pip nor uv in '{prefix}'; install {wanted[0]} there")
    return [sys.executable, "-m", "pip", "install", *wanted]


def _document(plugin: Plugin) -> dict[str, Any]:
    from salcli.plugins import loader, registry

    brought = {
        kind: registry.names_of(plugin, kind) for kind in KINDS
    }  # first: it may find it broken
    loaded = loader.load()
    (now,) = (each for each in loaded if each.name == plugin.name)
    hooks = loaded.hooks(plugin)
    return {
        "name": plugin.name,
        "distribution": plugin.distribution,
        "version": plugin.version,
        "licence": _licence(plugin),
        "hooks": hooks,
        "may_change": [
            text for hook, text in CHANGES.items() if hook in hooks and plugin.name != "core"
        ],
        **brought,
        "error": now.error,
        "left_out": now.left_out,
        "idle": "" if now.error or now.left_out else _idle(plugin),
    }


def _idle(plugin: Plugin) -> str:
    """What is wrong with a plugin that does nothing; empty if it does something."""
    from salcli.plugins import loader, registry

    hooks = loader.load().hooks(plugin)
    if not hooks:
        return "it implements no hook; is a function without @salcli.hookimpl?"
    if any(hook in CHANGES for hook in hooks) or any(registry.names_of(plugin, k) for k in KINDS):
        return ""
    return f"it registers nothing; {', '.join(hooks)} gave nothing"


def _licence(plugin: Plugin) -> str:
    """The licence that the distribution's metadata state, in one line; empty if none."""
    from importlib.metadata import PackageNotFoundError, metadata

    try:
        found = metadata(plugin.distribution).json
    except PackageNotFoundError:
        return ""
    stated = found.get("license_expression") or found.get("license") or ""
    return str(stated).strip().partition("\n")[0]


def _switch(name: str, *, enabled: bool) -> None:
    from salcli.plugins import choice, loader

    plugin = loader.load().named(name)
    if plugin.name == "core":
        raise UsageError("the core is no plugin that could be left out")
    choice.choose(name, enabled=enabled)
    typer.echo(f"{plugin.distribution} is {'enabled' if enabled else 'disabled'}")
