"""Clips: they take long, so that their client asks again and again how far they are."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from salcli.serve.limits import Refusal, ServerLimits
from salcli.serve.orders import UploadOrder
from salcli.serve.process import ModelProcess
from salcli.serve.queue import Lane
from salcli.serve.uploads import remove

__all__ = ["ClipJob", "ClipJobs"]


@dataclass
class ClipJob:
    """One clip.

    Attributes:
        order: What is done.
        status: How far it is.
        done, frames: How many frames are done, and of how many, if that is known.
        error: Why it failed.
        ended: When it was done or failed, by the monotonic clock.
        task: What does it.
    """

    order: UploadOrder
    status: Literal["waiting", "running", "done", "failed"] = "waiting"
    done: int = 0
    frames: int | None = None
    error: str | None = None
    ended: float | None = None
    task: asyncio.Task[None] | None = field(default=None, repr=False)

    def document(self) -> dict[str, Any]:
        """For the client."""
        return {
            "id": self.order.id,
            "status": self.status,
            "model": self.order.model,
            "done": self.done,
            "frames": self.frames,
            "error": self.error,
        }

    def progress(self, facts: Mapping[str, Any]) -> None:
        """Take what the model process says."""
        self.status = "running"
        self.done, self.frames = int(facts["done"]), facts["frames"]


class ClipJobs:
    """All clips of a server, until they are fetched or forgotten."""

    def __init__(self, process: ModelProcess, limits: ServerLimits) -> None:
        self._process, self._limits = process, limits
        self._jobs: dict[str, ClipJob] = {}
        self.lane = Lane(limits.waiting_clips, "clips")

    def add(self, order: UploadOrder) -> ClipJob:
        """Begin a job, which takes over the order's folder.

        Raises:
            Refusal: Too many are waiting.
        """
        self.lane.check()
        self.forget_old()
        job = self._jobs[order.id] = ClipJob(order)
        job.task = asyncio.create_task(self._run(job))
        return job

    def find(self, job_id: str) -> ClipJob:
        """The job with this id.

        Raises:
            Refusal: There is none.
        """
        if job_id not in self._jobs:
            raise Refusal(404, "there is no such job; finished ones are forgotten after a while")
        return self._jobs[job_id]

    def drop(self, job_id: str) -> None:
        """Cancel and forget a job.

        Raises:
            Refusal: There is none.
        """
        job = self.find(job_id)
        del self._jobs[job_id]
        if job.task is not None:
            job.task.cancel()
        self._process.cancel(job.order)
        remove(job.order.folder)

    def forget_old(self) -> None:
        """Forget finished jobs that are old, or too many."""
        ended = [(job.ended, key) for key, job in self._jobs.items() if job.ended is not None]
        ended.sort(reverse=True)
        oldest = time.monotonic() - self._limits.kept_seconds
        for place, (when, key) in enumerate(ended):
            if place >= self._limits.kept_clips or when < oldest:
                self.drop(key)

    async def _run(self, job: ClipJob) -> None:
        try:
            async with self.lane.turn():
                await self._process.run(
                    job.order, seconds=self._limits.clip_run_seconds, progress=job.progress
                )
            job.status = "done"
        except Refusal as refusal:
            job.status, job.error = "failed", str(refusal)
        job.ended = time.monotonic()
        job.order.upload.unlink(missing_ok=True)
