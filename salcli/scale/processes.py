"""Workers that are processes of this machine."""

from __future__ import annotations

import os
import signal
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from multiprocessing import connection, get_all_start_methods, get_context, parent_process
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

from salcli.errors import UsageError
from salcli.scale import machine
from salcli.scale.executor import (
    Died,
    Done,
    Message,
    Order,
    Reporter,
    Unit,
    hand_out,
    serve,
)
from salcli.terminal import ending
from salcli.terminal.events import Watcher
from salcli.terminal.logs import logging_to_terminal

__all__ = ["Processes", "devices_for"]

PATIENCE = 10.0
"""Seconds that workers have to clean up before they are killed."""

MEMORY = 2 * 2**30
"""Bytes that a worker may need on a CPU, for `auto`."""

CORES = 2
"""Cores of a worker on a CPU, for `auto`."""

LONGEST_FOLDER = 70
"""Bytes of the path of a temporary folder in which the name of a socket still fits."""


def devices_for(
    workers: int | None, *, named: Sequence[str], available: Sequence[str]
) -> list[str]:
    """The device of each worker.

    Args:
        workers: How many; `None` for one on each GPU, or as many as cores and memory allow.
        named: Devices as the user named them; of several each worker gets one.
        available: Devices of this machine, the best first.

    Raises:
        UsageError: There is no such device.
    """
    if unknown := [name for name in named if name not in ("auto", "cuda", *available)]:
        known = ", ".join(available)
        raise UsageError(f"no device '{unknown[0]}' on this machine, which has {known}")
    if list(named) in (["auto"], ["cuda"]):
        named = [name for name in available if name.startswith("cuda")] or available[:1]
    if workers is None:
        workers = _fitting() if list(named) == ["cpu"] else len(named)
    return [named[number % len(named)] for number in range(workers)]


def _fitting() -> int:
    """How many workers fit onto this machine's CPU."""
    memory = machine.free_memory()
    fitting = machine.cores() // CORES
    return max(1, fitting if memory is None else min(fitting, memory // MEMORY))


@dataclass(frozen=True)
class Processes:
    """Does the units in processes, as many as devices are named.

    Attributes:
        devices: The device of each worker.
        quiet, verbose: What the workers log; see `salcli.logs.logging_to_terminal`.
    """

    devices: Sequence[str]
    quiet: bool = False
    verbose: bool = False

    def run(
        self, order: Order[Unit, Done], units: Sequence[Unit], *, watcher: Watcher
    ) -> list[Done]:
        """As `salcli.scale.executor.Executor.run`."""
        crew = _ProcessCrew(order, self)
        return hand_out(crew, order, units, workers=len(self.devices), watcher=watcher)


@dataclass(frozen=True)
class _WorkerProcess:
    process: BaseProcess
    pipe: Connection
    device: str


class _ProcessCrew:
    """Processes, each with a pipe of its own: one that is killed harms no other."""

    def __init__(self, order: Any, settings: Processes) -> None:
        self._order, self._settings = order, settings
        self._threads = max(1, machine.cores() // len(settings.devices))
        self._free, self._numbers = list(settings.devices), count()
        self._workers: dict[int, _WorkerProcess] = {}

    def hire(self) -> None:
        context = _context()
        pipe, theirs = context.Pipe()
        device, settings = self._free.pop(0), self._settings
        process = context.Process(
            target=_work,
            args=(self._order, device, theirs, settings, dict(os.environ)),
            name=f"salcli worker on {device}",
            daemon=True,
        )
        with _starting(self._threads):
            process.start()
        theirs.close()
        self._workers[next(self._numbers)] = _WorkerProcess(process, pipe, device)

    def give(self, worker: int, unit: Any) -> None:
        with suppress(OSError):  # it died; the next `hear` says so
            self._workers[worker].pipe.send(unit)

    def hear(self, seconds: float | None = None) -> Iterator[tuple[int, Message]]:
        ready = connection.wait([each.pipe for each in self._workers.values()], seconds)
        for number, worker in list(self._workers.items()):
            if worker.pipe not in ready:
                continue
            try:
                message = worker.pipe.recv()
            except (EOFError, OSError):
                worker.process.join()
                del self._workers[number]
                self._free.append(worker.device)
                message = Died(_cause(worker.process.exitcode or 0))
            yield number, message

    def close(self) -> Iterator[tuple[int, Message]]:
        for worker in self._workers.values():
            worker.process.terminate()
        until = time.monotonic() + PATIENCE
        while self._workers and (left := until - time.monotonic()) > 0:
            yield from self.hear(left)
        for worker in self._workers.values():
            worker.process.kill()
            worker.process.join()


@contextmanager
def _starting(threads: int) -> Iterator[None]:
    """Let a process that is started meanwhile use so many threads, and leave Ctrl-C to this one."""
    before = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = before or str(threads)
    main = threading.current_thread() is threading.main_thread()
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN) if main else None
    try:
        yield
    finally:
        if main:
            signal.signal(signal.SIGINT, handler)
        if before is None:
            del os.environ["OMP_NUM_THREADS"]


def _cause(code: int) -> str:
    """What ended a process, for people."""
    if code >= 0:
        return f"it ended with exit code {code}"
    name = signal.Signals(-code).name if -code in signal.valid_signals() else f"signal {-code}"
    guess = ", perhaps because memory ran out" if name == "SIGKILL" else ""
    return f"it was killed by {name}{guess}"


def _context() -> Any:
    """How processes are started: afresh, without what this one has opened.

    Where it can be, they are copies of one that has imported everything and done nothing else.
    """
    far = len(os.fsencode(tempfile.gettempdir())) > LONGEST_FOLDER
    if far or "forkserver" not in get_all_start_methods():
        return get_context("spawn")
    context = get_context("forkserver")
    context.set_forkserver_preload(["salcli.scale.prediction"])
    return context


def _work(
    order: Any,
    device: str,
    pipe: Connection,
    settings: Processes,
    environment: Mapping[str, str],
) -> None:
    """What a worker does: begin, then unit after unit, until it is ended."""
    os.environ.update(environment)
    os.dup2(2, 1)  # standard output has results, such as JSON
    with suppress(KeyboardInterrupt, OSError), ending.listening():
        threading.Thread(target=_follow, daemon=True).start()
        with logging_to_terminal(quiet=settings.quiet, verbose=settings.verbose):
            serve(order, device, pipe.recv, Reporter(pipe.send))


def _follow() -> None:
    """End this worker, as Ctrl-C would, when the process that started it is gone."""
    parent = parent_process()
    assert parent is not None
    connection.wait([parent.sentinel])
    os.kill(os.getpid(), signal.SIGTERM)
