from __future__ import annotations

import gzip
import socket
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from salcli.errors import WeightsError
from salcli.weights import download
from salcli.weights.download import fetch

if TYPE_CHECKING:
    from tests.store.conftest import Server

CUT = 2 * download.CHUNK


def quiet(done: int, total: int | None) -> None:
    """Report nothing."""


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "net.pth.part"


def test_a_plain_download_reports_its_progress(
    server: Server, content: bytes, target: Path
) -> None:
    seen: list[tuple[int, int | None]] = []

    def report(done: int, total: int | None) -> None:
        assert target.stat().st_size == done  # what is reported is in the file
        seen.append((done, total))

    assert fetch(server.serve("/f", server.answer(content)), target, report) is True
    assert target.read_bytes() == content
    assert seen[-1] == (len(content), len(content))
    assert sorted(seen) == seen


def test_other_schemes_are_left_to_plugins(target: Path) -> None:
    assert fetch("s3://bucket/file", target, quiet) is None
    assert not target.exists()


def test_file_urls_are_copied(tmp_path: Path, content: bytes, target: Path) -> None:
    source = tmp_path / "a name.pth"
    source.write_bytes(content)
    assert fetch(source.as_uri(), target, quiet) is True
    assert target.read_bytes() == content
    with pytest.raises(WeightsError, match="there is no file"):
        fetch((tmp_path / "missing").as_uri(), target, quiet)


def test_a_cut_connection_is_continued(server: Server, content: bytes, target: Path) -> None:
    url = server.serve("/f", server.answer(content, cut=CUT), server.answer(content))
    fetch(url, target, quiet)
    assert target.read_bytes() == content
    assert server.ranges() == [None, f"bytes={CUT}-"]
    assert server.requests[1].headers["If-Range"] == '"v1"'


def test_many_cuts_are_survived_while_bytes_arrive(
    server: Server, content: bytes, target: Path
) -> None:
    url = server.serve("/f", server.answer(content, cut=download.CHUNK))
    fetch(url, target, quiet)
    assert target.read_bytes() == content
    assert len(server.requests) == len(content) / download.CHUNK


def test_a_later_call_continues(server: Server, content: bytes, target: Path) -> None:
    url = server.serve("/f", server.answer(content, cut=CUT), server.answer(status=404))
    with pytest.raises(WeightsError, match="404"):
        fetch(url, target, quiet)
    assert target.stat().st_size == CUT
    server.serve("/f", server.answer(content))
    fetch(url, target, quiet)
    assert target.read_bytes() == content
    assert server.ranges()[-1] == f"bytes={CUT}-"


def test_a_finished_part_is_not_fetched_again(server: Server, content: bytes, target: Path) -> None:
    url = server.serve("/f", server.answer(content))
    fetch(url, target, quiet)
    fetch(url, target, quiet)
    assert len(server.requests) == 1


def test_a_part_of_another_address_is_not_continued(
    server: Server, content: bytes, target: Path
) -> None:
    url = server.serve("/f", server.answer(content, cut=CUT), server.answer(status=404))
    with pytest.raises(WeightsError):
        fetch(url, target, quiet)
    fetch(server.serve("/g", server.answer(content[::-1])), target, quiet)
    assert target.read_bytes() == content[::-1]
    assert server.ranges()[-1] is None


@pytest.mark.parametrize(
    "second",
    [
        {"ranges": False},
        {"etag": '"v2"'},
        {"etag": '"v2"', "if_range": False},
        {"shift": 10},
        {"etag": ""},
    ],
    ids=[
        "ignores Range",
        "new version",
        "new version, ignores If-Range",
        "wrong offset",
        "no ETag",
    ],
)
def test_what_does_not_continue_the_beginning_replaces_it(
    server: Server, content: bytes, target: Path, second: dict[str, Any]
) -> None:
    first = server.answer(content[::-1], cut=CUT)
    url = server.serve("/f", first, server.answer(content, **second))
    fetch(url, target, quiet)
    assert target.read_bytes() == content


def test_a_part_longer_than_the_file_is_dropped(
    server: Server, content: bytes, target: Path
) -> None:
    url = server.serve(
        "/f", server.answer(content, cut=CUT), server.answer(content[:50], if_range=False)
    )
    fetch(url, target, quiet)  # the second request is answered with 416
    assert target.read_bytes() == content[:50]
    assert server.ranges() == [None, f"bytes={CUT}-", None]


@pytest.mark.parametrize("etag", ["", 'W/"weak"'])
def test_without_a_validator_nothing_is_continued(
    server: Server, content: bytes, target: Path, etag: str
) -> None:
    url = server.serve(
        "/f", server.answer(content, cut=CUT, etag=etag), server.answer(content, etag=etag)
    )
    fetch(url, target, quiet)
    assert target.read_bytes() == content
    assert server.ranges() == [None, None]


def test_last_modified_serves_as_validator(server: Server, content: bytes, target: Path) -> None:
    date = "Sat, 21 Nov 2026 10:00:00 GMT"
    whole = server.answer(content, etag="", headers={"Last-Modified": date}, if_range=False)
    url = server.serve("/f", replace(whole, cut=CUT), whole)
    fetch(url, target, quiet)
    assert target.read_bytes() == content
    assert server.requests[1].headers["If-Range"] == date


def test_no_content_length(server: Server, content: bytes, target: Path) -> None:
    totals: set[int | None] = set()
    url = server.serve("/f", server.answer(content, length=False))
    fetch(url, target, lambda done, total: totals.add(total))
    assert target.read_bytes() == content
    assert totals == {None}


