"""Pages of the site that are made when it is built: commands, models, public names, licences.

A hook of mkdocs, which mkdocs.yml names. What these pages say stands in the code: in help texts,
in the descriptions that plugins register, in docstrings.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterable, Iterator
from contextlib import redirect_stdout
from io import StringIO
from typing import TYPE_CHECKING, Any

from salcli import cli
from salcli.authoring import Negatives, Preparation
from salcli.plugins import registry
from salcli.plugins.hooks import Hooks

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files

WIDTH = 80
"""Columns of a help text."""

STYLE = re.compile(r"\033\[[\d;]*m")
"""Bold and colours of a terminal."""

MARK = re.compile(r"^(```\w+) \w+$", re.MULTILINE)

PUBLIC = {
    "salcli": "for users, and the descriptions that plugins give",
    "salcli.authoring": "what models, datasets, metrics and filters of plugins are written with",
    "salcli.testing": "what plugins are tested with",
}
"""Public modules, and what they are for."""

OWN_CODE = "`salcli`, its command and its Python functions"


def pages() -> dict[str, dict[str, str]]:
    """Markdown of the made pages by the section of the navigation and the path of the page."""
    return {
        "Commands": command_pages(),
        "Models": model_pages(),
        "Reference": {
            "reference/hooks.md": hooks_page(),
            **{f"reference/{name}.md": names_page(name) for name in PUBLIC},
            "reference/metrics.md": metrics_page(),
        },
        "About": {"licences.md": licences_page()},
    }


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Append the made pages to the navigation; `About` stays the last section."""
    assert config.nav is not None
    about = config.nav.pop()
    for section, made in pages().items():
        if section in about:
            about[section] += made
        else:
            config.nav.append({section: list(made)})
    config.nav.append(about)
    return config


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add the made pages to those in the folder."""
    from mkdocs.structure.files import File

    for made in pages().values():
        for path, text in made.items():
            files.append(File.generated(config, path, content=text))
    return files


def on_page_markdown(markdown: str, **_: object) -> str:
    """Drop the words behind a block's language, which are for the tests that run it."""
    return MARK.sub(r"\1", markdown)


def command_pages() -> dict[str, str]:
    """A page for each command, with the help texts of the commands below it."""
    application: Any = cli.build()
    root = application.make_context("salcli", [], resilient_parsing=True, terminal_width=WIDTH)
    made = {"commands/salcli.md": f"# salcli\n\n{screen(application.get_help(root))}"}
    for name in application.list_commands(root):
        texts = helps(application.commands[name], name, root)
        made[f"commands/{name}.md"] = "\n".join(
            f"{'##' if number else '#'} {path}\n\n{screen(text)}"
            for number, (path, text) in enumerate(texts)
        )
    return made


def helps(command: Any, name: str, parent: Any) -> Iterator[tuple[str, str]]:
    """Full name and help text of a command and all below it."""
    context = command.make_context(name, [], parent=parent, resilient_parsing=True)
    yield context.command_path, command.get_help(context)
    for below, each in getattr(command, "commands", {}).items():
        yield from helps(each, below, context)


def screen(text: str) -> str:
    """A block with what a terminal shows."""
    return f"```text\n{STYLE.sub('', text).strip()}\n```\n"


def model_pages() -> dict[str, str]:
    """A page for each model: what `salcli models NAME` prints."""
    application = cli.build()
    made = {}
    for name in sorted(registry.models()):
        with redirect_stdout(StringIO()) as shown:
            application(["models", name], standalone_mode=False)
        made[f"models/{name}.md"] = f"# {name}\n\n{screen(shown.getvalue())}"
    return made


def hooks_page() -> str:
    """The hooks that a plugin may implement."""
    names = [name for name in vars(Hooks) if not name.startswith("_")]
    parts = [f"::: salcli.plugins.hooks.Hooks.{name}\n" for name in names]
    return "\n".join(["# Hooks\n", "[Writing plugins](../plugins.md) says how.\n", *parts])


def names_page(module: str) -> str:
    """The public names of a module with their docstrings."""
    names = sorted(importlib.import_module(module).__all__, key=str.lower)
    parts = [f"::: {module}.{name}\n" for name in names if name != "__version__"]
    return "\n".join([f"# {module}\n", f"Public names: {PUBLIC[module]}.\n", *parts])


def metrics_page() -> str:
    """The metrics and protocols that are installed."""
    from salcli.specs import resolve

    metrics = [
        (f"`{each.name}`", each.summary, each.needs, "higher" if each.higher_is_better else "lower")
        for each in registry.metrics().values()
    ]
    text = "# Metrics and protocols\n\n[Scores](../data-and-scores.md#scores) says how to use them."
    text += f"\n\n{table(('metric', 'what it is', 'ground truth', 'better'), metrics)}"
    for name, each in sorted(registry.protocols().items()):
        text += f"\n## {name}\n\n{table(('setting', 'value'), settings(resolve(each.protocol)))}"
    return text


def settings(protocol: Any) -> Iterator[tuple[str, str]]:
    """What a protocol fixes, and how it varies each metric."""
    for key, value in vars(protocol).items():
        if key not in ("name", "variants", "files") and value is not None:
            yield key, worded(value)
    for variant in protocol.variants:
        words = [f"{key}={value}" for key, value in variant.settings.items()]
        words += [] if variant.published else ["on request"]
        words += [f"on {variant.share:.0%} of a clip's frames"] if variant.share < 1 else []
        words += [variant.note] if variant.note else []
        yield f"`{variant.metric}`", "; ".join(words) or "as defined"


def worded(value: Any) -> str:
    """A setting of a protocol in words."""
    if isinstance(value, Negatives):
        return value.statement()
    if isinstance(value, Preparation):
        return ", ".join(f"{key} {each}" for key, each in vars(value).items() if each)
    return ", ".join(value) if isinstance(value, tuple) else str(value)


def licences_page() -> str:
    """What code and weights are under."""
    rows = [(OWN_CODE, "", "MIT")]
    for name, spec in sorted(registry.models().items()):
        rows.append((f"[{name}](models/{name}.md)", "code", spec.licence or "not stated"))
        for each in spec.weights:
            rows.append(("", f"`{name}:{each.tag}`", each.licence or "not stated"))
    return (
        "# Licences\n\nsalcli is under the MIT licence; its plugins and the weights that they name "
        "have their own. Where authors state no licence, all rights are reserved. The datasets "
        "that weights were trained on, which the page of each model names, have licences, too. "
        f"\n\n{table(('model', 'part', 'licence'), rows)}"
    )


def table(titles: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table."""
    lines: list[Iterable[str]] = [tuple(titles)]
    lines.append(["---" for _ in lines[0]])
    lines += [[cell.replace("|", "\\|").replace("\n", " ") for cell in row] for row in rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
