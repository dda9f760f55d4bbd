"""Hands out units of work to workers one by one, and goes on when a worker dies.

An `Executor` runs an `Order` on units: here, in processes of this machine, or on a cluster. The two
latter are crews of workers that `hand_out` keeps busy. A unit may be done more than once, if a
worker dies after it; so an order does nothing that is done already, and leaves the same bytes.
"""

from __future__ import annotations

import time
import traceback
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any, Generic, Protocol, TypeVar

from salcli.errors import PluginError, SalcliError
from salcli.processes import Process
from salcli.terminal.events import EVERY, Watcher

__all__ = [
    "TRIES",
    "Broke",
    "Crew",
    "Died",
    "Ended",
    "Executor",
    "Here",
    "Message",
    "Order",
    "Ready",
    "Reporter",
    "Told",
    "hand_out",
    "serve",
]

TRIES = 3
"""So many workers may die over a unit before it fails."""

Unit = TypeVar("Unit")
Done = TypeVar("Done")
UnitIn = TypeVar("UnitIn", contravariant=True)
DoneOut = TypeVar("DoneOut", covariant=True)


class Order(Protocol[UnitIn, DoneOut]):
    """What is done with each unit, as plain data, from which any worker can begin."""

    def begin(self, device: str) -> Callable[[UnitIn, Watcher], DoneOut]:
        """Load what the work needs, on a device of the worker's machine; gives the work."""

    def title(self, unit: UnitIn) -> str:
        """Name of a unit in messages."""

    def size(self, unit: UnitIn) -> int:
        """How large a unit is, compared to others; the largest are handed out first."""

    def died(self, unit: UnitIn, worker: str) -> None:
        """The worker `pid@host` is gone that worked on a unit: undo what it cannot."""

    def failed(self, unit: UnitIn, error: str, *, died: bool) -> DoneOut:
        """The result of a unit that failed; `died` if its workers did, and could note nothing."""


class Executor(Protocol):
    """A way to do an order."""

    def run(
        self, order: Order[Unit, Done], units: Sequence[Unit], *, watcher: Watcher
    ) -> list[Done]:
        """Do all units; gives their results in the same order.

        Raises:
            PluginError: A plugin or model is broken, so every other unit would fail, too.
            SalcliError: The work cannot begin; no unit is done then.
        """


@dataclass(frozen=True)
class Here:
    """Does the units one after another in this process.

    Attributes:
        work: What `Order.begin` gives.
    """

    work: Callable[[Any, Watcher], Any]

    def run(
        self, order: Order[Unit, Done], units: Sequence[Unit], *, watcher: Watcher
    ) -> list[Done]:
        """As `Executor.run`."""
        results: list[Done] = []
        for unit in units:
            try:
                results.append(self.work(unit, watcher))
            except PluginError:
                raise
            except SalcliError as error:
                watcher.fail(str(error))
                results.append(order.failed(unit, str(error), died=False))
        return results


@dataclass(frozen=True)
class Ready:
    """A worker is ready for its first unit; `name` is its process, as `pid@host`."""

    name: str


@dataclass(frozen=True)
class Told:
    """A worker calls a method of its `Watcher`."""

    event: str
    arguments: tuple[Any, ...]


@dataclass(frozen=True)
class Ended:
    """A unit is done: its result, or the error with which it failed."""

    result: Any


@dataclass(frozen=True)
class Broke:
    """A worker found what ends everything."""

    error: Exception


@dataclass(frozen=True)
class Died:
    """A worker is gone; `cause` says what killed it."""

    cause: str


Message = Ready | Told | Ended | Broke | Died


class Crew(Protocol):
    """Workers of one kind; each has a number."""

    def hire(self) -> None:
        """Start another worker, which says `Ready` when it is."""

    def give(self, worker: int, unit: Any) -> None:
        """Hand a unit to a worker that is ready, or has ended another."""

    def hear(self) -> Iterable[tuple[int, Message]]:
        """Wait for messages of workers; `Died` is the last of each."""

    def close(self) -> Iterable[tuple[int, Message]]:
        """End all workers; gives what they still say."""


class Reporter(Watcher):
    """In a worker: sends what it is told to where it is shown; steps at most five times a second.

    Args:
        send: Sends a message.
        stopped: Whether the worker shall stop, where no signal reaches it: then a step does, as
            Ctrl-C would.
    """

    def __init__(
        self, send: Callable[[Message], None], stopped: Callable[[], bool] = lambda: False
    ) -> None:
        self.send, self._stopped, self._lock = send, stopped, Lock()
        self._steps, self._sent = 0, -EVERY

    def start(self, name: str, count: int | None) -> None:
        """Send it."""
        self._tell("start", name, count)

    def step(self) -> None:
        """Count it, and send how many there were if that was not sent just now."""
        if self._stopped():
            raise KeyboardInterrupt
        self._steps += 1
        if time.monotonic() - self._sent >= EVERY:
            self._tell("steps", 0)

    def finish(self, line: str) -> None:
        """Send it."""
        self._tell("finish", line)

    def note(self, line: str) -> None:
        """Send it."""
        self._tell("note", line)

    def say(self, line: str) -> None:
        """Send it."""
        self._tell("say", line)

    def _tell(self, event: str, *arguments: Any) -> None:
        with self._lock:
            self._sent = time.monotonic()
            if self._steps:
                self.send(Told("steps", (self._steps,)))
                self._steps = 0
            if event != "steps":
                self.send(Told(event, arguments))


