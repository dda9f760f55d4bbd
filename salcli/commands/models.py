"""`salcli models`: the installed models, and the card of one."""

from __future__ import annotations

import dataclasses
import json
import typing
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from salcli.commands import _tables
from salcli.commands._options import Json, complete_model

if TYPE_CHECKING:
    from salcli.specs import ModelSpec, Weights

__all__ = ["models"]


def models(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME", help="Show the card of this model.", autocompletion=complete_model
        ),
    ] = None,
    *,
    as_json: Json = False,
) -> None:
    """List the models, or show the details of one: options, weights, paper, licence.

    \b
    Examples:
      salcli models
      salcli models unisal
    """
    from salcli.plugins import loader, registry

    if name is not None:
        spec, _ = registry.model(name)
        if as_json:
            typer.echo(json.dumps(_document(spec), indent=2, default=str))
        else:
            for line in _card(spec):
                typer.echo(line)
        return
    known = [spec for _, spec in sorted(registry.models().items())]
    if as_json:
        typer.echo(json.dumps([_document(spec) for spec in known], indent=2, default=str))
        return
    _table(known)
    for plugin in loader.load().broken():
        text = f"salcli: broken plugin {plugin.distribution}: {plugin.error}"
        typer.echo(text, err=True)


def _table(known: list[ModelSpec]) -> None:
    from salcli.plugins import registry

    rows, summaries = [], []
    for spec in known:
        for number, row in enumerate(spec.weights or (None,)):
            name = spec.name if number == 0 else ""
            rows.append((name, *_weights_cells(spec, row), " ".join(sorted(spec.accepts))))
            summaries.append("")
        summaries[-1] = spec.summary
    titles = ("MODEL", "WEIGHTS", "SIZE", "LICENCE", "TAKES")
    for line, summary in zip(_tables.lines(titles, rows), ["", *summaries], strict=True):
        typer.echo(line)
        for below in _tables.wrapped(f"    {summary}", indent=4) if summary else ():
            typer.echo(below)
    missing = registry.installation(registry.DEFAULT_MODEL)
    state = f", which is not installed ({missing})" if missing else ""
    typer.echo(f"\ndefault: {registry.DEFAULT_MODEL}{state}; details: salcli models NAME")


def _weights_cells(spec: ModelSpec, row: Weights | None) -> tuple[str, str, str]:
    """Tag, size and licence of some weights."""
    if row is None:
        return "-", "-", _tables.spdx(spec.licence) if spec.licence else "-"
    return row.tag, _size(row), _tables.spdx(row.licence or spec.licence)


def _size(row: Weights) -> str:
    return f"{row.size / 1e6:.1f} MB" if row.size else "unknown"


def _document(spec: ModelSpec) -> dict[str, Any]:
    from salcli.plugins import registry

    plugin = registry.provider(spec.name)
    plain = {
        field.name: getattr(spec, field.name)
        for field in dataclasses.fields(spec)
        if field.name not in ("weights", "options", "accepts", "card")
    }
    return {
        **plain,
        "accepts": sorted(spec.accepts),
        "card": dict(spec.card),
        "weights": [{**vars(row), "options": dict(row.options)} for row in spec.weights],
        "options": [
            {"name": field.name, "type": _type(hint), "default": default, "help": text}
            for field, hint, default, text in _options(spec)
        ],
        "plugin": {"distribution": plugin.distribution, "version": plugin.version},
    }


def _options(
    spec: ModelSpec,
) -> Iterator[tuple[dataclasses.Field[Any], Any, Any, str]]:
    """Each option with its type, default and help text."""
    if spec.options is None:
        return
    hints: Mapping[str, Any] = typing.get_type_hints(spec.options)
    defaults = spec.options()
    for field in dataclasses.fields(spec.options):
        text = str(field.metadata.get("help", ""))
        yield field, hints[field.name], getattr(defaults, field.name), text


def _type(hint: Any) -> str:
    if typing.get_origin(hint) is typing.Literal:
        return "|".join(map(str, typing.get_args(hint)))
    if typing.get_origin(hint) is tuple:
        return f"{_type(typing.get_args(hint)[0])},..."
    return hint.__name__ if isinstance(hint, type) else str(hint)


def _value(value: Any) -> str:
    """The value as typed after the equals sign."""
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _card(spec: ModelSpec) -> Iterator[str]:
    """The lines of a model's card."""
    from salcli.plugins import registry

    plugin = registry.provider(spec.name)
    yield from _tables.wrapped(f"{spec.name}: {spec.summary}")
    yield ""
    facts = {
        "takes": " and ".join(sorted(spec.accepts)),
        "paper": f"{spec.paper} ({spec.year})" if spec.paper and spec.year else spec.paper,
        "licence": spec.licence,
        **spec.card,
        "plugin": f"{plugin.distribution} {plugin.version}",
    }
    yield from _tables.facts(facts)
    if spec.options is not None:
        yield from ("", "options (-O key=value):")
        for field, hint, default, text in _options(spec):
            kind = _type(hint).replace("|", " | ")  # so that long ones can be wrapped
            line = f"  {field.name}={_value(default)}  [{kind}]  {text}".rstrip()
            yield from _tables.wrapped(line, indent=6)
    if spec.weights:
        yield from ("", f"weights (-m {spec.name}:TAG; the first is what '{spec.name}' means):")
    for row in spec.weights:
        yield from _weights_lines(row)
    if spec.comparisons:
        yield from ("", "other ways to compute the maps (salcli bench --compare NAME):")
    for name, needs in spec.comparisons.items():
        yield f"  {name}  ({' '.join(f'{key}={_value(value)}' for key, value in needs.items())})"
    if spec.scores:
        yield from ("", "published scores:")
        for score in spec.scores:
            yield from _tables.wrapped(f"  {score}", indent=4)
    if spec.citation:
        yield from ("", "to cite:", *(f"  {line}" for line in spec.citation.strip().splitlines()))


def _weights_lines(row: Weights) -> Iterator[str]:
    where = "ships with the plugin" if row.resource else "download"
    yield f"  {row.tag}  ({_size(row) if row.size else 'size unknown'}, {where})"
    facts = {
        "trained on": ", ".join(map(str, row.trained_on)),
        "licence": row.licence,
        "options": " ".join(f"{k}={_value(v)}" for k, v in row.options.items()),
        "hash": row.hash or ("" if row.resource else "unknown; recorded at the first download"),
        "note": row.note,
        "known limits": row.known_limits,
    }
    for key, value in facts.items():
        if value:
            yield from _tables.wrapped(f"      {key}: {value}", indent=8)
    yield from (f"      url: {url}" for url in row.urls)
