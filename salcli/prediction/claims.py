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
from typing import Protocol

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


class ClaimPlace(Protocol):
    """Where a claim is kept, if not in a file: an object of a store."""

    @property
    def name(self) -> str:
        """Its last part."""

    def beside(self, name: str) -> ClaimPlace:
        """Another claim in the same folder."""

    def create(self, content: bytes) -> bool:
        """Whether there was none, and now is one with this content; only one process can."""

    def read(self) -> bytes | None:
        """Its content, if there is any."""

    def replace(self, content: bytes) -> None:
        """Give it another content."""

    def touch(self) -> None:
        """Make its age 0."""

    def remove(self) -> None:
        """Remove it, if it is there."""

    def age(self) -> float:
        """Seconds since it was created, replaced or touched, by the clock of whoever keeps it."""


@dataclass(frozen=True)
class _ClaimFile:
    """A claim that is a file."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.name

    def beside(self, name: str) -> _ClaimFile:
        return _ClaimFile(self.path.with_name(name))

    def create(self, content: bytes) -> bool:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            number = os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
        except FileExistsError:
            return False
        try:
            with os.fdopen(number, "wb") as file:
                file.write(content)
        except OSError:
            self.path.unlink(missing_ok=True)
            raise
        return True

    def read(self) -> bytes | None:
        try:
            return self.path.read_bytes()
        except FileNotFoundError:
            return None

    def replace(self, content: bytes) -> None:
        atomic.write(self.path, content)

    def touch(self) -> None:
        with suppress(OSError):
            os.utime(self.path)

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)

    def age(self) -> float:
        # both times by the clock of the file server, which may differ from this machine's
        with tempfile.TemporaryFile(dir=self.path.parent, prefix=".salcli-clock-") as clock:
            clock.write(b"\0")
            clock.flush()
            now = os.fstat(clock.fileno()).st_mtime
        try:
            return now - self.path.stat().st_mtime
        except FileNotFoundError:
            return 0.0


class Claim:
    """A claim that this process holds; made by `claimed`."""

    def __init__(self, place: ClaimPlace, content: bytes) -> None:
        self._place, self._content = place, content
        self._touched = time.monotonic()

    def touch(self) -> None:
        """Say that the work goes on; to be called for each frame.

        Raises:
            ClaimedElsewhere: It went stale, and another process has taken it over.
        """
        if time.monotonic() - self._touched < TOUCH:
            return
        self._touched = time.monotonic()
        held = self._place.read()
        if held != self._content:
            raise ClaimedElsewhere(_description(held or b""))
        self._place.touch()


@contextmanager
def claimed(where: Path | ClaimPlace) -> Iterator[Claim]:
    """Hold a claim while the block runs; the folder of a file is created if necessary.

    Raises:
        ClaimedElsewhere: Another process holds it.
        OutputError: The folder cannot be written.
    """
    since = datetime.now(UTC).isoformat(timespec="seconds")
    holder = Holder(**asdict(Process.current()), since=since, token=uuid.uuid4().hex)
    content = json.dumps(asdict(holder), indent=2).encode() + b"\n"
    place = _ClaimFile(where) if isinstance(where, Path) else where
    with reporting_os_errors(where if isinstance(where, Path) else Path(place.name)):
        _acquire(place, content)
    try:
        yield Claim(place, content)
    finally:
        _release(place, content)


def holder_of(path: Path) -> Holder | None:
    """Who holds a claim; `None` if it does not exist, does not count, or is not whole."""
    place = _ClaimFile(path)
    held = place.read()
    try:
        stale = held is None or _is_stale(place, held)
    except OSError:  # where nothing can be written, nobody can take it over
        stale = False
    return None if held is None or stale else _holder(held)


def abandon(where: Path | ClaimPlace, name: str) -> None:
    """Remove a claim if its holder is the process `name`, `pid@host`, which is gone."""
    place = _ClaimFile(where) if isinstance(where, Path) else where
    held = place.read()
    found = _holder(held) if held is not None else None
    if held is not None and found is not None and found.name == name:
        _release(place, held)


def _acquire(place: ClaimPlace, content: bytes) -> None:
    """Create the claim, or take it over if it is stale."""
    while not place.create(content):
        held = place.read()
        if held is None:
            continue  # removed since
        if not _is_stale(place, held):
            raise ClaimedElsewhere(_description(held))
        with _guarded(place, held, content):
            if place.read() != held or not _is_stale(place, held):
                raise ClaimedElsewhere(_description(place.read() or b""))
            place.replace(content)
            return


def _release(place: ClaimPlace, content: bytes) -> None:
    """Remove the claim, unless another process has taken it over."""
    with suppress(OSError, OutputError, ClaimedElsewhere), _guarded(place, content, content):
        if place.read() == content:
            place.remove()


@contextmanager
def _guarded(place: ClaimPlace, held: bytes, content: bytes) -> Iterator[None]:
    """Let nobody else remove or replace the claim with the content `held`."""
    name = hashlib.sha256(os.fsencode(place.name) + held).hexdigest()[:16]
    guard = place.beside(f".salcli-guard-{name}")
    _acquire(guard, content)
    try:
        yield
    finally:
        guard.remove()


def _is_stale(place: ClaimPlace, content: bytes) -> bool:
    """Whether the claim with this content does not count any more."""
    holder = _holder(content)
    return (holder is not None and holder.has_ended()) or place.age() > STALE


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
