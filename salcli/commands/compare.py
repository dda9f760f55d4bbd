"""`salcli compare`: differences of score reports, with paired intervals."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from salcli.commands import _tables
from salcli.commands._options import Json, Verbose

if TYPE_CHECKING:
    from salcli.scoring.bootstrap import Interval
    from salcli.scoring.compare import Comparison

__all__ = ["compare"]


def compare(
    reports: Annotated[
        list[Path],
        typer.Argument(
            metavar="SCORES",
            help="scores.json files or their folders; all are compared with the first.",
            show_default=False,
        ),
    ],
    fail_below: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[METRIC=]GAIN",
            help="Exit with code 1 if another report is not this much better than the first; "
            "NSS=-0.02 allows NSS to fall by 0.02. Repeatable.",
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Compare even if protocol or data differ.")
    ] = False,
    plot: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Plot two reports side by side on each video, or the means and intervals of more: "
            "PNG, PDF or SVG.",
        ),
    ] = None,
    table: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write one table, models as rows, the best in bold: FILE.md or FILE.tex.",
        ),
    ] = None,
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Compare scores over the same videos or images, with paired bootstrap intervals.

    Exit codes: 0 all done, 1 --fail-below or an unreadable report, 2 wrong usage, or reports that
    cannot be compared.

    \b
    Examples:
      salcli compare scores/unisal-best scores/centre
      salcli compare old new --fail-below NSS=-0.02
      salcli compare a b c --table models.tex --plot models.pdf
    """
    from salcli.scoring import compare as comparing

    comparisons = comparing.compare(
        reports, fail_below=fail_below or (), force=force, plot=plot, table=table
    )
    if as_json:
        typer.echo(json.dumps([found.document() for found in comparisons], indent=2))
    else:
        for found in comparisons:
            _show(found)
    lines = [line for found in comparisons for line in found.broken]
    for line in lines:
        typer.echo(f"salcli: below the limit: {line}", err=True)
    if lines:
        raise typer.Exit(1)


def _show(found: Comparison) -> None:
    """A table of the differences of two reports."""
    first, second = found.names
    typer.echo(f"{second} minus {first}, over {found.over}")
    ways = list(next(iter(found.gains.values())))
    titles = ["metric", *(f"mean over {way} [95 %]" for way in ways), "better", "as good on"]
    rows = []
    for metric, gains in found.gains.items():
        share = found.share(metric)
        rows.append(
            [
                metric + ("" if found.higher_is_better[metric] else " (lower is better)"),
                *(_cell(one) for one in gains.values()),
                found.better(metric, next(iter(gains.values()))),
                "-" if math.isnan(share) else f"{share:.0%}",
            ]
        )
    _tables.show(titles, rows)
    typer.echo()


def _cell(one: Interval) -> str:
    if math.isnan(one.low):
        return "-" if math.isnan(one.mean) else f"{one.mean:+.4f}"
    return f"{one.mean:+.4f} [{one.low:+.4f}, {one.high:+.4f}]"
