"""Which process this is, and whether another one has ended."""

from __future__ import annotations

import functools
import hashlib
import os
import platform
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Process"]


@dataclass(frozen=True)
class Process:
    """A process of any machine.

    Attributes:
        host: Name of its machine.
        boot_id: Changes whenever the machine starts; empty if unknown.
        namespace: In which process numbers are unique, such as a container; empty if unknown.
        pid: Its number.
        start: When it started, by the clock of its kernel, since numbers are used again; empty if
            unknown.
    """

    host: str
    boot_id: str
    namespace: str
    pid: int
    start: str = ""

    @classmethod
    def current(cls) -> Process:
        """This process."""
        return _process(os.getpid())

    @property
    def name(self) -> str:
        """For people, and unique among processes that run at one time: `pid@host`."""
        return f"{self.pid}@{self.host}"

    @property
    def tag(self) -> str:
        """Eight hexadecimal digits, equal for processes that see each other's numbers."""
        text = "\0".join((self.host, self.boot_id, self.namespace))
        return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:8]

    def has_ended(self) -> bool:
        """Whether it provably ended: it would be seen from here, and is not there."""
        if (self.host, self.boot_id, self.namespace) != _place() or os.name == "nt":
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except (OSError, OverflowError):  # of another user
            return False
        state, start = _state(self.pid)
        return state in ("Z", "X") or bool(self.start and start and self.start != start)


@functools.cache
def _process(pid: int) -> Process:
    """This process; by its number, since it may be a copy of another."""
    return Process(*_place(), pid, _state(pid)[1])


@functools.cache
def _place() -> tuple[str, str, str]:
    """Host, boot and namespace of this process."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        namespace = str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        boot = namespace = ""
    return platform.node(), boot, namespace


def _state(pid: int) -> tuple[str, str]:
    """State and start of a process, as Linux tells them; empty elsewhere."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
        return fields[0], fields[19]
    except (OSError, IndexError):
        return "", ""
