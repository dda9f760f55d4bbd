"""`salcli weights`: lists, downloads and verifies published weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from salcli.commands._options import Json, Offline, complete_model

if TYPE_CHECKING:
    from salcli.specs import ModelSpec, Weights
    from salcli.weights.store import Condition

__all__ = ["weights"]

weights = typer.Typer(
    no_args_is_help=True, help="List, fetch, verify, import and remove published weights."
)

Names: TypeAlias = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="NAME[:TAG]",
        help="Models; a bare NAME means its first weights.",
        autocompletion=complete_model,
    ),
]
Name: TypeAlias = Annotated[
    str,
    typer.Argument(
        metavar="NAME[:TAG]",
        help="Model; a bare NAME means its first weights.",
        autocompletion=complete_model,
    ),
]
Everything: TypeAlias = Annotated[bool, typer.Option("--all", help="All weights of all models.")]


@weights.command("list")
def list_(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME[:TAG]",
            help="List only these; a bare NAME means all its weights.",
            autocompletion=complete_model,
        ),
    ] = None,
    *,
    as_json: Json = False,
) -> None:
    """List published weights: size, whether they are on this machine, licence.

    \b
    Examples:
      salcli weights list
      salcli weights list unisal
    """
    from salcli.commands import _tables
    from salcli.plugins import registry
    from salcli.weights import store

    wanted = _every_row()
    if names:
        asked = [(registry.model(name)[0].name, name.partition(":")[2]) for name in names]
        wanted = [
            (spec, row)
            for spec, row in wanted
            if (spec.name, "") in asked or (spec.name, row.tag) in asked
        ]
    found = [(spec, row, store.examine(spec, row)) for spec, row in wanted]
    if as_json:
        return _show_json([_document(*each) for each in found])
    rows = [
        (
            store.label(spec, row),
            _size(row, now),
            now.state,
            _tables.spdx(row.licence or spec.licence),
        )
        for spec, row, now in found
    ]
    return _tables.show(("WEIGHTS", "SIZE", "STATE", "LICENCE"), rows)


@weights.command()
def fetch(names: Names = None, *, everything: Everything = False, offline: Offline = False) -> None:
    """Download weights unless they are cached; print their paths.

    \b
    Examples:
      salcli weights fetch unisal:best
      salcli weights fetch --all
    """
    from salcli.errors import WeightsError
    from salcli.terminal.progress import download_bar
    from salcli.weights import store

    failures = []
    for spec, row in _chosen(names, everything=everything):
        name = store.label(spec, row)
        try:
            with download_bar(name) as report:
                path = store.locate(spec, row, offline=offline, report=report)
        except WeightsError as error:
            failures.append(str(error))
            continue
        typer.echo(f"{name}  {path}")
    if failures:
        raise WeightsError("\n".join(failures))


@weights.command()
def verify(names: Names = None, *, as_json: Json = False) -> None:
    """Verify the hashes of weights on this machine; exit code 3 if any are damaged.

    \b
    Examples:
      salcli weights verify
      salcli weights verify unisal:best
    """
    from salcli.errors import WeightsError
    from salcli.weights import store

    wanted = _chosen(names, everything=not names)
    found = [(spec, row, store.examine(spec, row, thorough=True)) for spec, row in wanted]
    if not names:
        found = [each for each in found if each[2].state != "not downloaded"]
    if as_json:
        _show_json([_document(*each) for each in found])
    else:
        for spec, row, now in found:
            verdict = now.state if now.state in ("damaged", "not downloaded") else "ok"
            typer.echo(f"{store.label(spec, row)}  {verdict}  {now.path}")
    damaged = [
        f"{store.label(spec, row)}: '{now.path}' {now.fault}; {_cure(spec, row)}"
        for spec, row, now in found
        if now.state == "damaged"
    ]
    if damaged:
        raise WeightsError("\n".join(damaged))


@weights.command()
def path(name: Name) -> None:
    """Print where the file is, or where to put a copy downloaded by hand.

    \b
    Examples:
      salcli weights path unisal:best
      salcli weights path tased
    """
    from salcli.weights import store

    typer.echo(store.cache_path(*_one(name)))


@weights.command("import")
def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A copy downloaded by hand.")],
    *,
    model: Annotated[
        str,
        typer.Option(
            "--model",
            "-m",
            metavar="NAME[:TAG]",
            help="Which weights it holds.",
            autocompletion=complete_model,
        ),
    ],
) -> None:
    """Verify a file that you downloaded yourself, and copy it into the cache.

    \b
    Examples:
      salcli weights import weights_best.pth --model unisal:best
      salcli weights import model.pt --model tased
    """
    from salcli.weights import store

    spec, row = _one(model)
    placed = store.import_file(spec, row, file)
    typer.echo(f"{store.label(spec, row)}  {placed}")


@weights.command()
def remove(names: Names = None, *, everything: Everything = False) -> None:
    """Delete downloaded weights from the cache, including interrupted downloads.

    \b
    Examples:
      salcli weights remove unisal:best
      salcli weights remove --all
    """
    from salcli.weights import store

    chosen = _chosen(names, everything=everything)
    if everything:
        chosen = [(spec, row) for spec, row in chosen if row.resource is None]
    for spec, row in chosen:
        if store.remove(spec, row):
            typer.echo(f"{store.label(spec, row)}  removed")
        elif not everything:
            typer.echo(f"{store.label(spec, row)}  was not downloaded")


def _every_row() -> list[tuple[ModelSpec, Weights]]:
    """All weights; those whose plugin gives them no usable file name are told and left out."""
    from salcli.errors import PluginError
    from salcli.plugins import registry
    from salcli.weights import store

    usable = []
    for _, spec in sorted(registry.models().items()):
        for row in spec.weights:
            try:
                store.cache_path(spec, row)
            except PluginError as error:
                typer.echo(f"salcli: warning: {error}", err=True)
            else:
                usable.append((spec, row))
    return usable


def _one(name: str) -> tuple[ModelSpec, Weights]:
    from salcli.errors import UsageError
    from salcli.plugins import registry

    spec, row = registry.model(name)
    if row is None:
        raise UsageError(f"model '{spec.name}' has no published weights")
    return spec, row


def _chosen(names: list[str] | None, *, everything: bool) -> list[tuple[ModelSpec, Weights]]:
    from salcli.errors import UsageError

    if bool(names) == everything:
        raise UsageError("name weights as NAME[:TAG], or use --all; see 'salcli weights list'")
    return [_one(name) for name in names] if names else _every_row()


def _cure(spec: ModelSpec, row: Weights) -> str:
    from salcli.weights import store

    if row.resource is not None:
        return "reinstall its plugin"
    return f"to download it again: salcli weights fetch {store.label(spec, row)}"


def _size(row: Weights, now: Condition) -> str:
    size = now.path.stat().st_size if now.path.is_file() else row.size
    return "unknown" if size is None else f"{size / 1e6:.1f} MB"


def _document(spec: ModelSpec, row: Weights, now: Condition) -> dict[str, str | int | None]:
    return {
        "model": spec.name,
        "tag": row.tag,
        "state": now.state,
        "fault": now.fault,
        "path": str(now.path),
        "size": row.size,
        "hash": row.hash,
        "licence": row.licence or spec.licence,
    }


def _show_json(documents: list[dict[str, str | int | None]]) -> None:
    typer.echo(json.dumps(documents, indent=2))
