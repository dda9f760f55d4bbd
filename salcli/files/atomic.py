"""Writes files atomically: a file has its final name only with its whole content."""

from __future__ import annotations

import errno
import functools
import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir

from salcli.errors import OutputError
from salcli.processes import Process

__all__ = [
    "ESCAPED",
    "REASONS",
    "replacing",
    "reporting_os_errors",
    "sweep",
    "sweep_once",
    "temporary",
    "temporary_folder",
    "write",
]

PREFIX = "salcli-"

LEFTOVER = re.compile(r"\.?salcli-([0-9a-f]{8})-(\d{1,18})(?:\.(\d{1,18}))?-")
"""Start of a temporary name: which machine, which process, and when that started."""

LONGEST_NAME = 150
"""Longer names are shortened, or a temporary one would not fit into a folder."""

ESCAPED = "backslashreplace"
"""How text files are encoded: names of files need not be Unicode."""

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


def _prefix() -> str:
    """Start of the temporary names of this process, by which `sweep` knows them."""
    process = Process.current()
    number = f"{process.pid}.{process.start}" if process.start else str(process.pid)
    return f"{PREFIX}{process.tag}-{number}-"


def temporary(path: Path) -> Path:
    """Where this process first writes the content of `path`: beside it, so renaming is atomic."""
    name = path.name
    if len(os.fsencode(name)) > LONGEST_NAME:
        name = hashlib.sha256(os.fsencode(name)).hexdigest()[:16] + path.suffix[-16:]
    return path.with_name(f".{_prefix()}{name}")


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
        sweep_once(path.parent)
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
        part.write_bytes(content.encode(errors=ESCAPED) if isinstance(content, str) else content)


def sweep(folder: Path) -> None:
    """Remove the temporary files and folders of processes that have provably ended.

    Raises:
        OutputError: One cannot be removed.
    """
    here = Process.current()
    with reporting_os_errors(folder):
        for path in folder.iterdir() if folder.is_dir() else ():
            found = LEFTOVER.match(path.name)
            if not found or found[1] != here.tag:
                continue
            if not replace(here, pid=int(found[2]), start=found[3] or "").has_ended():
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


@functools.lru_cache(maxsize=256)
def sweep_once(folder: Path) -> None:
    """Sweep a folder when this process first writes to it, not for each of its files."""
    with suppress(OutputError):
        sweep(folder)


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder in the system's folder for temporary files, removed at the end of the block.

    Those of processes that have ended are removed, too.

    Raises:
        OSError: It cannot be made.
    """
    sweep_once(Path(gettempdir()))
    with TemporaryDirectory(prefix=_prefix(), ignore_cleanup_errors=True) as name:
        yield Path(name)


@contextmanager
def reporting_os_errors(path: Path) -> Iterator[None]:
    """Turn an operating system error into one that says which file, why, and what to do next."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or os.strerror(error.errno or errno.EIO)
        remedy = REASONS.get(error.errno or 0, "choose another output folder")
        raise OutputError(f"cannot write '{path}': {reason}; {remedy}") from error
