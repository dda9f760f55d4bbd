"""A real HTTP server on loopback that misbehaves as told, and what downloads need around it."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from salcli.plugins import loader, registry
from salcli.weights import download

BLOCK = 1 << 14


@dataclass(frozen=True)
class Reply:
    body: bytes = b""
    status: int = 200
    kind: str = "application/octet-stream"
    headers: Mapping[str, str] = field(default_factory=dict)
    etag: str = '"v1"'
    ranges: bool = True
    """Honours Range."""
    if_range: bool = True
    """Honours If-Range."""
    length: bool = True
    """Sends Content-Length."""
    shift: int = 0
    """A 206 begins so many bytes before what was asked for."""
    cut: int | None = None
    """Closes the connection after so many bytes of the body."""
    pause: float = 0.0
    """Seconds before each block of the body."""
    hold: threading.Event | None = None
    """The last block of the body is sent only once this is set."""


@dataclass(frozen=True)
class Request:
    path: str
    query: str
    headers: Mapping[str, str]


class Server:
    """Serves, on each path, the given answers one after the other, then the last one forever."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self._answers: dict[str, list[Reply]] = {}
        self._lock = threading.Lock()
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                owner._respond(self)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (its name there)
                """Stay quiet."""

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,))
        self._thread.start()

    @property
    def answer(self) -> type[Reply]:
        """How a request is answered; test files cannot import the class from here."""
        return Reply

    def close(self) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}{path}"

    def serve(self, path: str, *answers: Reply) -> str:
        """Set the answers on a path; its address."""
        self._answers[path] = list(answers)
        return self.url(path)

    def ranges(self) -> list[str | None]:
        """The Range header of each request so far."""
        return [request.headers.get("Range") for request in self.requests]

    def _respond(self, handler: BaseHTTPRequestHandler) -> None:
        parts = urlsplit(handler.path)
        with self._lock:
            self.requests.append(Request(parts.path, parts.query, dict(handler.headers)))
            queue = self._answers.get(parts.path, [Reply(status=404)])
            answer = queue.pop(0) if len(queue) > 1 else queue[0]
        try:
            self._send(handler, answer)
        except (BrokenPipeError, ConnectionResetError):
            return  # the client was killed or has seen enough

    def _send(self, handler: BaseHTTPRequestHandler, answer: Reply) -> None:
        status, body, extra = answer.status, answer.body, dict(answer.headers)
        asked = handler.headers.get("Range")
        same = handler.headers.get("If-Range") in (None, answer.etag) or not answer.if_range
        if asked and answer.ranges and same and status == 200:
            start = int(asked.removeprefix("bytes=").removesuffix("-")) - answer.shift
            if start >= len(body):
                status, body = 416, b""
                extra["Content-Range"] = f"bytes */{len(answer.body)}"
            else:
                status, body = 206, body[start:]
                extra["Content-Range"] = f"bytes {start}-{len(answer.body) - 1}/{len(answer.body)}"
        handler.send_response(status)
        handler.send_header("Content-Type", answer.kind)
        if answer.etag:
            handler.send_header("ETag", answer.etag)
        if answer.length:
            handler.send_header("Content-Length", str(len(body)))
        for name, value in extra.items():
            handler.send_header(name, value)
        handler.end_headers()
        body = body[: answer.cut]
        for start in range(0, len(body), BLOCK):
            if answer.pause:
                time.sleep(answer.pause)
            if answer.hold and start + BLOCK >= len(body):
                answer.hold.wait(60)
            handler.wfile.write(body[start : start + BLOCK])
        handler.wfile.flush()


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    yield running
    running.close()


@pytest.fixture
def content() -> bytes:
    """A quarter of a megabyte that is no web page: what the loopback server publishes."""
    return b"".join(hashlib.sha256(b"%d" % i).digest() for i in range(8192))


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A cache of its own, no user's settings, and no long waits; the cache's folder."""
    for name in ("SALCLI_OFFLINE", "SALCLI_WEIGHTS_MIRROR"):
        monkeypatch.delenv(name, raising=False)
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "127.0.0.1")
    monkeypatch.setenv("SALCLI_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(download, "BACKOFF", 0.01)
    return tmp_path / "cache"


@pytest.fixture
def fresh_plugins() -> Iterator[None]:
    """Plugins are looked for anew before and after."""
    loader.load.cache_clear()
    registry._models.cache_clear()
    yield
    loader.load.cache_clear()
    registry._models.cache_clear()
