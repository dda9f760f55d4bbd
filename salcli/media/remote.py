"""Inputs that are no files yet: addresses, which are downloaded first, and standard input."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from salcli.errors import InputError, WeightsError
from salcli.weights import cache, download
from salcli.weights.download import ReportBytes

__all__ = ["MOST_BYTES", "is_url", "make_local"]

MOST_BYTES = 20 * 10**9
"""Limit of the size of a download."""

LONGEST_NAME = 100


def is_url(text: str) -> bool:
    """Whether a text is an address of HTTP or HTTPS."""
    return urlsplit(text).scheme.lower() in ("http", "https")


def make_local(
    inputs: Sequence[str],
    folder: Path,
    *,
    offline: bool,
    failed: Callable[[str], None],
    report: ReportBytes,
) -> list[str]:
    """Replace addresses by their downloaded files, and `-` by a file with standard input.

    A download is kept in the cache, below `inputs/`, and made only once.

    Args:
        inputs: Files, folders, globs, addresses, `-`.
        folder: Where standard input is written.
        offline: Whether the network is forbidden; `SALCLI_OFFLINE=1` does the same.
        failed: Called with the error of an input that cannot be had; it is left out.
        report: Called with the bytes that have arrived, and how many there will be.
    """
    found = []
    for text in inputs:
        try:
            if text == "-":
                found.append(str(_piped(folder)))
            elif is_url(text):
                found.append(str(_downloaded(text, offline=offline, report=report)))
            else:
                found.append(text)
        except InputError as error:
            failed(str(error))
    return found


def _piped(folder: Path) -> Path:
    file = folder / "stdin"
    file.write_bytes(sys.stdin.buffer.read())
    return file


def _downloaded(url: str, *, offline: bool, report: ReportBytes) -> Path:
    name = unquote(PurePosixPath(urlsplit(url).path).name).replace("/", "_").replace("\0", "_")
    name = name[-LONGEST_NAME:].lstrip(".") or "download"
    file = cache.cache_root() / "inputs" / sha256(url.encode()).hexdigest()[:16] / name
    if file.is_file():
        return file
    if cache.is_offline(offline):
        raise InputError(f"'{url}' is not downloaded, and the network is switched off")

    def bounded(done: int, total: int | None) -> None:
        if max(done, total or 0) > MOST_BYTES:
            raise InputError(f"'{url}' has more than {MOST_BYTES / 1e9:.0f} GB; download it first")
        report(done, total)

    try:
        with cache.locked(file):
            part = cache.part_path(file, url)
            if not file.is_file():
                download.fetch(url, part, bounded)
                part.replace(file)
                cache.discard_parts(file)
    except WeightsError as error:
        raise InputError(f"'{url}' cannot be downloaded: {error}") from error
    return file