def serve(
    order: Order[Any, Any], device: str, receive: Callable[[], Any], reporter: Reporter
) -> None:
    """In a worker: begin, then do unit after unit, until `receive` gives `None`."""
    try:
        work = order.begin(device)
    except Exception as error:
        reporter.send(Broke(_portable(error)))
        return
    reporter.send(Ready(Process.current().name))
    while (unit := receive()) is not None:
        try:
            message: Message = Ended(work(unit, reporter))
        except Exception as error:
            alone = isinstance(error, SalcliError) and not isinstance(error, PluginError)
            message = Ended(SalcliError(str(error))) if alone else Broke(_portable(error))
        reporter.send(message)


def _portable(error: Exception) -> Exception:
    """An error that can be sent to another process, with its traceback as a note."""
    text = "".join(traceback.format_exception(error))
    if type(error).__module__ != SalcliError.__module__:
        error = RuntimeError(f"{type(error).__name__}: {error}")
    error.add_note(text)
    return error


def hand_out(
    crew: Crew,
    order: Order[Unit, Done],
    units: Sequence[Unit],
    *,
    workers: int,
    watcher: Watcher,
) -> list[Done]:
    """Keep a crew of so many workers busy until all units are done; see `Executor.run`."""
    shift = _Shift(crew, order, units, watcher)
    try:
        for _ in range(min(workers, len(units))):
            crew.hire()
        while len(shift.results) < len(units):
            for worker, message in crew.hear():
                shift.take(worker, message)
    finally:
        for worker, message in crew.close():
            if isinstance(message, Told) and worker in shift.watchers:
                shift.tell(worker, message)
    return [shift.results[index] for index in range(len(units))]


class _Shift(Generic[Unit, Done]):
    """The units that wait, those at work, and the results."""

    def __init__(
        self, crew: Crew, order: Order[Unit, Done], units: Sequence[Unit], watcher: Watcher
    ) -> None:
        self._crew, self._order, self._units, self._watcher = crew, order, units, watcher
        largest = sorted(range(len(units)), key=lambda index: -order.size(units[index]))
        self._waiting, self._at_work = deque(largest), dict[int, int]()
        self._idle: list[int] = []
        self._deaths: Counter[int] = Counter()
        self._names: dict[int, str] = {}
        self.watchers: dict[int, Watcher] = {}
        self.results: dict[int, Done] = {}

    def take(self, worker: int, message: Message) -> None:
        """Act on a message of a worker."""
        match message:
            case Ready(name):
                self._names[worker] = name
                self.watchers[worker] = self._watcher.beside(name)
                self._occupy(worker)
            case Told():
                self.tell(worker, message)
            case Ended(result):
                index = self._at_work.pop(worker)
                if isinstance(result, SalcliError):
                    self._fail(index, str(result), self.watchers[worker], died=False)
                else:
                    self.results[index] = result
                self._occupy(worker)
            case Broke(error):
                raise error
            case Died(cause):
                self._bury(worker, cause)

    def tell(self, worker: int, message: Told) -> None:
        """Show what a worker tells."""
        if message.event == "steps":
            for _ in range(message.arguments[0]):
                self.watchers[worker].step()
        else:
            getattr(self.watchers[worker], message.event)(*message.arguments)

    def _occupy(self, worker: int) -> None:
        if not self._waiting:
            self._idle.append(worker)
            return
        self._at_work[worker] = self._waiting.popleft()
        self._crew.give(worker, self._units[self._at_work[worker]])

    def _bury(self, worker: int, cause: str) -> None:
        """Put the unit of a worker that died back into the queue, or let it fail."""
        index = self._at_work.pop(worker, -1)
        watcher = self.watchers.pop(worker, self._watcher)
        self._idle = [each for each in self._idle if each != worker]
        self._deaths[index] += 1
        if index == -1 and self._deaths[index] == TRIES:
            raise SalcliError(f"workers cannot start: {cause}; choose fewer workers")
        if index >= 0:
            watcher.leave()
            self._order.died(self._units[index], self._names[worker])
            title = self._order.title(self._units[index])
            if self._deaths[index] == TRIES:
                text = f"'{title}': {TRIES} workers died while they worked on it: {cause}"
                self._fail(index, text, self._watcher, died=True)
            else:
                self._watcher.note(f"{title}: the worker died: {cause}; trying again")
                self._waiting.append(index)
        if self._waiting and self._idle:
            self._occupy(self._idle.pop())
        elif self._waiting or index == -1:
            self._crew.hire()

    def _fail(self, index: int, error: str, watcher: Watcher, *, died: bool) -> None:
        watcher.fail(error)
        self.results[index] = self._order.failed(self._units[index], error, died=died)
