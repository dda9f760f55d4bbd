"""Inputs and results in object stores: in memory here, on a server in `nox -s endurance`."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
from PIL import Image

from salcli.processes import Process

Run = Callable[..., subprocess.CompletedProcess[str]]
COMMAND = ("-m", "brightness", "--save", "png,csv")


@pytest.fixture
def store(clip_file: Path, tmp_path: Path) -> Iterator[Any]:
    """A bucket with a clip, a still and a text."""
    Image.new("RGB", (20, 12), (9, 9, 9)).save(tmp_path / "still.png")
    memory = fsspec.filesystem("memory")
    memory.put_file(str(clip_file), "/bucket/in/clip.mp4")
    memory.put_file(str(tmp_path / "still.png"), "/bucket/in/still.png")
    memory.pipe_file("/bucket/in/list.txt", b"no medium")
    yield memory
    memory.store.clear()


def objects(store: Any, folder: str) -> dict[str, bytes]:
    return {path.removeprefix(folder): store.cat_file(path) for path in store.find(folder)}


def test_results_in_a_store_are_those_of_files(
    salcli: Run, store: Any, clip_file: Path, tmp_path: Path
) -> None:
    run = salcli("predict", "memory://bucket/in", *COMMAND, "-o", "memory://bucket/out", "--json")
    local = salcli("predict", clip_file, "still.png", *COMMAND, "-o", "out")

    assert (run.returncode, local.returncode) == (0, 0), run.stderr
    found = objects(store, "/bucket/out")
    maps = [name for name in found if not name.endswith(".json")]
    assert len(maps) == 12 + 1 + 1 + 1
    assert all(found[name] == (tmp_path / f"out{name}").read_bytes() for name in maps)
    record = json.loads(found["/clip/salcli.json"])
    assert record["source"] == "memory://bucket/in/clip.mp4"
    assert record["settings"]["source"]["bytes"] == clip_file.stat().st_size
    assert set(found) == {*maps, "/clip/salcli.json", "/still.salcli.json"}  # no claims
    inputs = json.loads(run.stdout)["inputs"]
    assert [each["source"] for each in inputs] == [
        "memory://bucket/in/clip.mp4",
        "memory://bucket/in/still.png",
    ]

    again = salcli("predict", "memory://bucket/in", *COMMAND, "-o", "memory://bucket/out")
    assert "2 inputs: 2 already done" in again.stderr
    Image.new("RGB", (31, 33), (8, 9, 7)).save(tmp_path / "still.png")
    store.put_file(str(tmp_path / "still.png"), "/bucket/in/still.png")  # a new version
    fewer = (*COMMAND[:2], "--save", "npy", "-o", "memory://bucket/out")
    other = salcli("predict", "memory://bucket/in/*.png", *fewer)
    assert other.returncode == 0, other.stderr
    assert "/still.npy" in objects(store, "/bucket/out")
    assert "/still.png" not in objects(store, "/bucket/out")  # of the old version


def test_files_and_stores_mix(salcli: Run, store: Any, tmp_path: Path) -> None:
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    into = salcli("predict", "still.png", "broken.mp4", *COMMAND, "-o", "memory://bucket/up")
    out_of = salcli("predict", "memory://bucket/in/still.png", *COMMAND, "-o", "down")

    assert into.returncode == 1
    assert out_of.returncode == 0, out_of.stderr
    found = objects(store, "/bucket/up")
    assert found["/still.png"] == (tmp_path / "down/still.png").read_bytes()
    assert (
        "neither an image nor a video" in json.loads(found["/broken/salcli.failed.json"])["error"]
    )


def test_a_claim_in_a_store_counts_until_its_holder_is_gone(salcli: Run, store: Any) -> None:
    claim = "/bucket/out/.still.salcli-claim"
    command = ("predict", "memory://bucket/in/still.png", *COMMAND, "-o", "memory://bucket/out")
    here = Process.current()
    elsewhere = {"host": "far", "boot_id": "b", "namespace": "n", "pid": 7, "since": "today"}
    store.pipe_file(claim, json.dumps(elsewhere).encode())
    held = salcli(*command)
    assert "left to another process; process 7 on far works on it since today" in held.stderr
    assert held.returncode == 0

    gone = {"host": here.host, "boot_id": here.boot_id, "namespace": here.namespace, "pid": 2**22}
    store.pipe_file(claim, json.dumps({**gone, "since": "today"}).encode())
    assert "1 map in memory://bucket/out/still" in salcli(*command).stderr
    assert not store.exists(claim)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["gs://bucket/a.mp4"], "gs:// needs a package that is not installed"),
        (["still.png", "-o", "gs://bucket/out"], "gs:// needs a package that is not installed"),
        (["nowhere://bucket/a.mp4"], "is an address, not a file"),
        (["memory://bucket/in", "--dry-run"], "need files; copy what is in the store first"),
        (["memory://bucket/in", "--parts", "2"], "need files; copy what is in the store first"),
    ],
)
def test_what_is_not_there_is_wrong_usage(
    salcli: Run, store: Any, words: list[str], message: str
) -> None:
    run = salcli("predict", *words, *COMMAND)
    assert run.returncode == 2, run.stderr
    assert message in run.stderr


@pytest.mark.endurance
def test_a_real_server(
    driver: Callable[..., subprocess.Popen[bytes]],
    clip_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two runs with two workers each share a bucket, and one of them is killed."""
    pytest.importorskip("moto")
    s3fs = pytest.importorskip("s3fs")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for name, value in {
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "y",
        "AWS_DEFAULT_REGION": "us-east-1",
        "FSSPEC_S3_ENDPOINT_URL": f"http://127.0.0.1:{port}",
    }.items():
        monkeypatch.setenv(name, value)
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        store = s3fs.S3FileSystem(endpoint_url=os.environ["FSSPEC_S3_ENDPOINT_URL"])
        for _ in range(60):
            try:
                store.mkdir("bucket")
                break
            except OSError:
                time.sleep(1)
        for number in range(6):
            store.put_file(str(clip_file), f"bucket/in/{number}.mp4")
        command = ("s3://bucket/in", "-m", "mortal", "-O", "delay=0.1", "--save", "png,csv")
        assert driver(*command, "-o", "s3://bucket/calm").wait() == 0
        runs = [driver(*command, "-o", "s3://bucket/out", "--workers", "2") for _ in range(2)]
        time.sleep(8)
        runs[0].kill()
        runs[0].wait()
        assert runs[1].wait() == 0, (tmp_path / "errors").read_text()
        until = time.monotonic() + 300  # of a killed run, claims may be left for a while
        while time.monotonic() < until:
            assert driver(*command, "-o", "s3://bucket/out").wait() == 0
            if objects(store, "bucket/out") == objects(store, "bucket/calm"):
                break
            time.sleep(5)
        assert objects(store, "bucket/out") == objects(store, "bucket/calm")
    finally:
        server.kill()
        server.wait()
