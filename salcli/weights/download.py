"""Downloads one URL into one file: resumes interrupted downloads, and rejects web pages."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import url2pathname

from salcli._version import __version__
from salcli.errors import WeightsError
from salcli.weights import drives
from salcli.weights.ranges import PartialDownload, body_length, retry_after, size, total_length

if TYPE_CHECKING:
    from requests import Response, Session

__all__ = ["ReportBytes", "fetch"]

ReportBytes = Callable[[int, int | None], None]
"""`report(done, total)` in bytes; `total` is `None` if unknown."""

CHUNK = 1 << 16
"""Bytes between two reports; a cut connection loses the chunk in progress."""
HEAD = 512
"""Bytes examined to recognise a web page."""
PAGE_CHUNKS = 16
PAGES = 2
"""Limit of confirmation pages followed in a row."""

TIMEOUT = (10.0, 30.0)
"""Timeouts in seconds, to connect and between two arrivals of bytes."""
RETRIES = 4
"""Retries in a row without a new byte before a download is given up."""
BACKOFF = 0.5
"""Seconds before the first retry; each further one waits twice as long."""
LONGEST_WAIT = 60.0
"""Cap in seconds on every wait, including one that the server asks for."""
TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})


def fetch(
    url: str, target: Path, report: ReportBytes, *, headers: Mapping[str, str] | None = None
) -> bool | None:
    """Download `url` (http, https, file; share links of Google Drive and Dropbox) into `target`.

    Resumes from bytes that an earlier call left in `target`, if the server allows it.

    Args:
        url: The address.
        target: The file.
        report: Called with the bytes that are in the file and their total, if that is known.
        headers: Further headers of the requests, such as `Authorization`.

    Returns:
        `True` when `target` holds all bytes, `None` for an unsupported scheme.

    Raises:
        WeightsError: The download failed or gave a web page, or `target` cannot be written.
    """
    scheme = urlsplit(url).scheme.lower()
    try:
        if scheme == "file":
            _copy(url, target, report)
        elif scheme in ("http", "https"):
            _download(drives.direct_link(url), target, report, headers or {})
        else:
            return None
    except OSError as error:
        raise WeightsError(f"cannot write '{target}': {error.strerror or error}") from error
    return True


def _copy(url: str, target: Path, report: ReportBytes) -> None:
    source = Path(url2pathname(urlsplit(url).path))
    if not source.is_file():
        raise WeightsError(f"there is no file '{source}'")
    total, done = source.stat().st_size, 0
    _check_space(total, target)
    with source.open("rb") as original, target.open("wb") as file:
        while block := original.read(CHUNK):
            file.write(block)
            file.flush()  # `report` may read the file
            done += len(block)
            report(done, total)


class _TransientError(Exception):
    """A failure worth a retry, after `wait` seconds or the usual back-off."""

    def __init__(self, reason: str, *, wait: float | None = None) -> None:
        super().__init__(reason)
        self.wait = wait


def _download(link: str, target: Path, report: ReportBytes, headers: Mapping[str, str]) -> None:
    import requests

    furthest, failures = size(target), 0
    with requests.Session() as session:
        own = {"Accept-Encoding": "identity", "User-Agent": f"salcli/{__version__}"}
        session.headers.update({**own, **headers})
        while True:
            try:
                return _attempt(session, link, target, report)
            except _TransientError as problem:
                reached = size(target)
                failures = 0 if reached > furthest else failures + 1
                furthest = max(furthest, reached)
                if failures > RETRIES:
                    raise WeightsError(f"{problem} ({failures} times)") from problem
                usual = BACKOFF * 2 ** max(failures - 1, 0)
                time.sleep(min(usual if problem.wait is None else problem.wait, LONGEST_WAIT))


def _attempt(session: Session, link: str, target: Path, report: ReportBytes) -> None:
    """`_transfer`, with the errors of requests sorted into transient and permanent ones."""
    import requests

    host = urlsplit(link).netloc
    try:
        _transfer(session, link, target, report)
    except requests.exceptions.SSLError as error:
        raise WeightsError(f"no secure connection to {host}: {error}") from error
    except requests.exceptions.ChunkedEncodingError as error:
        raise _TransientError(f"the connection to {host} was cut") from error
    except requests.Timeout as error:
        raise _TransientError(f"{host} did not answer in time") from error
    except requests.ConnectionError as error:
        if "timed out" in str(error):  # requests has no separate class for a timeout of the body
            raise _TransientError(f"{host} did not answer in time") from error
        cause = _root_cause(error)
        raise _TransientError(f"no connection to {host}{f' ({cause})' if cause else ''}") from error
    except requests.RequestException as error:
        raise WeightsError(f"the request to {host} failed: {error}") from error


def _transfer(session: Session, link: str, target: Path, report: ReportBytes) -> None:
    begun = PartialDownload.read(target, link)
    if begun.offset and begun.offset == begun.total:
        return report(begun.offset, begun.total)
    address = link
    for _ in range(PAGES + 1):
        with session.get(
            address, headers=begun.headers(), stream=True, timeout=TIMEOUT
        ) as response:
            _check_status(response, target, begun)
            _check_space(body_length(response), target)
            blocks = response.iter_content(CHUNK)
            head = _head(blocks)
            continued = response.status_code == 206
            if not drives.is_page(_content_type(response), b"" if continued else head):
                return _save(response, chain([head], blocks), target, begun, report)
            page = _text(head, blocks)
            confirmed = drives.confirmed_link(page, response.url)
        if confirmed is None:
            raise WeightsError(drives.explain(page))
        address = confirmed
    raise WeightsError("one confirmation page leads to the next; open the link in a browser")


def _save(
    response: Response,
    blocks: Iterator[bytes],
    target: Path,
    begun: PartialDownload,
    report: ReportBytes,
) -> None:
    continued = response.status_code == 206
    total = total_length(response) or (begun.total if continued else None)
    done = begun.offset if continued else 0
    with target.open("ab" if continued else "wb") as file:
        # on a restart the old bytes are gone by now, so the old note cannot belong to them
        note = begun.going_on() if continued else begun.of(response, total)
        note.write(target)
        for block in blocks:
            file.write(block)
            file.flush()  # `report` may read the file
            done += len(block)
            report(done, total)
    if total is not None and done != total:
        raise _TransientError(f"{done:,} of {total:,} bytes arrived")


def _check_status(response: Response, target: Path, begun: PartialDownload) -> None:
    """Raise unless the body is the whole file, or the rest of an interrupted download."""
    status = response.status_code
    if status == 200 or (status == 206 and begun.offset and begun.is_continued_by(response)):
        return
    if status in (206, 416):
        target.unlink(missing_ok=True)
        raise _TransientError("the server sent a different part than requested", wait=0)
    reason = f"the server answered {status} {response.reason}"
    if drives.is_page(_content_type(response), b""):
        blocks = response.iter_content(CHUNK)
        reason += f": {drives.explain(_text(b'', blocks))}"
    if status in TRANSIENT:
        raise _TransientError(reason, wait=retry_after(response))
    raise WeightsError(reason)


def _content_type(response: Response) -> str:
    return str(response.headers.get("Content-Type", ""))


def _head(blocks: Iterator[bytes]) -> bytes:
    """The first bytes, at least `HEAD` if there are that many; blocks may be tiny."""
    head = b""
    for block in blocks:
        head += block
        if len(head) >= HEAD:
            break
    return head


def _text(head: bytes, blocks: Iterator[bytes]) -> str:
    """The text of a page, up to `PAGE_CHUNKS` blocks."""
    rest = b"".join(block for _, block in zip(range(PAGE_CHUNKS), blocks, strict=False))
    return (head + rest).decode("utf-8", errors="replace")


def _check_space(coming: int | None, target: Path) -> None:
    free = shutil.disk_usage(target.parent).free
    if coming is not None and coming > free:
        raise WeightsError(
            f"the download needs {coming / 1e6:,.1f} MB, but '{target.parent}' has only "
            f"{free / 1e6:,.1f} MB free; make room, or set SALCLI_CACHE_DIR to a folder "
            "on a larger disk"
        )


def _root_cause(error: BaseException) -> str:
    """The operating system's own words, from the bottom of a chain of exceptions."""
    words, link = "", error.__cause__ or error.__context__
    while link is not None:
        if isinstance(link, OSError) and link.strerror:
            words = link.strerror
        link = link.__cause__ or link.__context__
    return words
