from __future__ import annotations

import hashlib
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from salcli.errors import PluginError, UsageError, WeightsError
from salcli.plugins import loader
from salcli.plugins.hooks import hookimpl
from salcli.specs import ModelSpec, Weights
from salcli.weights import download, store
from salcli.weights.verify import Digest, Receipt, is_intact

if TYPE_CHECKING:
    from tests.store.conftest import Server

SPEC = ModelSpec("toy", "", "toy.model:Toy")


def sha256(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def gitblob(content: bytes) -> str:
    return f"gitblob:{hashlib.sha1(b'blob %d' % len(content) + bytes(1) + content).hexdigest()}"


def row(*urls: str, **fields: Any) -> Weights:
    return Weights("best", urls, filename="toy.pth", **fields)


def files(folder: Path) -> set[str]:
    """What lies in a folder, apart from the lock."""
    return {path.name for path in folder.iterdir() if path.suffix != ".lock"}


@pytest.fixture
def place(surroundings: Path) -> Path:
    return surroundings / "weights" / "toy" / "best" / "toy.pth"


KEPT = {"toy.pth", "toy.pth.verified.json"}


@pytest.mark.parametrize("kind", [sha256, gitblob])
@pytest.mark.parametrize("length", [True, False])
def test_the_first_use_downloads_and_the_second_does_not(
    server: Server, content: bytes, place: Path, kind: Callable[[bytes], str], length: bool
) -> None:
    weights_row = row(server.serve("/f", server.answer(content, length=length)), hash=kind(content))
    seen: list[int] = []
    for _ in range(2):
        found = store.locate(SPEC, weights_row, report=lambda done, total: seen.append(done))
        assert found == place
    assert place.read_bytes() == content
    assert files(place.parent) == KEPT
    assert len(server.requests) == 1
    assert seen[-1] == len(content)


def test_the_default_cache_is_the_users(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SALCLI_CACHE_DIR")
    path = store.cache_path(SPEC, row())
    assert path.parts[-4:] == ("weights", "toy", "best", "toy.pth")
    assert "salcli" in path.parts


def test_the_file_name_may_come_from_the_url(surroundings: Path) -> None:
    named = Weights("best", ("https://example.org/a/net%20one.pth?x=1",))
    assert store.cache_path(SPEC, named).name == "net one.pth"


@pytest.mark.parametrize("filename", ["../x", "a/b", "..", "C:x"])
def test_a_row_cannot_leave_the_cache(filename: str) -> None:
    with pytest.raises(PluginError, match="cannot be the name"):
        store.cache_path(SPEC, Weights("best", filename=filename))


def test_bundled_weights_of_no_package() -> None:
    spec = ModelSpec("toy", "", "nowhere.model:Toy")
    with pytest.raises(PluginError, match="not an importable package"):
        store.cache_path(spec, Weights("open", resource="x"))


@pytest.mark.parametrize("stated", ["md5:00", "sha256:12", "nonsense"])
def test_a_hash_of_another_form_is_the_plugins_fault(place: Path, stated: str) -> None:
    place.parent.mkdir(parents=True)
    place.write_bytes(b"x")
    with pytest.raises(PluginError, match="neither sha256"):
        store.locate(SPEC, row(hash=stated))


def test_urls_are_tried_in_order(server: Server, content: bytes, place: Path) -> None:
    urls = (
        server.serve("/gone", server.answer(status=404)),
        server.serve("/page", server.answer(b"<html>")),
        server.serve("/wrong", server.answer(content[::-1])),
        "foo://bar",
        server.serve("/right", server.answer(content)),
        server.serve("/never", server.answer(content)),
    )
    store.locate(SPEC, row(*urls, hash=sha256(content), size=len(content)))
    assert [r.path for r in server.requests] == ["/gone", "/page", "/wrong", "/right"]
    assert place.read_bytes() == content
    assert files(place.parent) == KEPT


def test_every_failure_says_why_and_what_to_do(server: Server, content: bytes, place: Path) -> None:
    urls = (
        server.serve("/gone", server.answer(status=403)),
        server.serve("/wrong", server.answer(content)),
        server.serve("/short", server.answer(content[:10])),
        "foo://bar",
    )
    with pytest.raises(WeightsError) as caught:
        store.locate(SPEC, row(*urls, hash=sha256(b"another"), size=len(content)))
    text = str(caught.value)
    assert f"{urls[0]}: the server answered 403" in text
    assert f"{urls[1]}: the downloaded file has the hash {sha256(content)} instead of" in text
    assert f"{urls[2]}: the downloaded file has 10 bytes instead of 262,144" in text
    assert "no plugin can download 'foo:' addresses" in text
    assert f"'{place.parent}'" in text
    assert "'toy.pth'" in text
    assert "import it as toy:best with 'salcli weights import'" in text
    assert files(place.parent) == set()


def test_no_url_at_all(place: Path) -> None:
    with pytest.raises(WeightsError, match="it has no download address"):
        store.locate(SPEC, row(hash=sha256(b"x")))


@pytest.mark.parametrize("length", [True, False])
def test_a_body_without_end_is_cut_at_the_known_size(
    server: Server, content: bytes, place: Path, length: bool
) -> None:
    endless = server.answer(content * 8, length=length)
    weights_row = row(server.serve("/f", endless), hash=sha256(content), size=len(content))
    most = 0

    def report(done: int, total: int | None) -> None:
        nonlocal most
        most = max(most, done)

    with pytest.raises(WeightsError, match="exceeds the limit of"):
        store.locate(SPEC, weights_row, report=report)
    assert most <= len(content)
    assert files(place.parent) == set()


def test_a_body_of_unknown_size_has_a_limit_too(
    server: Server, content: bytes, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "LARGEST", len(content))
    endless = server.answer(content * 8, length=False)
    with pytest.raises(WeightsError, match="exceeds the limit of"):
        store.locate(SPEC, row(server.serve("/f", endless), hash=sha256(content)))
    assert files(place.parent) == set()
    assert {each.headers["Accept-Encoding"] for each in server.requests} == {"identity"}


def test_a_server_that_goes_on_with_other_bytes_is_asked_once_more(
    server: Server, content: bytes, place: Path
) -> None:
    other = bytes(len(content))
    answers = (
        server.answer(content, cut=3 * download.CHUNK),
        server.answer(other),  # the same validator, another file
        server.answer(content),
    )
    weights_row = row(server.serve("/f", *answers), hash=sha256(content))

    assert store.locate(SPEC, weights_row) == place
    assert place.read_bytes() == content
    assert len(server.requests) == 3


def test_a_spoilt_beginning_is_thrown_away(server: Server, content: bytes, place: Path) -> None:
    url = server.serve("/f", server.answer(content, cut=1 << 17), server.answer(status=404))
    weights_row = row(url, hash=sha256(content))
    with pytest.raises(WeightsError):
        store.locate(SPEC, weights_row)
    (part,) = place.parent.glob(".toy.pth.*.part")
    part.write_bytes(bytes(part.stat().st_size))
    server.serve("/f", server.answer(content))
    store.locate(SPEC, weights_row)
    assert server.ranges() == [None, f"bytes={1 << 17}-", f"bytes={1 << 17}-", None]
    assert place.read_bytes() == content


def test_offline_forbids_the_network(
    server: Server, content: bytes, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights_row = row(server.serve("/f", server.answer(content)), hash=sha256(content))
    with pytest.raises(WeightsError, match="switched off"):
        store.locate(SPEC, weights_row, offline=True)
    monkeypatch.setenv("SALCLI_OFFLINE", "1")
    with pytest.raises(WeightsError, match="switched off"):
        store.locate(SPEC, weights_row)
    assert server.requests == []
    assert not place.parent.exists()
    monkeypatch.setenv("SALCLI_OFFLINE", "0")
    store.locate(SPEC, weights_row)
    assert store.locate(SPEC, weights_row, offline=True) == place


def test_offline_still_copies_local_files(tmp_path: Path, content: bytes, place: Path) -> None:
    published = tmp_path / "published.pth"
    published.write_bytes(content)
    weights_row = row("https://example.org/x", published.as_uri(), hash=sha256(content))
    assert store.locate(SPEC, weights_row, offline=True) == place


def test_the_mirror_comes_first(
    server: Server, content: bytes, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = server.serve("/f", server.answer(content))
    monkeypatch.setenv("SALCLI_WEIGHTS_MIRROR", server.url("/mirror/"))
    store.locate(SPEC, row(url, hash=sha256(content)))
    assert [r.path for r in server.requests] == ["/mirror/toy/best/toy.pth", "/f"]
    server.serve("/mirror/toy/best/toy.pth", server.answer(content))
    store.remove(SPEC, row())
    store.locate(SPEC, row(hash=sha256(content)))
    assert server.requests[-1].path == "/mirror/toy/best/toy.pth"


def test_a_copy_placed_by_hand_is_verified(content: bytes, place: Path) -> None:
    weights_row = row(hash=gitblob(content))
    place.parent.mkdir(parents=True)
    place.write_bytes(content)
    assert store.locate(SPEC, weights_row, offline=True) == place
    assert Receipt.read(place) == Receipt(gitblob(content), len(content), place.stat().st_mtime_ns)
    place.write_bytes(content[::-1])
    with pytest.raises(WeightsError, match="has the hash gitblob"):
        store.locate(SPEC, weights_row, offline=True)


def test_a_verified_file_is_not_hashed_again_unless_asked(content: bytes, place: Path) -> None:
    weights_row = row(hash=sha256(content))
    place.parent.mkdir(parents=True)
    place.write_bytes(content)
    assert store.examine(SPEC, weights_row).state == "cached"
    stat = place.stat()
    place.write_bytes(content[::-1])  # rot that leaves size and time alone
    os.utime(place, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert store.examine(SPEC, weights_row).state == "cached"
    assert store.examine(SPEC, weights_row, thorough=True).state == "damaged"


@pytest.mark.parametrize("receipt", ["", "{", "[]", '{"hash": 1}', '{"hash": "x", "size": 0}'])
def test_a_nonsense_receipt_is_ignored(content: bytes, place: Path, receipt: str) -> None:
    place.parent.mkdir(parents=True)
    place.write_bytes(content)
    Receipt.path(place).write_text(receipt)
    assert store.examine(SPEC, row(hash=sha256(content))).state == "cached"


def test_a_damaged_file_is_downloaded_again(
    server: Server, content: bytes, place: Path, caplog: pytest.LogCaptureFixture
) -> None:
    place.parent.mkdir(parents=True)
    place.write_bytes(b"")
    url = server.serve("/f", server.answer(content))
    store.locate(SPEC, row(url, hash=sha256(content)))
    assert place.read_bytes() == content
    assert "is empty; downloading it again" in caplog.text


def test_trust_on_first_use(
    server: Server, content: bytes, place: Path, caplog: pytest.LogCaptureFixture
) -> None:
    weights_row = row(server.serve("/f", server.answer(content)))
    store.locate(SPEC, weights_row)
    (notice,) = [r for r in caplog.records if r.levelno == logging.WARNING]
    assert "no published hash for weights 'toy:best'" in notice.getMessage()
    assert sha256(content) in notice.getMessage()
    caplog.clear()
    place.write_bytes(content + b"x")
    with pytest.raises(WeightsError, match="instead of sha256"):
        store.locate(SPEC, weights_row, offline=True)
    server.serve("/f", server.answer(content[::-1]))  # the publisher has replaced it
    with pytest.raises(WeightsError, match="salcli weights remove toy:best"):
        store.locate(SPEC, weights_row)
    store.remove(SPEC, weights_row)
    store.locate(SPEC, weights_row)
    assert place.read_bytes() == content[::-1]


def test_import_verifies_before_it_places(tmp_path: Path, content: bytes, place: Path) -> None:
    weights_row = row(hash=sha256(content))
    mine = tmp_path / "download (1).pth"
    mine.write_bytes(b"<!DOCTYPE html><title>Sign in</title>")
    with pytest.raises(WeightsError, match="it is a web page, not weights; nothing was imported"):
        store.import_file(SPEC, weights_row, mine)
    mine.write_bytes(content[:-1])
    with pytest.raises(WeightsError, match="has the hash"):
        store.import_file(SPEC, weights_row, mine)
    assert files(place.parent) == set()
    mine.write_bytes(content)
    assert store.import_file(SPEC, weights_row, mine) == place
    assert store.import_file(SPEC, weights_row, place) == place
    assert place.read_bytes() == mine.read_bytes() == content
    assert files(place.parent) == KEPT
    with pytest.raises(WeightsError, match="there is no file"):
        store.import_file(SPEC, weights_row, tmp_path / "missing")


def test_remove_leaves_nothing(server: Server, content: bytes, place: Path) -> None:
    url = server.serve("/f", server.answer(content, cut=1 << 17), server.answer(status=404))
    assert not store.remove(SPEC, row())
    with pytest.raises(WeightsError):
        store.locate(SPEC, row(url, hash=sha256(content)))
    assert files(place.parent)
    assert not store.remove(SPEC, row())
    assert files(place.parent) == set()
    place.write_bytes(content)
    assert store.remove(SPEC, row())
    assert files(place.parent) == set()


def test_bundled_weights_lie_in_their_package(
    tmp_path: Path, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "bundling"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "model.py").write_text("raise RuntimeError('must not be imported')")
    (package / "open.safetensors").write_bytes(content)
    monkeypatch.syspath_prepend(tmp_path)
    spec = ModelSpec("toy", "", "bundling.model:Toy")
    bundled = Weights("open", resource="open.safetensors", hash=sha256(content))
    assert store.locate(spec, bundled, offline=True) == package / "open.safetensors"
    assert store.examine(spec, bundled, thorough=True).state == "bundled"
    assert files(package) >= {"open.safetensors"}
    assert not list(package.glob("*.json"))
    with pytest.raises(UsageError, match="ship with their plugin"):
        store.remove(spec, bundled)
    with pytest.raises(UsageError, match="ship with their plugin"):
        store.import_file(spec, bundled, tmp_path)
    (package / "open.safetensors").write_bytes(b"rot")
    assert store.examine(spec, bundled, thorough=True).state == "damaged"
    (package / "open.safetensors").unlink()
    with pytest.raises(WeightsError, match="is missing; reinstall"):
        store.locate(spec, bundled)


def test_plugins_may_download(content: bytes, place: Path, fresh_plugins: None) -> None:
    class Lab:
        @hookimpl
        def fetch_weights(
            self, url: str, target: Path, report: Callable[[int, int | None], None]
        ) -> bool | None:
            if not url.startswith("lab://"):
                return None
            if url.endswith("broken"):
                raise RuntimeError("lab closed")
            target.write_bytes(content)
            return True

    loader.load().add(Lab(), name="lab", distribution="lab", version="1")  # type: ignore[arg-type]
    with pytest.raises(WeightsError, match="lab://broken: RuntimeError: lab closed"):
        store.locate(SPEC, row("lab://broken", hash=sha256(content)))
    assert store.locate(SPEC, row("lab://x", hash=gitblob(content))).read_bytes() == content
    with pytest.raises(WeightsError, match="switched off"):
        store.locate(SPEC, Weights("other", ("lab://x",), filename="x"), offline=True)


def test_a_cache_that_cannot_be_written(
    server: Server, content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("SALCLI_CACHE_DIR", str(tmp_path / "file"))
    url = server.serve("/f", server.answer(content))
    with pytest.raises(WeightsError, match="cannot write into the weights cache"):
        store.locate(SPEC, row(url, hash=sha256(content)))
    assert server.requests == []


def test_a_read_only_cache_is_read(content: bytes, place: Path) -> None:
    place.parent.mkdir(parents=True)
    place.write_bytes(content)
    place.parent.chmod(0o555)
    if os.access(place.parent, os.W_OK):
        pytest.skip("this user may write everywhere")
    try:
        assert store.locate(SPEC, row(hash=sha256(content))) == place
        with pytest.raises(WeightsError, match="cannot write into the weights cache"):
            store.locate(SPEC, row("https://127.0.0.1:1/x", hash=sha256(b"another")))
    finally:
        place.parent.chmod(0o755)


@pytest.mark.parametrize("kind", [sha256, gitblob])
def test_a_changed_bit_is_seen_behind_an_old_time(
    content: bytes, place: Path, kind: Callable[[bytes], str]
) -> None:
    weights_row = row(hash=kind(content))
    place.parent.mkdir(parents=True)
    place.write_bytes(content)
    store.locate(SPEC, weights_row)
    times = place.stat().st_mtime_ns
    spoilt = bytes([content[0] ^ 1]) + content[1:]
    place.write_bytes(spoilt)
    os.utime(place, ns=(times, times))

    assert store.locate(SPEC, weights_row) == place  # as the receipt has it
    assert not is_intact(place, weights_row, hashlib.sha256(spoilt).hexdigest())
    assert store.examine(SPEC, weights_row, thorough=True).state == "damaged"


@pytest.mark.parametrize("kind", ["sha256", "gitblob"])
def test_a_digest_follows_a_file_that_starts_over(tmp_path: Path, kind: str) -> None:
    path, digest = tmp_path / "f", Digest(kind)
    for text in (b"12345678", b"xyz", b"xyzabc"):
        path.write_bytes(text)
        digest.follow(path, len(text), 8 if len(text) == 8 else 6)
    expected = {"sha256": sha256, "gitblob": gitblob}[kind]
    assert digest.finish(path) == Digest(kind).finish(path) == expected(b"xyzabc")


SCRIPT = """
import sys
from salcli.weights import store
from salcli.specs import ModelSpec, Weights
url, digest = sys.argv[1:]
print(store.locate(ModelSpec("toy", "", "toy.model:Toy"),
                   Weights("best", (url,), hash=digest, filename="toy.pth")))
"""


def until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def locate_elsewhere(url: str, content: bytes) -> subprocess.Popen[str]:
    """`locate` in a process of its own."""
    command = [sys.executable, "-c", SCRIPT, url, sha256(content)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd="/"
    )


def test_two_processes_download_once(server: Server, content: bytes, place: Path) -> None:
    both_there = threading.Event()
    url = server.serve("/f", server.answer(content, hold=both_there))
    first = locate_elsewhere(url, content)
    until(lambda: bool(server.requests))
    second = locate_elsewhere(url, content)
    assert second.stderr is not None
    assert "waiting for it" in second.stderr.readline()
    both_there.set()
    told = [process.communicate(timeout=60) for process in (first, second)]
    assert [out.strip() for out, _ in told] == [str(place)] * 2, told
    assert len(server.requests) == 1


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_a_killed_download_is_continued(server: Server, content: bytes, place: Path) -> None:
    killed = threading.Event()
    url = server.serve("/f", server.answer(content, hold=killed), server.answer(content))
    first = locate_elsewhere(url, content)
    reached = len(content) - download.CHUNK  # the last chunk is held back

    def is_far() -> bool:
        return any(part.stat().st_size == reached for part in place.parent.glob(".toy.pth.*.part"))

    until(is_far)
    first.kill()
    first.communicate()
    killed.set()
    assert not place.exists()
    out, err = locate_elsewhere(url, content).communicate(timeout=60)
    assert out.strip() == str(place), err
    assert server.ranges() == [None, f"bytes={reached}-"]
    assert place.read_bytes() == content
    assert files(place.parent) == KEPT


def test_the_store_loads_nothing_heavy() -> None:
    script = (
        "import sys; import salcli.weights.store, salcli.commands.weights; "
        "print({'torch', 'numpy', 'requests', 'rich.progress', 'filelock'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"
