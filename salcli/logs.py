"""Which of salcli's own log messages, and its plugins', reach the person at the terminal."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["logging_to_terminal"]

OURS = "salcli"
"""How the names of the loggers of salcli and of its plugins begin."""


@contextmanager
def logging_to_terminal(*, quiet: bool, verbose: bool) -> Iterator[None]:
    """Print messages on stderr: warnings, with `verbose` also what salcli and plugins are doing.

    With `quiet` only errors are printed. Other libraries never get to say more than warnings.
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
    """Prints on what is stderr at that moment, since a progress bar replaces it for a while."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            print(record.getMessage(), file=sys.stderr, flush=True)
        except Exception:
            self.handleError(record)
