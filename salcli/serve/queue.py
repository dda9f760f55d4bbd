"""Who is served when: one picture and one clip at a time, a bounded number of others waiting."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from salcli.serve.limits import Refusal

__all__ = ["Lane"]

SMOOTHING = 0.2
"""How much the latest turn counts for the usual length of one."""

LONGEST_WAIT = 60


class Lane:
    """A queue in which one is served at a time, in order of arrival.

    Args:
        most: How many may be in it, the one that is served included.
        what: What its members are, for messages.
    """

    def __init__(self, most: int, what: str) -> None:
        self._most, self._what = most, what
        self._lock = asyncio.Lock()
        self._usual = 1.0
        self.inside = 0

    def check(self) -> None:
        """Refuse one more while the lane is full.

        Raises:
            Refusal: It is.
        """
        if self.inside >= self._most:
            wait = min(LONGEST_WAIT, math.ceil(self._usual * self.inside / 2))
            raise Refusal(429, f"too many {self._what} are waiting", retry_after=max(1, wait))

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for one's turn, and have it for the block.

        Raises:
            Refusal: The lane is full.
        """
        self.check()
        self.inside += 1
        try:
            async with self._lock:
                began = time.monotonic()
                yield
                self._usual += SMOOTHING * (time.monotonic() - began - self._usual)
        finally:
            self.inside -= 1
