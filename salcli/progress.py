"""Shows the progress of a run: bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress, Task
    from rich.text import Text

    from salcli.weights.download import ReportBytes

__all__ = ["Bars", "Lines", "Silence", "Watcher", "download_bar", "watch"]


class Watcher(AbstractContextManager["Watcher"]):
    """Receives the progress of a run; everything goes to stderr.

    `Silence` is this class itself: it prints only errors.
    """

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Restore the terminal."""

    def start(self, name: str, count: int | None) -> None:
        """An input starts; it has `count` frames, if that is known."""

    def step(self) -> None:
        """Another frame is done."""

    def finish(self, line: str) -> None:
        """The input is done or skipped."""

    def note(self, line: str) -> None:
        """Something the user should know."""

    def fail(self, line: str) -> None:
        """The input failed, which is always printed."""
        self.say(f"salcli: error: {line}")

    def say(self, line: str) -> None:
        """Print a line."""
        print(line, file=sys.stderr, flush=True)


Silence = Watcher


class Lines(Watcher):
    """One plain line per finished input: for log files and pipes."""

    def finish(self, line: str) -> None:
        """Print the result of the input."""
        self.say(line)

    def note(self, line: str) -> None:
        """Print the note."""
        self.say(line)


class Bars(Lines):
    """A bar for the current input, and one for all if there are several; speed and time left."""

    def __init__(self, total: int) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            Progress,
            ProgressColumn,
            TextColumn,
            TimeRemainingColumn,
        )

        class Speed(ProgressColumn):
            def render(self, task: Task) -> Text:
                return _speed(task)

        self._progress: Progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.fields[shown]}"),
            Speed(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._all = (
            self._progress.add_task("all inputs", total=total, shown=f"0/{total}", unit="inputs")
            if total > 1
            else None
        )
        self._one = self._progress.add_task("", total=None, visible=False, shown="", unit="frames")
        self._total, self._finished, self._done = total, 0, 0
        self._count: int | None = None

    def __enter__(self) -> Bars:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Remove the bars."""
        self._progress.stop()

    def start(self, name: str, count: int | None) -> None:
        """Start a new bar; it only pulses if the number of frames is unknown."""
        self._done, self._count = 0, count
        self._progress.reset(
            self._one, total=count, description=name, visible=True, shown="", unit="frames"
        )

    def step(self) -> None:
        """Advance the bar by one frame."""
        self._done += 1
        shown = f"{self._done}/{self._count}" if self._count else str(self._done)
        self._progress.update(self._one, advance=1, shown=shown)

    def finish(self, line: str) -> None:
        """Print the result of the input, and advance the bar for all inputs."""
        super().finish(line)
        self._next()

    def fail(self, line: str) -> None:
        """Print the error, and advance the bar for all inputs."""
        super().fail(line)
        self._next()

    def say(self, line: str) -> None:
        """Print a line above the bars."""
        self._progress.console.print(line, markup=False, highlight=False, soft_wrap=True)

    def _next(self) -> None:
        self._finished += 1
        self._progress.update(self._one, visible=False)
        if self._all is not None:
            shown = f"{self._finished}/{self._total}"
            self._progress.update(self._all, advance=1, shown=shown)


def _speed(task: Task) -> Text:
    from rich.text import Text

    if task.fields["unit"] != "frames" or not task.speed:
        return Text("")
    return Text(f"{task.speed:.1f} frames/s")


def watch(total: int, *, quiet: bool) -> Watcher:
    """The right watcher: bars on a terminal, lines elsewhere, silence if requested."""
    if quiet:
        return Silence()
    return Bars(total) if sys.stderr.isatty() else Lines()


@contextmanager
def download_bar(name: str, *, quiet: bool = False) -> Iterator[ReportBytes]:
    """A bar on stderr while bytes arrive, if that is a terminal; one plain line otherwise."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    console = Console(stderr=True, quiet=quiet)
    if quiet or not console.is_terminal:
        announced = quiet

        def tell(done: int, total: int | None) -> None:
            nonlocal announced
            if not announced:
                size = f" ({total / 1e6:.1f} MB)" if total else ""
                print(f"{name}: downloading{size}", file=sys.stderr, flush=True)
                announced = True

        yield tell
        return
    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(TextColumn("{task.description}"), *columns, console=console) as bars:
        task = bars.add_task(name, total=None, start=False, visible=False)

        def move(done: int, total: int | None) -> None:
            bars.start_task(task)
            bars.update(task, completed=done, total=total, visible=True)

        yield move
