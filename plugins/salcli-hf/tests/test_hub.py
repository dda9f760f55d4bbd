"""The plugin against a server on loopback that answers like the Hub."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from salcli_hf.hub import HubFile, download

from salcli import ModelSpec, Weights, WeightsError
from salcli.authoring import store

CONTENT = b"".join(hashlib.sha256(b"%d" % number).digest() for number in range(4096))
SHA256 = hashlib.sha256(CONTENT).hexdigest()
GIT = hashlib.sha1(b"blob %d\0" % len(CONTENT) + CONTENT).hexdigest()
COMMIT = "c" * 40
URL = "hf://owner/name/weights/model.pt"


@dataclass
class Hub:
    """A repository with one file, whose commit and hash are in the headers."""

    headers: dict[str, str] = field(default_factory=lambda: {"X-Linked-Etag": f'"{SHA256}"'})
    content: bytes = CONTENT
    status: int = 200
    asked: list[tuple[str, str, str | None]] = field(default_factory=list)

    def serve(self, request: BaseHTTPRequestHandler) -> None:
        self.asked.append((request.command, request.path, request.headers.get("Authorization")))
        known = request.path.endswith("/weights/model.pt")
        request.send_response(self.status if known else 404)
        for name, value in {"X-Repo-Commit": COMMIT, **self.headers}.items():
            request.send_header(name, value)
        request.send_header("Content-Length", str(len(self.content)))
        request.end_headers()
        if request.command == "GET":
            request.wfile.write(self.content)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    found = Hub()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found.serve(self)

        do_HEAD = do_GET  # noqa: N815 (as http.server calls it)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (its name there)
            """Stay quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_address[1]}/")
    monkeypatch.setenv("SALCLI_CACHE_DIR", str(tmp_path / "cache"))
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "127.0.0.1")
    for name in ("SALCLI_OFFLINE", "SALCLI_WEIGHTS_MIRROR", "HF_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    yield found
    server.shutdown()
    thread.join()
    server.server_close()


def row(url: str, **more: str) -> Weights:
    return Weights("tag", (url,), licence="MIT", **more)


SPEC = ModelSpec("model", "a model", "nowhere:Model")


def test_weights_come_from_the_commit_of_a_revision(hub: Hub) -> None:
    weights = row("hf://owner/name@v1.0/weights/model.pt", hash=f"sha256:{SHA256}")

    file = store.locate(SPEC, weights)

    assert (file.name, file.read_bytes()) == ("model.pt", CONTENT)
    place = "/owner/name/resolve/{}/weights/model.pt"
    assert hub.asked == [
        ("HEAD", place.format("v1.0"), None),
        ("GET", place.format(COMMIT), None),
    ]
    assert store.locate(SPEC, weights) == file
    assert len(hub.asked) == 2


@pytest.mark.parametrize("tag", [f'"{GIT}"', f'W/"{GIT}"', '"something-else"'])
def test_small_files_have_the_hash_of_git(hub: Hub, tmp_path: Path, tag: str) -> None:
    hub.headers = {"ETag": tag}
    download(URL, tmp_path / "file", lambda done, total: None)

    assert (tmp_path / "file").read_bytes() == CONTENT


@pytest.mark.parametrize("header", [f'"{GIT}"', f'"{SHA256}"'])
def test_other_bytes_than_the_hub_has_are_refused(hub: Hub, header: str) -> None:
    hub.headers = {"X-Linked-Etag": header}
    hub.content = CONTENT[::-1]

    with pytest.raises(WeightsError, match=r"has the hash .*, but the Hub states"):
        store.locate(SPEC, row(URL, note="no hash"))
    assert not store.cache_path(SPEC, row(URL)).exists()


def test_a_token_opens_gated_repositories(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HF_TOKEN", "secret")
    download(URL, tmp_path / "file", lambda done, total: None)

    assert [token for _, _, token in hub.asked] == ["Bearer secret"] * 2


@pytest.mark.parametrize(
    ("url", "status", "words"),
    [
        ("hf://owner/name/other.pt", 200, "'owner/name' has no 'other.pt' at revision 'main'"),
        (URL, 401, "private or gated, or does not exist; accept its terms on the Hub"),
        (URL, 500, "the Hub answered 500"),
        ("hf://owner/model.pt", 200, r"is not hf://OWNER/NAME\[@REVISION\]/FILE"),
    ],
)
def test_what_cannot_be_had_says_why(
    hub: Hub, tmp_path: Path, url: str, status: int, words: str
) -> None:
    hub.status = status
    with pytest.raises(WeightsError, match=words):
        download(url, tmp_path / "file", lambda done, total: None)


def test_nobody_listens(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(WeightsError, match="no answer from the Hub"):
        download(URL, tmp_path / "file", lambda done, total: None)


def test_addresses_are_quoted() -> None:
    file = HubFile.parse("hf://o/n@refs%2Fpr%2F1/a b/c.pt")
    assert file.address.endswith("/o/n/resolve/refs%2Fpr%2F1/a%20b/c.pt")
