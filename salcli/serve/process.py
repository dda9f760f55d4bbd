"""The model process as the server sees it: started when needed, ended when idle, hung or broken."""

from __future__ import annotations

import asyncio
import json
import logging
import multiprocessing
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from threading import Thread
from typing import Any, TypeAlias

from salcli.serve.limits import Refusal
from salcli.serve.orders import UploadOrder, WorkerSettings
from salcli.serve.start import begin

__all__ = ["ModelProcess"]

logger = logging.getLogger(__name__)

Progress: TypeAlias = Callable[[Mapping[str, Any]], None]

ATTEMPTS = 2
"""An order whose process ended is tried once more: another order may have been the reason."""

GRACE = 2.0
"""Seconds until a process that was asked to end is killed."""


class _Ended(Exception):
    """The process ended before it answered."""


class ModelProcess:
    """The one process that decodes uploads and runs models.

    All methods belong to the thread of the event loop.
    """

    def __init__(self, settings: WorkerSettings) -> None:
        self._settings = settings
        self._process: BaseProcess | None = None
        self._connection: Connection | None = None
        self._waiting: dict[str, tuple[asyncio.Future[Mapping[str, Any]], Progress]] = {}
        self._used = time.monotonic()

    @property
    def pid(self) -> int | None:
        """Of the process; `None` while there is none."""
        return self._process.pid if self._process else None

    async def run(
        self, order: UploadOrder, *, seconds: float, progress: Progress = lambda _: None
    ) -> Mapping[str, Any]:
        """Have an order done; gives what the process says of the result.

        Raises:
            Refusal: It failed, took too long, or ended the process.
        """
        for _ in range(ATTEMPTS):
            answer = self._send(order, progress)
            try:
                return await asyncio.wait_for(answer, seconds)
            except _Ended:
                logger.warning("the model process ended while it had a %s", order.work)
            except TimeoutError:
                await self.stop()
                raise Refusal(504, f"the prediction took more than {seconds:g} seconds") from None
            finally:
                self._waiting.pop(order.id, None)
                self._used = time.monotonic()
        raise Refusal(500, "the model process ended unexpectedly; is there enough memory?")

    def cancel(self, order: UploadOrder) -> None:
        """Tell the process that nobody waits for this clip any more."""
        if self._connection is not None:
            with suppress(OSError):
                self._connection.send(order.id)

    async def stop(self) -> None:
        """End the process, if there is one; its orders are told."""
        process, connection = self._process, self._connection
        self._process = self._connection = None
        if process is None or connection is None:
            return
        process.terminate()
        await asyncio.to_thread(process.join, GRACE)
        if process.is_alive():
            process.kill()
            await asyncio.to_thread(process.join)
        connection.close()  # not before: a thread reads from it
        self._forget()

    async def stop_when_idle(self) -> None:
        """End the process whenever it had nothing to do for the time that is allowed."""
        allowed = self._settings.limits.idle_seconds
        while True:
            await asyncio.sleep(min(5.0, allowed / 2))
            idle = not self._waiting and time.monotonic() - self._used > allowed
            if idle and self._process is not None:
                logger.info("unloading the models, which were idle")
                await self.stop()

    def _send(self, order: UploadOrder, progress: Progress) -> asyncio.Future[Mapping[str, Any]]:
        if self._process is None or not self._process.is_alive():
            self._begin()
        assert self._connection is not None
        answer: asyncio.Future[Mapping[str, Any]] = asyncio.get_running_loop().create_future()
        self._waiting[order.id] = answer, progress
        try:
            self._connection.send(order)
        except OSError:
            answer.set_exception(_Ended())
        return answer

    def _begin(self) -> None:
        # a fresh interpreter, not a copy of this one, whose threads and locks it would share
        context = multiprocessing.get_context("spawn")
        self._connection, other = context.Pipe()
        self._process = context.Process(
            target=begin, args=(other, self._settings), name="salcli-model", daemon=True
        )
        self._process.start()
        other.close()
        arguments = (self._connection, asyncio.get_running_loop())
        Thread(target=self._listen, args=arguments, daemon=True).start()

    def _listen(self, connection: Connection, loop: asyncio.AbstractEventLoop) -> None:
        """Bring what the process says into the event loop, until it ends; runs in a thread."""
        with suppress(RuntimeError):  # the loop is closed
            try:
                while True:
                    order_id, event, facts = json.loads(connection.recv_bytes())
                    loop.call_soon_threadsafe(self._hear, order_id, event, facts)
            except (EOFError, OSError, TypeError, ValueError):
                loop.call_soon_threadsafe(self._lose, connection)

    def _hear(self, order_id: str, event: str, facts: Mapping[str, Any]) -> None:
        if order_id not in self._waiting:
            return  # its client has gone
        answer, progress = self._waiting[order_id]
        if event == "progress":
            progress(facts)
        elif answer.done():
            return
        elif event == "done":
            answer.set_result(facts)
        else:
            answer.set_exception(Refusal(int(facts["status"]), str(facts["error"])))

    def _lose(self, connection: Connection) -> None:
        """The process of this connection has ended."""
        if connection is self._connection:
            self._process = self._connection = None
            self._forget()

    def _forget(self) -> None:
        for answer, _ in self._waiting.values():
            if not answer.done():
                answer.set_exception(_Ended())
