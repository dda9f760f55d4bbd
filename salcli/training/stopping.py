"""Ends a long work between two of its steps when Ctrl-C or SIGTERM asks for it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from salcli.errors import SalcliError

__all__ = ["Stop", "Stopped", "listening"]

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopped(SalcliError):
    """The work was ended by a signal, and everything that going on needs is written."""

    def __init__(self, number: int, message: str) -> None:
        super().__init__(message)
        self.exit_code = 128 + number


class Stop:
    """Whether, and by which signal, the end was asked for.

    Attributes:
        signal: The signal's number; 0 as long as there was none.
    """

    def __init__(self) -> None:
        self.signal = 0

    def ask(self, number: int, frame: FrameType | None = None) -> None:
        """Remember the signal; the same one again acts as it does everywhere else."""
        if self.signal:
            usual = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
            signal.signal(number, usual)
            signal.raise_signal(number)
        self.signal = number


@contextmanager
def listening() -> Iterator[Stop]:
    """Catch the signals while the block runs; elsewhere than in the main thread, none."""
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.signal(number, stop.ask) for number in SIGNALS}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
