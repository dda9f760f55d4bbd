"""Ends a training between two steps on Ctrl-C or SIGTERM."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from salcli.errors import SalcliError

__all__ = ["Stop", "Stopped", "listening"]

logger = logging.getLogger(__name__)

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopped(SalcliError):
    """A signal ended the training; the state from which it resumes is written."""

    def __init__(self, number: int, message: str) -> None:
        super().__init__(message)
        self.exit_code = 128 + number


class Stop:
    """Which signal, if any, asked for the end.

    Args:
        patient: Whether further signals are ignored as repetitions of the first.

    Attributes:
        signal: The signal's number; 0 as long as there was none.
    """

    def __init__(self, *, patient: bool = False) -> None:
        self.signal, self._patient = 0, patient

    def ask(self, number: int, frame: FrameType | None = None) -> None:
        """Remember the signal; a second one has its usual effect."""
        if self.signal and self._patient:
            return
        if self.signal:
            usual = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
            signal.signal(number, usual)
            signal.raise_signal(number)
        self.signal = number
        logger.warning("stopping after this step; once more ends at once, without saving")


@contextmanager
def listening() -> Iterator[Stop]:
    """Catch the signals while the block runs; only in the main thread."""
    # torchrun passes on what the terminal has sent already; it kills those who take long.
    stop = Stop(patient="WORLD_SIZE" in os.environ)
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.signal(number, stop.ask) for number in SIGNALS}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
