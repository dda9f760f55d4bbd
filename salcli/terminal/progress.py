"""Shows the progress of a run: bars on a terminal, plain lines elsewhere, events for programs."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Literal, TypeAlias

from salcli.terminal.events import Counter, Events, Silence, Watcher

if TYPE_CHECKING:
    from rich.progress import Progress, Task
    from rich.text import Text

    from salcli.weights.download import ReportBytes

__all__ = [
    "Bars",
    "Lines",
    "Silence",
    "Style",
    "Watcher",
    "clock",
    "download_bar",
    "watch",
]

Style: TypeAlias = Literal["auto", "lines", "json"]
"""How progress is shown; `auto` is bars on a terminal and lines elsewhere."""

MANY = 20
"""Above so many inputs there is no line for each that is done."""

EVERY = 30.0
"""Seconds between two lines about a running input."""

LONGEST = 24
"""Characters of an input's name beside its bar."""


class Lines(Counter):
    """Plain lines, for log files and pipes: one per finished input, and one every 30 seconds.

    Of more than `MANY` inputs only the failed ones have a line each.
    """

    def __init__(self, total: int, *, every: float = EVERY) -> None:
        super().__init__(total)
        self._every, self._shown = every, time.monotonic()

    def step(self) -> None:
        """Print how far it is, if that was not said for a while."""
        super().step()
        self._tell()

    def finish(self, line: str) -> None:
        """Print the result of the input."""
        super().finish(line)
        if self.total <= MANY:
            self.say(line)
        else:
            self._tell()

    def note(self, line: str) -> None:
        """Print the note."""
        self.say(line)

    def _tell(self) -> None:
        now = time.monotonic()
        if now - self._shown < self._every:
            return
        self._shown = now
        parts = []
        if self.name:
            frames = f"{self.done} of {self.count}" if self.count else str(self.done)
            percent = f" ({self.done / self.count:.0%})" if self.count else ""
            parts.append(f"{self.name}: {frames} frames{percent}, {self.speed:.1f} frames/s")
            if self.left is not None:
                parts.append(f"{clock(self.left)} left")
        if self.total > 1:
            left = "" if self.left_in_all is None else f", {clock(self.left_in_all)} left"
            parts.append(f"{self.finished} of {self.total} inputs done{left}")
        self.say("; ".join(parts))


class Bars(Lines):
    """A bar for each current input, and one for all if there are several; speed and time left."""

    def __init__(self, total: int) -> None:
        super().__init__(total, every=float("inf"))
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            Progress,
            ProgressColumn,
            TaskProgressColumn,
            TextColumn,
            TimeRemainingColumn,
        )

        class Speed(ProgressColumn):
            def render(self, task: Task) -> Text:
                return _speed(task)

        self._progress: Progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(20),
            TaskProgressColumn(),
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
        super().start(name, count)
        shown = name if len(name) <= LONGEST else f"{name[: LONGEST - 3]}..."
        self._progress.reset(
            self._one, total=count, description=shown, visible=True, shown="", unit="frames"
        )
        if self.total > MANY and count == 1:
            self._progress.update(self._one, visible=False)  # it would only flicker

    def beside(self, worker: str) -> Bars:
        """As `Watcher.beside`, with a bar of its own."""
        other = super().beside(worker)
        assert isinstance(other, Bars)
        other._one = self._progress.add_task("", visible=False, shown="", unit="frames")
        return other

    def leave(self) -> None:
        """As `Watcher.leave`."""
        super().leave()
        self._progress.update(self._one, visible=False)

    def step(self) -> None:
        """Advance the bar by one frame."""
        super().step()
        shown = f"{self.done}/{self.count}" if self.count else str(self.done)
        self._progress.update(self._one, advance=1, total=self.count, shown=shown)
        self._advance()

    def say(self, line: str) -> None:
        """Print a line above the bars."""
        self._progress.console.print(line, markup=False, highlight=False, soft_wrap=True)

    def _next(self) -> None:
        super()._next()
        self._progress.update(self._one, visible=False)
        self._advance()

    def _advance(self) -> None:
        if self._all is not None:
            shown = f"{self.finished}/{self.total}"
            self._progress.update(self._all, completed=self.share, shown=shown)


def clock(seconds: float) -> str:
    """Hours, if there are any, minutes and seconds."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def _speed(task: Task) -> Text:
    from rich.text import Text

    if task.fields["unit"] != "frames" or not task.speed:
        return Text("")
    return Text(f"{task.speed:.1f} frames/s")


def watch(total: int, *, quiet: bool, style: Style = "auto") -> Watcher:
    """The right watcher of `total` inputs: bars on a terminal, lines elsewhere.

    If `quiet`, silence; events where `style` is `json`, and lines where it is `lines`.
    """
    if style == "json":
        return Events(total)
    if quiet:
        return Silence()
    return Bars(total) if style == "auto" and sys.stderr.isatty() else Lines(total)


@contextmanager
def download_bar(name: str, *, quiet: bool = False, style: Style = "auto") -> Iterator[ReportBytes]:
    """A bar on stderr while bytes of `name` arrive, if that is a terminal; else one line or event.

    `quiet` shows nothing, `style` is that of `watch`.
    """
    if quiet or style != "auto" or not sys.stderr.isatty():
        announced = False

        def tell(done: int, total: int | None) -> None:
            nonlocal announced
            if not announced:
                size = f" ({total / 1e6:.1f} MB)" if total else ""
                watch(1, quiet=quiet, style=style).note(f"{name}: downloading{size}")
                announced = True

        yield tell
        return

    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(TextColumn("{task.description}"), *columns, console=Console(stderr=True)) as bars:
        task = bars.add_task(name, total=None, start=False, visible=False)

        def move(done: int, total: int | None) -> None:
            bars.start_task(task)
            bars.update(task, completed=done, total=total, visible=True)

        yield move
