"""Runs jobs in background threads behind a bounded queue."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import TypeAlias

__all__ = ["Background"]

Task: TypeAlias = Callable[[], None]


class Background:
    """Threads that run jobs from a bounded queue; a single thread runs them in order.

    After the first job that fails, no further job is run; the next `submit` or `finish` raises the
    error. Call `finish` or `cancel` when done.
    """

    def __init__(self, *, threads: int = 1, waiting: int = 4) -> None:
        self._jobs: queue.Queue[Task | None] = queue.Queue(maxsize=waiting)
        self._error: Exception | None = None
        self._stopped = False
        self._threads = [
            threading.Thread(target=self._work, name="salcli-writer", daemon=True)
            for _ in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, job: Task) -> None:
        """Queue `job`; waits only while the queue is full."""
        self._raise()
        self._jobs.put(job)

    def finish(self) -> None:
        """Wait until all jobs are done, and end the threads."""
        self._end()
        self._raise()

    def cancel(self) -> None:
        """Drop queued jobs, wait for running ones, and end the threads."""
        self._stopped = True
        self._end()

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error

    def _end(self) -> None:
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            thread.join()
        self._threads = []

    def _work(self) -> None:
        # keeps taking jobs after a failure, or a full queue would block `submit`
        while (job := self._jobs.get()) is not None:
            if self._stopped:
                continue
            try:
                job()
            except Exception as error:
                self._error = self._error or error
                self._stopped = True
