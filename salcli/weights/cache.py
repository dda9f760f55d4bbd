"""Where weights files are: at a fixed path in the cache, or inside the plugin that ships them."""

from __future__ import annotations

import glob
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from importlib import resources
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from platformdirs import user_cache_path

from salcli.errors import PluginError, WeightsError
from salcli.specs import ModelSpec, Weights

__all__ = [
    "cache_path",
    "cache_root",
    "discard_parts",
    "is_offline",
    "label",
    "locked",
    "part_path",
]

FORBIDDEN = set('/\\:*?"<>|')
"""Characters that some file systems do not allow in a name."""

logger = logging.getLogger(__name__)


def label(spec: ModelSpec, row: Weights) -> str:
    """`NAME:TAG`, as the user types it."""
    return f"{spec.name}:{row.tag}"


def cache_root() -> Path:
    """The folder of everything that can be downloaded again; `SALCLI_CACHE_DIR` moves it."""
    chosen = os.environ.get("SALCLI_CACHE_DIR")
    return Path(chosen).expanduser().absolute() if chosen else user_cache_path("salcli")


def is_offline(wanted: bool) -> bool:
    """Whether the network is forbidden: if that is wanted, or by `SALCLI_OFFLINE=1`."""
    return wanted or os.environ.get("SALCLI_OFFLINE", "").lower() in ("1", "true", "yes", "on")


def cache_path(spec: ModelSpec, row: Weights) -> Path:
    """Where the file is once obtained; a bundled one is inside its plugin's package.

    Raises:
        PluginError: The row has no usable file name, or the package cannot be found.
    """
    if row.resource is not None:
        return _bundled_path(spec, row.resource)
    parts = (spec.name, row.tag, row.filename or _name_in_url(row))
    for part in parts:
        if part in ("", ".", "..") or FORBIDDEN & set(part):
            raise PluginError(
                f"weights '{label(spec, row)}': '{part}' cannot be the name of a file or folder"
            )
    return cache_root().joinpath("weights", *parts)


def part_path(path: Path, source: str) -> Path:
    """Where the bytes of one source collect until they are verified and renamed to `path`.

    Each source has its own, so that bytes of two servers are never mixed; it is the same in every
    process, so that an interrupted download can be resumed.
    """
    return path.with_name(f".{path.name}.{sha256(source.encode()).hexdigest()[:8]}.part")


def discard_parts(path: Path) -> None:
    """Remove every interrupted download of `path`, with its note."""
    for part in path.parent.glob(f".{glob.escape(path.name)}.*.part*"):
        part.unlink(missing_ok=True)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of one cached file across processes; creates its folder if necessary.

    Raises:
        WeightsError: The folder cannot be written.
    """
    from filelock import FileLock, Timeout

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path.with_name(f".{path.name}.lock"))
        try:
            lock.acquire(timeout=0)
        except Timeout:
            logger.warning("another process is working on '%s'; waiting for it", path)
            lock.acquire()
    except OSError as error:
        raise WeightsError(
            f"cannot write into the weights cache '{path.parent}': {error.strerror or error}; "
            "set SALCLI_CACHE_DIR to a folder that can be written"
        ) from error
    try:
        yield
    finally:
        lock.release()


def _name_in_url(row: Weights) -> str:
    return unquote(PurePosixPath(urlsplit(row.urls[0]).path).name) if row.urls else ""


def _bundled_path(spec: ModelSpec, resource: str) -> Path:
    """The file inside the package of the factory's module, without importing that module."""
    module = spec.factory.partition(":")[0]
    package = module.rpartition(".")[0] or module
    try:
        found = resources.files(package).joinpath(resource)
    except (ImportError, TypeError) as error:  # TypeError: a module, which holds no files
        raise PluginError(
            f"model '{spec.name}': '{resource}' cannot be found: '{package}' is not an "
            "importable package"
        ) from error
    if not isinstance(found, Path):
        raise PluginError(f"package '{package}' must be installed unpacked, not as a zip file")
    return found
