"""Claims: which process works on an input, so that several can share one output folder.

A claim is a file that only one process can create. Its holder touches it while frames pass. A claim
is stale if it was not touched for three minutes, or if its process on this machine has ended. All
that is done to a claim besides touching it, taking over a stale one and removing it, happens
under a second claim, the guard, whose name follows from the content: so only one process can take
over or remove what it has read.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from salcli.errors import OutputError, SalcliError
from salcli.files import atomic
from salcli.files.atomic import reporting_os_errors
from salcli.files.jsonfile import parse_json
from salcli.processes import Process

__all__ = [
    "STALE",
    "TOUCH",
    "Claim",
    "ClaimedElsewhere",
    "Holder",
    "abandon",
    "claimed",
    "holder_of",
]

TOUCH = 30.0
"""Seconds after which a claim is touched again."""

STALE = 180.0
"""Seconds without a touch after which a claim does not count."""


class ClaimedElsewhere(SalcliError):
    """Another process works on the input."""


class Claim:
    """A claim that this process holds; made by `claimed`."""

    def __init__(self, path: Path, content: bytes) -> None:
        self._path, self._content = path, content
        self._touched = time.monotonic()

    def touch(self) -> None:
        """Say that the work goes on; to be called for each frame.

        Raises:
            ClaimedElsewhere: It went stale, and another process has taken it over.
        """
        if time.monotonic() - self._touched < TOUCH:
            return
        self._touched = time.monotonic()
        held = _read(self._path)
        if held != self._content:
            raise ClaimedElsewhere(_description(held or b""))
        with suppress(OSError):
            os.utime(self._path)


@contextmanager
def claimed(path: Path) -> Iterator[Claim]:
    """Hold the claim `path` while the block runs; its folder is created if necessary.

    Raises:
        ClaimedElsewhere: Another process holds it.
        OutputError: The folder cannot be written.
    """
    since = datetime.now(UTC).isoformat(timespec="seconds")
    holder = Holder(**asdict(Process.current()), since=since, token=uuid.uuid4().hex)
    content = json.dumps(asdict(holder), indent=2).encode() + b"\n"
    with reporting_os_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        _acquire(path, content)
    try:
        yield Claim(path, content)
    finally:
        _release(path, content)


def holder_of(path: Path) -> Holder | None:
    """Who holds a claim; `None` if it does not exist, does not count, or is not whole."""
    held = _read(path)
    try:
        stale = held is None or _is_stale(path, held)
    except OSError:  # where nothing can be written, nobody can take it over
        stale = False
    return None if held is None or stale else _holder(held)


def abandon(path: Path, name: str) -> None:
    """Remove a claim if its holder is the process `name`, `pid@host`, which is gone."""
    held = _read(path)
    found = _holder(held) if held is not None else None
    if held is not None and found is not None and found.name == name:
        _release(path, held)


def _acquire(path: Path, content: bytes) -> None:
    """Create the claim, or take it over if it is stale."""
    while not _create(path, content):
        held = _read(path)
        if held is None:
            continue  # removed since
        if not _is_stale(path, held):
            raise ClaimedElsewhere(_description(held))
        with _guarded(path, held, content):
            if _read(path) != held or not _is_stale(path, held):
                raise ClaimedElsewhere(_description(_read(path) or b""))
            atomic.write(path, content)
            return


def _release(path: Path, content: bytes) -> None:
    """Remove the claim, unless another process has taken it over."""
    with suppress(OSError, OutputError, ClaimedElsewhere), _guarded(path, content, content):
        if _read(path) == content:
            path.unlink()


@contextmanager
def _guarded(path: Path, held: bytes, content: bytes) -> Iterator[None]:
    """Let nobody else remove or replace the claim `path` with the content `held`."""
    name = hashlib.sha256(os.fsencode(path.name) + held).hexdigest()[:16]
    guard = path.with_name(f".salcli-guard-{name}")
    _acquire(guard, content)
    try:
        yield
    finally:
        guard.unlink(missing_ok=True)


def _create(path: Path, content: bytes) -> bool:
    """Whether the file did not exist, and now has this content."""
    try:
        number = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
    except FileExistsError:
        return False
    try:
        with os.fdopen(number, "wb") as file:
            file.write(content)
    except OSError:
        path.unlink(missing_ok=True)
        raise
    return True


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _is_stale(path: Path, content: bytes) -> bool:
    """Whether the claim with this content does not count any more."""
    holder = _holder(content)
    if holder is not None and holder.has_ended():
        return True
    # both times by the clock of the file server, which may differ from this machine's
    with tempfile.TemporaryFile(dir=path.parent, prefix=".salcli-clock-") as clock:
        clock.write(b"\0")
        clock.flush()
        now = os.fstat(clock.fileno()).st_mtime
    try:
        return now - path.stat().st_mtime > STALE
    except FileNotFoundError:
        return False


@dataclass(frozen=True)
class Holder(Process):
    """What is in a claim: its process, and since when that works on the input."""

    since: str = ""
    token: str = ""


def _holder(content: bytes) -> Holder | None:
    """Who holds the claim with this content; `None` for one that is not whole, or not ours."""
    try:
        return parse_json(content, Holder)
    except ValueError:
        return None


def _description(content: bytes) -> str:
    """Who holds a claim, for people."""
    held = _holder(content)
    if held is None:
        return "another process works on it"
    return f"process {held.pid} on {held.host} works on it since {held.since}"
