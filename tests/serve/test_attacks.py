"""What strangers, broken clients and hostile files get of `salcli serve`: refused, logged."""

import asyncio
import logging
import socket
import struct
import time
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from salcli.serve.limits import Refusal, ServerLimits
from salcli.serve.queue import Lane

TOKEN = "a token for the tests"


def raw(served: Any, request: bytes, *, seconds: float = 10) -> bytes:
    """All that the server answers to these bytes, until it hangs up."""
    place = urlsplit(served.url)
    with socket.create_connection((place.hostname, place.port or 0), timeout=seconds) as client:
        client.sendall(request)
        answer = b""
        with suppress(ConnectionResetError):  # it hung up on what we were still sending
            while piece := client.recv(65536):
                answer += piece
    return answer


def bomb(side: int) -> bytes:
    """A PNG of a few kilobytes that unpacks to side x side."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        body = kind + content
        return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))

    head = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes((side // 8 + 2) * side), 9) if side < 9000 else b"nothing"
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


HLS = b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"GIF89a/*<script>alert(1)</script>*/", 415),
        (SVG, 415),
        (HLS, 415),
        (b"%PDF-1.7\n", 415),
        (b"ffconcat version 1.0\nfile /etc/passwd\n", 415),
        (bomb(8000), 413),
        (bomb(60000), 415),  # Pillow itself refuses it
        (b"", 400),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", 415),
        (bytes(ServerLimits().picture_bytes + 1), 413),
    ],
    ids=["gif+js", "svg", "hls", "pdf", "concat", "bomb", "huge", "empty", "cut", "large"],
)
def test_hostile_pictures_are_refused(served: Any, content: bytes, status: int) -> None:
    answer = served.post("/predict", content)
    assert answer.status_code == status, answer.text
    assert "/tmp" not in answer.text
    assert str(served.spool) not in answer.text
    assert list(served.spool.glob("*/result")) == []


@pytest.mark.parametrize(
    "content",
    [HLS, SVG, b"ffconcat version 1.0\nfile /etc/passwd\n", b"\xff\xd8\xff\xe0" + bytes(99)],
)
def test_what_is_no_clip_never_reaches_ffmpeg(served: Any, content: bytes) -> None:
    answer = served.post("/jobs", content)
    assert (answer.status_code, "no clip" in answer.json()["error"]) == (415, True)


def test_broken_clips_fail_and_tell_no_paths(served: Any, picture: bytes) -> None:
    for content in (b"\0\0\0\x18ftypmp42" + bytes(4000), b"\x1a\x45\xdf\xa3" + HLS, picture):
        job = served.finished(content)
        assert job["status"] == "failed"
        assert str(served.spool) not in job["error"]
    assert served.post("/predict", picture).status_code == 200


def test_a_polyglot_is_taken_as_what_it_is_and_never_given_back(
    served: Any, picture: bytes
) -> None:
    answer = served.post(
        "/predict", picture + b"<script>alert(1)</script>", params={"format": "fog"}
    )
    assert answer.status_code == 200
    assert b"script" not in answer.content
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_names_of_clients_are_not_used(served: Any, picture: bytes, tmp_path: Path) -> None:
    for name in ("../../../../tmp/evil.png", "/etc/evil", "..\\evil", "a\0b", "<script>.png"):
        files = {"file": (name, picture)}
        answer = requests.post(served.url + "/predict", files=files, timeout=60)
        assert answer.status_code == 200
        assert "evil" not in answer.text
        assert "script" not in answer.text
    assert not Path("/tmp/evil.png").exists()


@pytest.mark.parametrize(
    "body",
    [
        b"--x\r\n\r\n--x--\r\n",
        b"no form at all",
        b"--x\r\nContent-Disposition: form-data; name=file\r\n\r\nno file\r\n--x--\r\n",
        b"--x\r\nContent-Disposition: form-data; name=file; filename=a\r\n\r\n",
        b"--x\r\n" + b"A: b\r\n" * 5000,
    ],
)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # of Starlette
def test_broken_forms_are_refused(served: Any, body: bytes) -> None:
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    answer = served.post("/predict", body, headers=headers)
    assert (answer.status_code, list(answer.json())) == (400, ["error"]), answer.text


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}, 403),
        ({"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors"}, 403),
        ({"Host": "evil.example"}, 421),  # whose name leads here
        ({"Host": "127.0.0.1.evil.example"}, 421),
        ({"Host": "[::1"}, 421),
    ],
)
def test_other_sites_are_refused(
    served: Any,
    picture: bytes,
    headers: dict[str, str],
    status: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING, "salcli.serve"):
        for answer in (
            served.post("/predict", picture, headers=headers),
            served.get("/models", headers=headers),
        ):
            assert answer.status_code == status
            assert not [
                name for name in answer.headers if name.lower().startswith("access-control")
            ]
    assert caplog.text.count("refused POST") == caplog.text.count("refused GET") == 1


def test_every_answer_has_the_strict_headers(served: Any) -> None:
    for path in ("/", "/static/app.js", "/models", "/nothing", "/files/", "/jobs/none"):
        answer = served.get(path)
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "unsafe" not in answer.headers["content-security-policy"]
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert "server" not in answer.headers


@pytest.mark.parametrize(
    "path",
    [
        *("/static/../app.py", "/static/%2e%2e/app.py", "/static/..%2fapp.py"),
        *("/files/../secret", "/files/%2e%2e/secret", "/files/..%2f..%2fetc/passwd"),
        *("/files//etc/passwd", "/files/link", "/files/.hidden", "/files/a%00b"),
        *("/jobs/..%2f..%2fetc", "/jobs/%2e%2e/result"),
    ],
)
def test_paths_lead_nowhere_else(served: Any, path: str) -> None:
    folder = served.folder
    (folder.parent / "secret").write_text("secret")
    (folder / ".hidden").write_text("secret")
    link = folder / "link"
    if not link.is_symlink():
        link.symlink_to("/etc/passwd")
    answer = raw(
        served, f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode()
    )
    assert answer.startswith(b"HTTP/1.1 404"), answer
    assert b"secret" not in answer
    assert b"root:" not in answer


def test_names_and_pages_of_a_folder_run_nothing_of_ours(served: Any) -> None:
    folder = served.folder
    name = "<img src=x onerror=alert(1)>.html"
    (folder / name).write_text("<script>fetch('/models')</script>")
    (folder / "javascript:alert(1)").write_text("x")
    page = served.get("/files/").text
    assert "<img src=x" not in page
    assert "&lt;img" in page
    assert 'href="./javascript%3Aalert%281%29"' in page
    answer = served.get("/files/" + requests.utils.quote(name))
    assert answer.text.startswith("<script>")
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("sandbox allow-scripts; default-src 'none'")
    assert "allow-same-origin" not in policy
    assert "connect-src" not in policy


def test_the_token_is_needed_for_everything(
    fakes_of_package: None,
    serving: Any,
    limits: ServerLimits,
    picture: bytes,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with serving(tmp_path, limits, token=TOKEN) as guarded:
        for path in ("/", "/static/app.js", "/models", "/health"):
            assert guarded.get(path).status_code == 401
        wrong = {"Authorization": f"Bearer {TOKEN}x"}
        assert guarded.post("/predict", picture, headers=wrong).status_code == 401
        assert (
            guarded.get("/models", headers={"Authorization": "Bearer ä".encode()}).status_code
            == 401
        )
        right = {"Authorization": f"Bearer {TOKEN}"}
        assert guarded.get("/models", headers=right).status_code == 200
        with requests.Session() as session:
            session.get(f"{guarded.url}/login", params={"token": "wrong"}, timeout=9)
            assert session.get(guarded.url, timeout=9).status_code == 401
            first = session.get(f"{guarded.url}/login", params={"token": TOKEN}, timeout=9)
            assert (first.status_code, first.url) == (200, guarded.url + "/")
            cookie = first.history[0].headers["set-cookie"].lower()
            assert "httponly" in cookie
            assert "samesite=strict" in cookie
            assert session.get(f"{guarded.url}/models", timeout=9).status_code == 200
    assert TOKEN not in caplog.text


def test_huge_heads_and_silence_are_hung_up_on(served: Any) -> None:
    huge = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"a" * 200_000
    assert raw(served, huge)[:12] in (b"HTTP/1.1 400", b"")
    for start in (b"", b"GET / HTTP/1.1\r\nX: y\r\n"):
        assert raw(served, start) == b""  # after the seconds for a head
    slow = b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
    assert raw(served, slow + b"Content-Length: 500\r\n\r\nab").startswith(b"HTTP/1.1 408")
    assert list(served.spool.glob("*/upload")) == []


def test_who_hangs_up_leaves_nothing(served: Any, picture: bytes) -> None:
    place, before = urlsplit(served.url), set(served.spool.iterdir())
    for _ in range(5):
        with socket.create_connection((place.hostname, place.port or 0)) as client:
            client.sendall(
                b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 900\r\n\r\n"
                + picture[:9]
            )
    begin = time.monotonic()
    while set(served.spool.iterdir()) - before and time.monotonic() - begin < 5:
        time.sleep(0.05)
    assert set(served.spool.iterdir()) <= before
    assert served.get("/health").json()["pictures"] == 0


def test_a_full_queue_says_when_to_come_again() -> None:
    async def crowd() -> None:
        lane = Lane(2, "pictures")
        async with lane.turn():
            second = asyncio.create_task(lane.turn().__aenter__())
            await asyncio.sleep(0)
            with pytest.raises(Refusal) as refusal:
                lane.check()
            assert refusal.value.status == 429
            assert refusal.value.retry_after is not None
            assert refusal.value.retry_after >= 1
            second.cancel()
            await asyncio.gather(second, return_exceptions=True)
        lane.check()
        assert lane.inside == 0

    asyncio.run(crowd())


def test_bodies_without_a_length_are_counted(served: Any) -> None:
    def pieces() -> Iterator[bytes]:
        for _ in range(ServerLimits().picture_bytes // 2**20 + 2):
            yield bytes(2**20)

    try:
        answer = served.post("/predict", pieces())
    except requests.ConnectionError:
        return  # it hung up while we were still sending
    assert answer.status_code == 413
