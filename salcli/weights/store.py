"""The store of published weights: where a file is, whether it is intact, how to obtain it.

Every file has one path, `<cache>/weights/<model>/<tag>/<file>`, and gets its name there only after
it is verified. A copy placed there by hand is verified on first use. Notices (trust on
first use, a damaged file) are warnings of the logger `salcli.weights.store`.
"""

from __future__ import annotations

import logging
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import quote, urlsplit

from salcli.errors import SalcliError, UsageError, WeightsError
from salcli.plugins import loader
from salcli.specs import ModelSpec, Weights
from salcli.weights.cache import (
    cache_path,
    cache_root,
    discard_parts,
    is_offline,
    label,
    locked,
    part_path,
)
from salcli.weights.download import ReportBytes
from salcli.weights.ranges import note_path, was_continued
from salcli.weights.verify import Digest, Receipt, expected_hash, fault

__all__ = [
    "Condition",
    "cache_path",
    "cache_root",
    "examine",
    "import_file",
    "label",
    "locate",
    "remove",
]

logger = logging.getLogger(__name__)

LARGEST = 2**36
"""Limit in bytes for a download of unknown length: 64 GiB."""


class _TooLongError(Exception):
    """The download exceeds its size limit."""


@dataclass(frozen=True)
class Condition:
    """The state of one weights file on this machine.

    Attributes:
        state: `bundled` files are inside their plugin, `cached` ones in the cache, both verified.
        path: Where the file is, or would be.
        fault: What is wrong with a damaged file.
    """

    state: Literal["bundled", "cached", "not downloaded", "damaged"]
    path: Path
    fault: str = ""


def examine(spec: ModelSpec, row: Weights, *, thorough: bool = False) -> Condition:
    """Check what is on the disk; never downloads.

    Args:
        spec: The model.
        row: The weights.
        thorough: Hash a file even if it looks unchanged since it was last verified.
    """
    path = cache_path(spec, row)
    if not path.is_file():
        if row.resource is not None:
            return Condition("damaged", path, "is missing")
        return Condition("not downloaded", path)
    try:
        wrong = _fault_on_disk(spec, row, path, thorough=thorough)
    except OSError as error:
        wrong = f"cannot be read: {error.strerror}"
    if wrong:
        return Condition("damaged", path, wrong)
    return Condition("cached" if row.resource is None else "bundled", path)


def locate(
    spec: ModelSpec,
    row: Weights,
    *,
    offline: bool = False,
    thorough: bool = False,
    report: ReportBytes | None = None,
) -> Path:
    """The verified file, downloaded first if necessary.

    Args:
        spec: The model.
        row: The weights.
        offline: Do not use the network; `SALCLI_OFFLINE=1` does the same.
        thorough: Hash the file even if it looks unchanged since it was last verified.
        report: Called during a download with the bytes received and the total, if known.

    Raises:
        WeightsError: The file can neither be found nor downloaded, or is not the published one.
    """
    found = examine(spec, row, thorough=thorough)
    if found.state in ("bundled", "cached"):
        return found.path
    if row.resource is not None:
        raise WeightsError(
            f"weights '{label(spec, row)}': '{found.path}' {found.fault}; reinstall its plugin"
        )
    urls = _urls(spec, row, found.path)
    if is_offline(offline):
        urls = [url for url in urls if urlsplit(url).scheme == "file"]
        if not urls:
            raise _unavailable(spec, row, found, ["downloading is switched off (offline)"])
    if found.state == "damaged":
        logger.warning("'%s' %s; downloading it again", found.path, found.fault)
    with locked(found.path):
        if (
            examine(spec, row, thorough=thorough).state != "cached"
        ):  # otherwise another process was faster
            _download(spec, row, found, urls, report)
    return found.path


def import_file(spec: ModelSpec, row: Weights, source: Path) -> Path:
    """Verify a manually downloaded file, and copy it to its path in the cache.

    Raises:
        UsageError: These weights ship with their plugin.
        WeightsError: The file is missing, is not the published one, or cannot be copied.
    """
    path = cache_path(spec, row)
    if row.resource is not None:
        raise UsageError(f"weights '{label(spec, row)}' ship with their plugin; nothing to import")
    if not source.is_file():
        raise WeightsError(f"there is no file '{source}' to import")
    with locked(path):
        copy = part_path(path, "import")
        try:
            shutil.copyfile(source, copy)
            wrong = _accept(spec, row, copy, path, Digest(_kind(path, row)))
        except OSError as error:
            raise WeightsError(f"cannot copy '{source}' to '{path}': {error.strerror}") from error
        finally:
            copy.unlink(missing_ok=True)
    if wrong:
        raise WeightsError(
            f"'{source}' is not the published file of '{label(spec, row)}': it {wrong}; "
            "nothing was imported"
        )
    return path


def remove(spec: ModelSpec, row: Weights) -> bool:
    """Delete the cached file, its receipt and partial downloads; returns whether one existed.

    Raises:
        UsageError: These weights ship with their plugin.
        WeightsError: The file cannot be deleted.
    """
    path = cache_path(spec, row)
    if row.resource is not None:
        raise UsageError(f"weights '{label(spec, row)}' ship with their plugin; uninstall that")
    if not path.parent.is_dir():
        return False
    with locked(path):
        was_there = path.is_file()
        try:
            path.unlink(missing_ok=True)
            Receipt.path(path).unlink(missing_ok=True)
            discard_parts(path)
        except OSError as error:
            raise WeightsError(f"cannot remove '{path}': {error.strerror}") from error
    return was_there


