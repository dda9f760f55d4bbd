"""What this machine, or the container that this process runs in, has for workers."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

__all__ = ["cores", "free_memory"]

GROUP = Path("/sys/fs/cgroup")
"""Where Linux states the limits of a container."""


def cores() -> int:
    """How many cores this process may use."""
    has_affinity = hasattr(os, "sched_getaffinity")
    count = len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1
    with suppress(OSError, ValueError):  # of version 2: "max 100000" if there is no limit
        quota, period = (GROUP / "cpu.max").read_text().split()
        count = min(count, max(1, int(quota) // int(period)))
    return count


def free_memory() -> int | None:
    """How many bytes this process may still use; `None` where the system does not say."""
    found = []
    with suppress(OSError, ValueError):
        lines = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
        found.append(int(lines["MemAvailable"].split()[0]) * 1024)
    for limit, used in (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ):
        with suppress(OSError, ValueError):
            found.append(int((GROUP / limit).read_text()) - int((GROUP / used).read_text()))
    return max(0, min(found)) if found else None
