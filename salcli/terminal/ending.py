"""Ctrl-C, SIGTERM and SIGHUP end a command alike: by an exception, so that it cleans up."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

__all__ = ["Ending", "first_signal", "listening"]

NAMES = ("SIGINT", "SIGTERM", "SIGHUP")

PATIENCE = 2
"""Signals during the cleaning up that are ignored; the next ends the process at once."""


class Ending:
    """Whether a signal has come.

    Attributes:
        signal: Number of the first; 0 if none has come.
    """

    def __init__(self) -> None:
        self.signal = 0
        self._count = 0
        self._pid = os.getpid()

    def receive(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal.

        Raises:
            KeyboardInterrupt: It is the first.
        """
        self._count += 1
        if os.getpid() != self._pid or self._count > 1 + PATIENCE:  # a copy of this process
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        if self._count == 1:
            self.signal = number
            raise KeyboardInterrupt


@contextmanager
def listening() -> Iterator[Ending]:
    """Handle the signals while the block runs, except those that are ignored, as by `nohup`.

    Once one has come, the process is about to end, and further ones are ignored.
    """
    ending, before = Ending(), _handlers()
    usual = (signal.SIG_DFL, signal.default_int_handler)
    replaced = {number: handler for number, handler in before.items() if handler in usual}
    for number in replaced:
        signal.signal(number, ending.receive)
    try:
        yield ending
    finally:
        for number, handler in replaced.items():
            signal.signal(number, signal.SIG_IGN if ending.signal else handler)


@contextmanager
def first_signal(act: Callable[[], None]) -> Iterator[None]:
    """While the block runs, the first signal only calls `act`; later ones are handled as before."""
    before = {each: handler for each, handler in _handlers().items() if handler != signal.SIG_IGN}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def receive(number: int, frame: FrameType | None) -> None:
        restore()
        act()

    for number in before:
        signal.signal(number, receive)
    try:
        yield
    finally:
        restore()


def _handlers() -> dict[int, Any]:
    """What handles each signal now; empty in a thread, which may not change that."""
    if threading.current_thread() is not threading.main_thread():
        return {}
    numbers = [getattr(signal, name) for name in NAMES if hasattr(signal, name)]
    return {number: signal.getsignal(number) for number in numbers}