def test_content_encoding_is_undone(server: Server, content: bytes, target: Path) -> None:
    packed = server.answer(gzip.compress(content), headers={"Content-Encoding": "gzip"})
    fetch(server.serve("/f", packed), target, quiet)
    assert target.read_bytes() == content


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_passing_troubles_are_waited_out(
    server: Server, content: bytes, target: Path, status: int
) -> None:
    trouble = server.answer(status=status)
    fetch(server.serve("/f", trouble, trouble, server.answer(content)), target, quiet)
    assert target.read_bytes() == content


def test_lasting_trouble_is_given_up(server: Server, target: Path) -> None:
    url = server.serve("/f", server.answer(status=503))
    with pytest.raises(WeightsError, match=r"503 Service Unavailable \(5 times\)"):
        fetch(url, target, quiet)
    assert len(server.requests) == 1 + download.RETRIES


@pytest.mark.parametrize(
    ("header", "wait"),
    [
        ("0.2", None),
        ("7", 7.0),
        ("100000", 60.0),
        (format_datetime(datetime.now(UTC) + timedelta(days=1), usegmt=True), 60.0),
        ("Sat, 01 Jan 2000 00:00:00 GMT", 0.0),
    ],
    # Processes that share the tests must name them alike, whatever the time.
    ids=["short", "seconds", "too long", "tomorrow", "long ago"],
)
def test_retry_after_is_honoured_up_to_a_cap(
    server: Server,
    content: bytes,
    target: Path,
    monkeypatch: pytest.MonkeyPatch,
    header: str,
    wait: float | None,
) -> None:
    waits: list[float] = []
    monkeypatch.setattr("time.sleep", waits.append)  # the clock, not our code
    busy = server.answer(status=429, headers={"Retry-After": header})
    fetch(server.serve("/f", busy, server.answer(content)), target, quiet)
    assert waits == [download.BACKOFF if wait is None else wait]


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_refusals_are_final(server: Server, target: Path, status: int) -> None:
    with pytest.raises(WeightsError, match=f"the server answered {status}"):
        fetch(server.serve("/f", server.answer(status=status)), target, quiet)
    assert len(server.requests) == 1


def test_a_silent_server_is_given_up(
    server: Server, content: bytes, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "TIMEOUT", (1.0, 0.1))
    monkeypatch.setattr(download, "RETRIES", 1)
    url = server.serve("/f", server.answer(content, pause=0.5))
    with pytest.raises(WeightsError, match="did not answer in time"):
        fetch(url, target, quiet)


def test_nobody_listening(target: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/f"
    with pytest.raises(
        WeightsError, match=r"no connection to 127.0.0.1:\d+ \(Connection refused\)"
    ):
        fetch(url, target, quiet)


def test_a_nonsense_address(target: Path) -> None:
    with pytest.raises(WeightsError, match=r"the request to .* failed"):
        fetch("http://", target, quiet)


def test_a_confirmation_page_is_followed(server: Server, content: bytes, target: Path) -> None:
    page = (
        b"<!DOCTYPE html><title>Google Drive - Virus scan warning</title>"
        b'<form id="download-form" action="/download" method="get">'
        b'<input type="hidden" name="id" value="abc"><input type="hidden" name="confirm" value="t">'
        b'<input type="hidden" name="uuid" value="1-2"></form>'
    )
    url = server.serve("/uc", server.answer(page, kind="text/html; charset=utf-8", ranges=False))
    server.serve("/download", server.answer(content, cut=CUT), server.answer(content))
    fetch(url, target, quiet)
    assert target.read_bytes() == content
    assert [request.query for request in server.requests if request.path == "/download"] == [
        "id=abc&confirm=t&uuid=1-2"
    ] * 2
    assert server.ranges()[-1] == f"bytes={CUT}-"


def test_confirmation_pages_in_a_circle(server: Server, target: Path) -> None:
    page = b'<html><form id="download-form"><input type="hidden" name="confirm" value="t"></form>'
    with pytest.raises(WeightsError, match="confirmation page"):
        fetch(server.serve("/uc", server.answer(page)), target, quiet)


@pytest.mark.parametrize("status", [200, 403])
def test_the_quota_page_is_explained(server: Server, target: Path, status: int) -> None:
    page = b"<html><title>Google Drive - Quota exceeded</title>"
    url = server.serve("/uc", server.answer(page, status=status, kind="text/html"))
    with pytest.raises(WeightsError, match="quota for this file is exceeded"):
        fetch(url, target, quiet)
    assert not target.exists()


@pytest.mark.parametrize("kind", ["text/html", "application/octet-stream"])
@pytest.mark.parametrize("length", [True, False])
def test_a_web_page_is_refused(server: Server, target: Path, kind: str, length: bool) -> None:
    page = server.answer(b"\n<html><title>Moved</title>", kind=kind, length=length)
    with pytest.raises(
        WeightsError, match="the site served a web page instead of the file: 'Moved'"
    ):
        fetch(server.serve("/f", page), target, quiet)
    assert not target.exists()


def test_the_free_space_is_checked_first(server: Server, target: Path) -> None:
    huge = server.answer(b"x", length=False, headers={"Content-Length": str(10**17)})
    with pytest.raises(WeightsError, match="free; make room"):
        fetch(server.serve("/f", huge), target, quiet)
    assert not target.exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk(server: Server, content: bytes, target: Path) -> None:
    target.symlink_to("/dev/full")
    with pytest.raises(WeightsError, match=r"cannot write '.*net\.pth\.part': No space left"):
        fetch(server.serve("/f", server.answer(content)), target, quiet)
