"""Prints log messages of salcli and its plugins on the terminal."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["logging_to_terminal"]

OURS = "salcli"
"""Prefixes of the logger names of salcli and its plugins."""


@contextmanager
def logging_to_terminal(*, quiet: bool, verbose: bool) -> Iterator[None]:
    """Print messages on stderr: warnings, with `verbose` also what salcli and plugins are doing.

    With `quiet` only errors are printed. Other libraries never print anything below a warning.
    """
    root, printer = logging.getLogger(), _Printer()
    level = logging.ERROR if quiet else logging.INFO if verbose else logging.WARNING
    before = root.level
    printer.addFilter(
        lambda record: record.levelno >= (level if _is_ours(record) else logging.WARNING)
    )
    root.addHandler(printer)
    root.setLevel(min(level, before))
    try:
        yield
    finally:
        root.setLevel(before)
        root.removeHandler(printer)


def _is_ours(record: logging.LogRecord) -> bool:
    return record.name.startswith(OURS)


class _Printer(logging.Handler):
    """Prints to the current stderr, which a progress bar replaces temporarily."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            print(record.getMessage(), file=sys.stderr, flush=True)
        except Exception:
            self.handleError(record)
