"""Writes files atomically: a file has its final name only with its whole content."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from salcli.errors import OutputError

__all__ = ["REASONS", "replacing", "reporting_os_errors", "sweep", "temporary", "write"]

PREFIX = ".salcli-"

REASONS = {
    errno.ENOSPC: "make room, or choose another output folder",
    errno.EDQUOT: "make room, or choose another output folder",
    errno.EFBIG: "choose an output folder on another file system",
    errno.EACCES: "choose an output folder that you may write to",
    errno.EPERM: "choose an output folder that you may write to",
    errno.EROFS: "choose an output folder that you may write to",
    errno.ENOTDIR: "a part of the path is a file; choose another output folder",
    errno.EEXIST: "a file has the name of the folder; choose another output folder",
    errno.ENAMETOOLONG: "give the input a shorter name",
    errno.EIO: "the disk or network share failed; choose another output folder",
}
"""What to do about each operating system error."""


def temporary(path: Path) -> Path:
    """Where the content of `path` is written first: beside it, so that renaming is atomic."""
    return path.with_name(PREFIX + path.name)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path to write to, which becomes `path` if the block ends without an exception.

    The folder is created if necessary.

    Raises:
        OutputError: The folder cannot be written or is full.
    """
    part = temporary(path)
    with reporting_os_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield part
            part.replace(path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise


def write(path: Path, content: str | bytes | memoryview) -> None:
    """Write a whole file, text as UTF-8; creates its folder if necessary.

    Raises:
        OutputError: The folder cannot be written or is full.
    """
    with replacing(path) as part:
        part.write_bytes(content.encode() if isinstance(content, str) else content)


def sweep(folder: Path, pattern: str = "*") -> None:
    """Remove the leftovers of killed runs for files whose final names match `pattern`."""
    with reporting_os_errors(folder):
        for leftover in folder.glob(PREFIX + pattern):
            leftover.unlink(missing_ok=True)


@contextmanager
def reporting_os_errors(path: Path) -> Iterator[None]:
    """Turn an operating system error into one that says which file, why, and what to do next."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or os.strerror(error.errno or errno.EIO)
        remedy = REASONS.get(error.errno or 0, "choose another output folder")
        raise OutputError(f"cannot write '{path}': {reason}; {remedy}") from error