def _kind(path: Path, row: Weights) -> str:
    """The kind of hash that verifies the file at `path`."""
    return (expected_hash(path, row) or "sha256").partition(":")[0]


def _fault_on_disk(spec: ModelSpec, row: Weights, path: Path, *, thorough: bool) -> str:
    """What is wrong with the file on disk; writes a receipt if nothing is."""
    expected = expected_hash(path, row)
    receipt = Receipt.read(path)
    if row.resource is not None and not thorough:
        return ""  # the installer has verified the wheel
    if receipt and receipt.fits(path) and receipt.hash == expected and not thorough:
        return ""
    digest = Digest(_kind(path, row))
    wrong = fault(path, row, expected=expected, digest=digest)
    if not wrong and row.resource is None:
        _record(spec, row, path, digest.finish(path), first_use=expected is None)
    return wrong


def _accept(spec: ModelSpec, row: Weights, part: Path, path: Path, digest: Digest) -> str:
    """Rename a temporary file if it is intact; otherwise return what is wrong with it."""
    expected = expected_hash(path, row)
    wrong = fault(part, row, expected=expected, digest=digest)
    if not wrong:
        part.replace(path)
        _record(spec, row, path, digest.finish(path), first_use=expected is None)
    return wrong


def _record(spec: ModelSpec, row: Weights, path: Path, digest: str, *, first_use: bool) -> None:
    Receipt.write(path, digest)
    if first_use:
        logger.warning(
            "no published hash for weights '%s'; the file '%s' has %s, which is recorded and "
            "trusted from now on",
            label(spec, row),
            path,
            digest,
        )


def _urls(spec: ModelSpec, row: Weights, path: Path) -> list[str]:
    """Where to download, in order: the mirror if there is one, then the published URLs."""
    mirror = os.environ.get("SALCLI_WEIGHTS_MIRROR", "").rstrip("/")
    mirrored = "/".join(quote(part) for part in (spec.name, row.tag, path.name))
    return [*([f"{mirror}/{mirrored}"] if mirror else []), *row.urls]


def _download(
    spec: ModelSpec, row: Weights, found: Condition, urls: list[str], report: ReportBytes | None
) -> None:
    """Try the URLs in order until one yields the published file."""
    reasons = []
    for url in urls:
        try:
            wrong = _fetch(spec, row, found.path, url=url, report=report)
        except WeightsError as error:
            wrong = str(error)
        if not wrong:
            return discard_parts(found.path)
        reasons.append(f"{url}: {wrong}")
    raise _unavailable(spec, row, found, reasons or ["it has no download address"])


def _fetch(
    spec: ModelSpec, row: Weights, path: Path, *, url: str, report: ReportBytes | None
) -> str:
    """Download one URL, verify and rename the file; otherwise return what is wrong with it.

    A resumed download may mix two versions of the file. If it is wrong, it is fetched once more.
    """
    part = part_path(path, url)
    wrong = ""
    for _ in range(2):
        began, digest = part.exists(), Digest(_kind(path, row))
        try:
            _request(row, url, part, digest=digest, report=report)
            wrong = _accept(spec, row, part, path, digest)
        except _TooLongError as error:
            wrong = str(error)
        if not wrong:
            return ""
        mixed = began or was_continued(part)
        part.unlink(missing_ok=True)
        note_path(part).unlink(missing_ok=True)
        if not mixed:
            break
    return f"the downloaded file {wrong}"


def _request(
    row: Weights, url: str, part: Path, *, digest: Digest, report: ReportBytes | None
) -> None:
    """Let the plugins download into `part`, hash what arrives, and enforce the size limit."""
    most = LARGEST if row.size is None else row.size

    def arrived(done: int, total: int | None) -> None:
        if done > most:
            raise _TooLongError(f"exceeds the limit of {most:,} bytes")
        digest.follow(part, done, total)
        if report:
            report(done, total)

    try:
        hook = loader.load().hook.fetch_weights
        if not hook(weights=row, url=url, target=part, report=arrived):
            raise WeightsError(f"no plugin can download '{urlsplit(url).scheme}:' addresses")
    except (SalcliError, _TooLongError):
        raise
    except Exception as error:  # a plugin may raise anything
        raise WeightsError(f"{type(error).__name__}: {error}") from error


def _unavailable(
    spec: ModelSpec, row: Weights, found: Condition, reasons: list[str]
) -> WeightsError:
    """The error that says why, and where to put a copy downloaded by hand."""
    if found.fault:
        reasons = [f"{found.path}: {found.fault}", *reasons]
    listed = "".join(f"\n  {reason}" for reason in reasons)
    name = label(spec, row)
    remedy = (
        f"Put a copy that you downloaded yourself into the folder '{found.path.parent}' under the "
        f"name '{found.path.name}', or import it as {name} with 'salcli weights import'"
    )
    pinned = row.hash is None and Receipt.read(found.path) is not None
    if pinned:
        remedy += (
            f"\nIf the publisher has replaced the file, remove the old one: "
            f"salcli weights remove {name}"
        )
    return WeightsError(f"could not obtain weights '{name}'{listed}\n{remedy}")
