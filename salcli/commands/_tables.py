"""Plain text tables: aligned for people, one row per line for `grep`."""

from __future__ import annotations

import re
import shutil
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence

import typer

__all__ = ["facts", "lines", "show", "spdx", "wrapped"]

LEAST = 24
"""Width below which the last column is not wrapped."""

WIDEST = 100
"""Lines longer than this are hard to read."""


def show(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows under their titles on stdout; on a terminal the last column is wrapped to fit."""
    for line in lines(titles, rows, wrap=sys.stdout.isatty()):
        typer.echo(line)


def lines(
    titles: Sequence[str], rows: Sequence[Sequence[str]], *, wrap: bool = False
) -> Iterator[str]:
    """The lines of a table; with `wrap` its last column is wrapped to the terminal's width."""
    table = [titles, *rows]
    widths = [max(len(row[column]) for row in table) for column in range(len(titles))]
    room = _columns() - sum(widths[:-1]) - 2 * len(widths[:-1])
    for row in table:
        cells = (cell.ljust(width) for cell, width in zip(row[:-1], widths, strict=False))
        start = "".join(f"{cell}  " for cell in cells)
        if wrap and len(row[-1]) > room >= LEAST:
            yield from _filled(start + row[-1], indent=len(start))
        else:
            yield (start + row[-1]).rstrip()


def wrapped(text: str, *, indent: int = 0) -> Iterator[str]:
    """A text in lines of at most `WIDEST` characters; those after the first are indented."""
    yield from _filled(text, indent=indent)


def facts(known: Mapping[str, str | None]) -> Iterator[str]:
    """A line per fact, or more for a long one; those without a value are left out."""
    width = max(map(len, known))
    for name, value in known.items():
        if value:
            yield from wrapped(f"{name.ljust(width)}  {value}", indent=width + 2)


def spdx(licence: str) -> str:
    """A licence that is an SPDX expression, or "not stated"."""
    expression = re.fullmatch(r"[\w.+-]+( (AND|OR|WITH) [\w.+-]+)*", licence)
    return licence if expression else "not stated"


def _filled(text: str, *, indent: int) -> Iterator[str]:
    start = text[:indent]  # may be aligned by spaces, which must stay
    yield from textwrap.wrap(
        text[indent:],
        width=_columns(),
        initial_indent=start,
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    ) or [start.rstrip()]


def _columns() -> int:
    return min(shutil.get_terminal_size().columns, WIDEST)
