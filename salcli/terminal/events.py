"""What is told about the progress of a run: its inputs, frames, notes and errors."""

from __future__ import annotations

import copy
import json
import sys
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import TracebackType

from salcli.processes import Process

__all__ = ["EVERY", "Counter", "Events", "Silence", "Watcher"]

EVERY = 0.2
"""Seconds between two `step` events."""


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
        """An input starts; it has `count` frames, exactly or about, if that is known."""

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

    def beside(self, worker: str) -> Watcher:
        """A watcher for another process, `pid@host`; what it finishes counts here, too."""
        return self

    def leave(self) -> None:
        """The process of a watcher from `beside` is gone; what it was at does not count."""


Silence = Watcher


@dataclass
class _Shared:
    """What the counters of several processes have in common."""

    counters: list[Counter]
    finished: int = 0


class Counter(Watcher):
    """Counts frames and inputs.

    Attributes:
        total: Number of inputs.
        name, count, done: Of the current input: its name, frames in all, if known, and so far.
    """

    count: int | None

    def __init__(self, total: int) -> None:
        self.total = total
        self.name, self.count, self.done = "", None, 0
        self._began = self._begun = time.monotonic()
        self._shared = _Shared([self])

    @property
    def finished(self) -> int:
        """Inputs that are done, skipped or failed, in all processes."""
        return self._shared.finished

    def beside(self, worker: str) -> Watcher:
        """As `Watcher.beside`."""
        other = copy.copy(self)
        other.leave()
        self._shared.counters.append(other)
        return other

    def leave(self) -> None:
        """As `Watcher.leave`."""
        self.name, self.count, self.done = "", None, 0

    def start(self, name: str, count: int | None) -> None:
        """Count from 0."""
        self.name, self.count, self.done = name, count, 0
        self._begun = time.monotonic()

    def step(self) -> None:
        """Count one."""
        self.done += 1
        if self.count is not None:
            self.count = max(self.count, self.done)  # it may have been an estimate

    def finish(self, line: str) -> None:
        """Count the input."""
        self._next()

    def fail(self, line: str) -> None:
        """Print the error, and count the input."""
        super().fail(line)
        self._next()

    def _next(self) -> None:
        self._shared.finished += 1
        self.name, self.count, self.done = "", None, 0

    @property
    def share(self) -> float:
        """How much of all inputs is done, in inputs, with the parts of the current ones."""
        return self.finished + sum(
            one.done / one.count for one in self._shared.counters if one.count
        )

    @property
    def speed(self) -> float:
        """Frames per second of the current input."""
        return self.done / max(time.monotonic() - self._begun, 1e-3)

    @property
    def left(self) -> float | None:
        """Seconds until the current input is done, if its number of frames is known."""
        return (self.count - self.done) / self.speed if self.count and self.done else None

    @property
    def left_in_all(self) -> float | None:
        """Seconds until all inputs are done, if those to come are like those before."""
        if not self.share:
            return None
        return (time.monotonic() - self._began) * (self.total - self.share) / self.share


class Events(Counter):
    """One JSON document per line, for programs that run salcli.

    Each has `event` (`start`, `step`, `note`, `finish` or `fail`) and `worker`, the process as
    `pid@host`. `start` has `input` and `frames` (or null); `step`, at most five per second, also
    `done`, `frames_per_second`, `seconds_left`, `inputs`, `inputs_done` and `inputs_seconds_left`;
    the others have `text`, and `finish` and `fail` `inputs` and `inputs_done`.
    """

    def __init__(self, total: int) -> None:
        super().__init__(total)
        self._worker = Process.current().name
        self._shown = -EVERY

    def beside(self, worker: str) -> Events:
        """As `Watcher.beside`, with the other process as `worker`."""
        other = super().beside(worker)
        assert isinstance(other, Events)
        other._worker = worker
        return other

    def start(self, name: str, count: int | None) -> None:
        """Tell the input and its number of frames."""
        super().start(name, count)
        self._tell("start", input=name, frames=count)

    def step(self) -> None:
        """Tell how far it is, unless that was told just now."""
        super().step()
        now = time.monotonic()
        if now - self._shown < EVERY:
            return
        self._shown = now
        self._tell(
            "step",
            input=self.name,
            frames=self.count,
            done=self.done,
            frames_per_second=round(self.speed, 3),
            seconds_left=_rounded(self.left),
            inputs=self.total,
            inputs_done=self.finished,
            inputs_seconds_left=_rounded(self.left_in_all),
        )

    def finish(self, line: str) -> None:
        """Tell the result."""
        super().finish(line)
        self._tell("finish", text=line, inputs=self.total, inputs_done=self.finished)

    def fail(self, line: str) -> None:
        """Tell the error."""
        self._next()
        self._tell("fail", text=line, inputs=self.total, inputs_done=self.finished)

    def note(self, line: str) -> None:
        """Tell the note."""
        self._tell("note", text=line)

    def say(self, line: str) -> None:
        """As a note, since each line is JSON."""
        self.note(line)

    def _tell(self, event: str, **facts: str | float | None) -> None:
        document = {"event": event, "worker": self._worker, **facts}
        print(json.dumps(document), file=sys.stderr, flush=True)


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 1)
