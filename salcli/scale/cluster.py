"""Workers that are actors of Ray, on any machine of a cluster."""

from __future__ import annotations

import logging
import os
import re
import signal
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from salcli.errors import UsageError
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
from salcli.terminal.events import Watcher

__all__ = ["Cluster"]

LISTEN = 1.0
"""Seconds after which an actor answers although it has nothing to say."""

PATIENCE = 10.0
"""Seconds that actors have to clean up before they are killed."""


class Cluster:
    """Does units on the machines of a Ray cluster, which see the same files and packages.

    Args:
        address: Of the cluster, as `ray.init` takes it: `auto`, `HOST:PORT`; `local` starts one on
            this machine.
        workers: How many actors; 0 for one on each GPU or, without any, on each core. Several may
            share a GPU.
        device: Of the actors: `cpu`, or anything else for GPUs where there are some.

    Attributes:
        accelerated: Whether the actors have GPUs.

    Raises:
        UsageError: Ray is not installed, or there is no cluster.
    """

    def __init__(self, address: str, *, workers: int = 0, device: str = "auto") -> None:
        self._ray = _connected(address)
        resources = self._ray.cluster_resources()
        self._gpus = 0 if device == "cpu" else int(resources.get("GPU", 0))
        self._workers = workers or self._gpus or max(1, int(resources.get("CPU", 1)))
        self.accelerated = self._gpus > 0

    def run(
        self, order: Order[Unit, Done], units: Sequence[Unit], *, watcher: Watcher
    ) -> list[Done]:
        """As `salcli.scale.executor.Executor.run`."""
        workers = max(1, min(self._workers, len(units)))
        share = 1 / -(-workers // self._gpus) if self._gpus else 0.0
        try:
            crew = _ActorCrew(self._ray, order, gpus=share)
            return hand_out(crew, order, units, workers=workers, watcher=watcher)
        finally:
            self._ray.shutdown()


def _connected(address: str) -> Any:
    """Ray, connected to a cluster."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError:
        raise UsageError("Ray is not installed; pip install 'salcli[ray]'") from None
    before = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(address, log_to_driver=False, logging_level=logging.ERROR)
    except Exception as error:  # Ray raises whatever, also this very class
        text = " ".join(str(error).split())
        raise UsageError(f"there is no Ray cluster at '{address}': {text}") from error
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)  # Ray's own handler would leave claims behind
    return ray


class _ActorCrew:
    """Actors; each answers one question at a time: what it has to say."""

    def __init__(self, ray: Any, order: Order[Any, Any], *, gpus: float) -> None:
        self._ray, self._order, self._gpus = ray, order, gpus
        self._numbers, self._actors, self._answers = count(), dict[int, Any](), dict[Any, int]()

    def hire(self) -> None:
        kind = self._ray.remote(num_cpus=1, num_gpus=self._gpus, max_restarts=0, max_concurrency=3)(
            _Actor
        )
        ours = {name: value for name, value in os.environ.items() if name.startswith("SALCLI_")}
        device = "cuda" if self._gpus else "cpu"
        number = next(self._numbers)
        self._actors[number] = kind.remote(self._order, device, Path.cwd(), ours)
        self._ask(number)

    def give(self, worker: int, unit: Any) -> None:
        self._actors[worker].give.remote(unit)

    def _ask(self, number: int) -> None:
        self._answers[self._actors[number].hear.remote()] = number

    def hear(self) -> Iterator[tuple[int, Message]]:
        waiting = list(self._answers)
        ready, _ = self._ray.wait(waiting, num_returns=1, timeout=LISTEN)
        for answer in ready:
            number = self._answers.pop(answer)
            try:
                messages = self._ray.get(answer)
            except self._ray.exceptions.RayActorError as error:
                messages = [Died(_cause(error))]
            gone = any(isinstance(message, Died) for message in messages)
            if gone:
                del self._actors[number]
            else:
                self._ask(number)
            yield from ((number, message) for message in messages)

    def close(self) -> Iterator[tuple[int, Message]]:
        for actor in self._actors.values():
            actor.stop.remote()
        until = time.monotonic() + PATIENCE
        while self._actors and time.monotonic() < until:
            yield from self.hear()
        for actor in self._actors.values():
            self._ray.kill(actor)


def _cause(error: Exception) -> str:
    """What killed an actor, for people: of Ray's half page, where it was and how it ended."""
    text = " ".join(str(error).split())
    who = re.search(r"pid: (\d+) .*?ip: (\S+)", text)
    how = re.search(r"exit detail: (.*?)\. ", text)
    place = f"process {who[1]} at {who[2]}: " if who else ""
    return place + (how[1] if how else text)


class _Actor:
    """A worker; its work is done in a thread, so that it can answer meanwhile."""

    def __init__(
        self,
        order: Order[Any, Any],
        device: str,
        folder: Path,
        environment: Mapping[str, str],
    ) -> None:
        os.chdir(folder)
        os.environ.update(environment)
        self._units, self._said = SimpleQueue[Any](), SimpleQueue[Message]()
        self._stopped = threading.Event()
        threading.Thread(target=self._work, args=(order, device), daemon=True).start()

    def _work(self, order: Order[Any, Any], device: str) -> None:
        reporter = Reporter(self._said.put, self._stopped.is_set)
        with suppress(KeyboardInterrupt):
            serve(order, device, self._units.get, reporter)
        self._said.put(Died("it was stopped"))

    def give(self, unit: Any) -> None:
        self._units.put(unit)

    def stop(self) -> None:
        self._stopped.set()
        self._units.put(None)

    def hear(self) -> list[Message]:
        said: list[Message] = []
        with suppress(Empty):
            while True:
                said.append(self._said.get(timeout=0 if said else LISTEN))
        return said
