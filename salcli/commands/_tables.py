"""Plain text tables: aligned for people, one row per line for `grep`."""

from __future__ import annotations

from collections.abc import Sequence

import typer

__all__ = ["show"]


def show(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows under their titles on stdout; the last column is as wide as it needs."""
    lines = [titles, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(titles))]
    for line in lines:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        typer.echo("  ".join(cells).rstrip())
