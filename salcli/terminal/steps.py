"""Lines about a training, and on a terminal a bar for the steps of its epoch below them."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import TYPE_CHECKING

from salcli.terminal.events import Watcher

if TYPE_CHECKING:
    from rich.progress import Progress

__all__ = ["Steps"]


class Steps(Watcher):
    """Prints notes; as a context, with a bar where stderr is a terminal."""

    def __init__(self) -> None:
        self._bar: Progress | None = None

    def __enter__(self) -> Steps:
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import Progress

            self._bar = Progress(*Progress.get_default_columns(), console=Console(stderr=True))
            self._bar.live.transient = True
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Remove the bar."""
        if self._bar is not None:
            self._bar.stop()
        self._bar = None

    def start(self, name: str, count: int | None) -> None:
        """A new bar for an epoch of so many steps."""
        if self._bar is not None:
            for task in self._bar.task_ids:
                self._bar.remove_task(task)
            self._bar.add_task(name, total=count)

    def step(self) -> None:
        """Another step is done."""
        if self._bar is not None:
            self._bar.advance(self._bar.task_ids[-1])

    def note(self, line: str) -> None:
        """Print the note."""
        self.say(line)

    def say(self, line: str) -> None:
        """Print a line above the bar."""
        if self._bar is None:
            super().say(line)
        else:
            self._bar.console.print(line, markup=False, highlight=False, soft_wrap=True)
