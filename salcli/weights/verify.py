"""Whether a weights file is the published one: hashes, and the receipt beside a verified file.

The receipt (`<file>.verified.json`) stores size, modification time and hash of a verified file, so
that a gigabyte is not hashed at every start. If no hash is published, later downloads are compared
with the receipt of the first one (trust on first use).
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from salcli.errors import InputError, PluginError
from salcli.files.jsonfile import read_json
from salcli.specs import Weights
from salcli.weights import drives

if TYPE_CHECKING:
    from hashlib import _Hash

__all__ = ["Digest", "Receipt", "expected_hash", "fault", "is_intact"]

CHUNK = 1 << 20
HEAD = 512
LENGTHS = {"sha256": 64, "gitblob": 40}
"""Hexadecimal digits of each kind of hash."""

logger = logging.getLogger(__name__)


class Digest:
    """The hash of a file, `"sha256:<hex>"` or `"gitblob:<hex>"`, computed while it is written.

    `follow` reads what is new at the end of a growing file, from the page cache, so it works no
    matter who writes the file. `finish` reads the rest, or everything if nothing was followed.
    """

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._total: int | None = None
        self._done = 0
        self._hash: _Hash | None = None

    def follow(self, path: Path, done: int, total: int | None) -> None:
        """Hash the bytes up to `done` of a file that will have `total` bytes, if that is known.

        Git's hash begins with the size, so nothing is hashed while that is unknown.
        """
        if self._kind == "gitblob" and total is None:
            return
        if self._hash is None or done < self._done or total != self._total:
            self._start(total)
        self._read(path, done)

    def finish(self, path: Path) -> str:
        """The hash of the whole file."""
        size = path.stat().st_size
        if self._hash is None or self._done > size or self._total not in (None, size):
            self._start(size)
        return f"{self._kind}:{self._read(path, size).hexdigest()}"

    def _start(self, total: int | None) -> None:
        self._total, self._done = total, 0
        if self._kind == "gitblob":
            self._hash = hashlib.sha1(b"blob %d\0" % (total or 0), usedforsecurity=False)
        else:
            self._hash = hashlib.sha256()

    def _read(self, path: Path, end: int) -> _Hash:
        assert self._hash is not None  # every caller has called `_start`
        with path.open("rb") as file:
            file.seek(self._done)
            while self._done < end and (block := file.read(min(CHUNK, end - self._done))):
                self._hash.update(block)
                self._done += len(block)
        return self._hash


@dataclass(frozen=True)
class Receipt:
    """The facts about a file when it was verified.

    Attributes:
        hash: Prefixed with its kind, as in `Weights.hash`.
        size: In bytes.
        mtime_ns: Modification time in nanoseconds.
    """

    hash: str
    size: int
    mtime_ns: int

    @staticmethod
    def path(file: Path) -> Path:
        """Path of the receipt of `file`."""
        return file.with_name(f"{file.name}.verified.json")

    @classmethod
    def read(cls, file: Path) -> Receipt | None:
        """The receipt of `file`; `None` if it is missing or invalid."""
        try:
            return read_json(cls.path(file), cls)
        except InputError:
            return None

    @classmethod
    def write(cls, file: Path, digest: str) -> None:
        """Record that `file` was verified; if that fails, it will be verified again."""
        stat = file.stat()
        receipt = cls(digest, stat.st_size, stat.st_mtime_ns)
        path = cls.path(file)
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            temporary.write_text(json.dumps(asdict(receipt)), encoding="utf-8")
            temporary.replace(path)
        except OSError as error:
            logger.info("cannot remember that %s is verified: %s", file, error)

    def fits(self, file: Path) -> bool:
        """Whether the file looks unchanged since."""
        stat = file.stat()
        return (stat.st_size, stat.st_mtime_ns) == (self.size, self.mtime_ns)


def expected_hash(file: Path, row: Weights) -> str | None:
    """The hash that the file must have: the published one, or that of the first download, if any.

    Raises:
        PluginError: The row states a hash of another form.
    """
    if row.hash is None:
        receipt = Receipt.read(file)
        return receipt.hash if receipt else None
    kind, _, digits = row.hash.lower().partition(":")
    if LENGTHS.get(kind) != len(digits):
        raise PluginError(
            f"weights '{row.tag}': hash '{row.hash}' is neither sha256:<64 digits> nor "
            "gitblob:<40 digits>"
        )
    return f"{kind}:{digits}"


def is_intact(file: Path, row: Weights, sha256: str) -> bool:
    """Whether a file with this SHA-256 has the required hash, whatever its receipt says.

    Raises:
        PluginError: The row states a hash of another form.
    """
    expected = expected_hash(file, row)
    if expected is None or expected.startswith("sha256:"):
        return expected in (None, f"sha256:{sha256}")
    return Digest(expected.partition(":")[0]).finish(file) == expected


def fault(file: Path, row: Weights, *, expected: str | None, digest: Digest) -> str:
    """What is wrong with a file's content, as the end of a sentence; empty if nothing is."""
    with file.open("rb") as opened:
        head = opened.read(HEAD)
    if not head:
        return "is empty"
    if drives.is_page("", head):
        return "is a web page, not weights"
    size = file.stat().st_size
    if row.size not in (None, size):
        return f"has {size:,} bytes instead of {row.size:,}"
    actual = digest.finish(file)
    if expected not in (None, actual):
        return f"has the hash {actual} instead of {expected}"
    return ""
