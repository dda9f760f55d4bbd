"""`salcli status`: how far the inputs of an output folder are."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from salcli.commands import _tables
from salcli.commands._options import Json, Verbose

if TYPE_CHECKING:
    from salcli.prediction.status import InputStatus

__all__ = ["status"]


def status(
    output: Annotated[
        Path,
        typer.Argument(
            metavar="DIR", help="Output folder of 'salcli predict'.", show_default=False
        ),
    ],
    inputs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="INPUT",
            help="What is predicted; inputs that nobody has begun are counted, too, then.",
            show_default=False,
        ),
    ] = None,
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Tell what is done, in work, failed and left in a folder that several runs may share.

    \b
    Examples:
      salcli status saliency
      salcli status saliency clips --json
    """
    from salcli.media.open import find_inputs
    from salcli.prediction.status import STATES, survey

    found = survey(output, find_inputs(inputs or ()))
    counts = Counter(one.state for one in found)
    if as_json:
        document = {
            "output": str(output),
            **{state.replace(" ", "_"): counts[state] for state in STATES},
            "inputs": [dataclasses.asdict(one) for one in found],
        }
        typer.echo(json.dumps(document, indent=2))
        return
    typer.echo(", ".join(f"{counts[state]} {state}" for state in STATES))
    rows = [(one.name, one.state, str(one.frames), _about(one)) for one in found]
    rows = [row for row in rows if row[1] != "done"]
    if rows:
        _tables.show(("INPUT", "STATE", "MAPS", "ABOUT"), rows)


def _about(one: InputStatus) -> str:
    """Who works on an input, or why it failed."""
    if one.error:
        return f"{one.error} ({'once' if one.tries == 1 else f'{one.tries} times'})"
    return f"{one.worker} since {one.since}" if one.worker else ""
