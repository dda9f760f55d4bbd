"""A picture first: what `salcli predict` makes without being told, and where inputs come from."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from salcli.media import remote

Run = Callable[..., subprocess.CompletedProcess[str]]
FAKE = ("-m", "brightness")


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    Image.fromarray(np.arange(20 * 12 * 3, dtype=np.uint8).reshape(12, 20, 3)).save(path)
    return path


def test_there_are_maps_and_an_overlay_and_the_last_line_names_it(
    salcli: Run, photo: Path, clip_file: Path, tmp_path: Path
) -> None:
    run = salcli("predict", photo, *FAKE)
    assert run.returncode == 0, run.stderr
    assert run.stderr.splitlines()[-1] == "to look at: saliency/photo.overlay.png"
    assert sorted(path.name for path in (tmp_path / "saliency").iterdir()) == [
        "photo.overlay.png",
        "photo.png",
        "photo.salcli.json",
    ]
    run = salcli("predict", clip_file, *FAKE)
    assert run.stderr.splitlines()[-1] == "to look at: saliency/clip/overlay.mp4"
    assert (tmp_path / "saliency/clip/overlay.mp4").is_file()
    run = salcli("predict", photo, *FAKE, "--save", "heatmap", "-o", "other")
    assert run.stderr.splitlines()[-1] == "to look at: other/photo.heatmap.png"
    assert not (tmp_path / "other/photo.png").exists()


def test_an_input_alone_is_predicted(salcli: Run, photo: Path, tmp_path: Path) -> None:
    assert salcli("photo.png", *FAKE, "-o", "out").returncode == 0
    assert (tmp_path / "out/photo.overlay.png").is_file()
    run = salcli("phto.png", *FAKE)
    assert run.returncode == 2
    assert "No such command 'phto.png'" in run.stderr


def test_formats_are_joined_by_commas_or_repeated(salcli: Run, photo: Path, tmp_path: Path) -> None:
    assert salcli("predict", photo, *FAKE, "--save", "npy,csv", "--save", "npz").returncode == 0
    assert sorted(path.suffix for path in (tmp_path / "saliency").iterdir()) == [
        ".csv",
        ".json",
        ".npy",
        ".npz",
    ]
    run = salcli("predict", photo, *FAKE, "--save", "png,gif")
    assert run.returncode == 2
    assert "gif is not one of png, " in run.stderr


def test_the_picture_is_opened(salcli_process: Run, photo: Path, tmp_path: Path) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    opened = tmp_path / "opened"
    for name in ("xdg-open", "open"):
        (programs / name).write_text(
            f'#!/bin/sh\necho "$@" > {opened}.part; mv {opened}.part {opened}'
        )
        (programs / name).chmod(0o755)
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"

    run = salcli_process("predict", photo, *FAKE, "--open", "--save", "png,overlay", PATH=path)
    assert run.returncode == 0, run.stderr
    for _ in range(100):
        if opened.exists():
            break
        threading.Event().wait(0.05)
    assert opened.read_text().split()[-1] == "saliency/photo.overlay.png"


def test_standard_input_to_standard_output(photo: Path, fake_site: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "salcli", "predict", "-", *FAKE, "-o", "-"]
    environment = {**os.environ, "PYTHONPATH": str(fake_site)}
    run = subprocess.run(
        command, input=photo.read_bytes(), capture_output=True, cwd=tmp_path, env=environment
    )

    assert run.returncode == 0, run.stderr
    with Image.open(io.BytesIO(run.stdout)) as saliency:
        assert (saliency.mode, saliency.size) == ("L", (20, 12))
    assert not (tmp_path / "saliency").exists()


def test_standard_output_takes_one_result(salcli: Run, photo: Path, clip_file: Path) -> None:
    for words in ((photo, clip_file), (photo, "--save", "png,npy"), (photo, "--json")):
        run = salcli("predict", *words, *FAKE, "-o", "-")
        assert run.returncode == 2
        assert "-o - writes one result of one input in one format" in run.stderr
    run = salcli("predict", clip_file, *FAKE, "-o", "-")
    assert run.returncode == 2
    assert "-o - writes one file, not 12" in run.stderr
    assert run.stdout == ""


@pytest.fixture
def address(tmp_path: Path, photo: Path) -> Iterator[str]:
    """The address of a server with the photo."""
    (tmp_path / "web").mkdir()
    photo.rename(tmp_path / "web/my photo.png")
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path / "web"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/my%20photo.png"
        server.shutdown()


def test_an_address_is_downloaded_once(
    salcli: Run, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SALCLI_CACHE_DIR", str(tmp_path / "cache"))
    run = salcli("predict", address, *FAKE, "--offline")
    assert run.returncode == 1
    assert "the network is switched off" in run.stderr

    run = salcli(address, *FAKE)
    assert run.returncode == 0, run.stderr
    assert (tmp_path / "saliency/my photo.overlay.png").is_file()
    (tmp_path / "web/my photo.png").unlink()
    again = salcli("predict", address, *FAKE, "--offline")
    assert again.returncode == 0
    assert "already done" in again.stderr


def test_what_cannot_be_downloaded_does_not_stop_the_others(
    salcli: Run, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SALCLI_CACHE_DIR", str(tmp_path / "cache"))
    run = salcli("predict", address.replace("my", "no"), address, *FAKE)

    assert run.returncode == 1
    assert "no%20photo.png' cannot be downloaded: the server answered 404" in run.stderr
    assert (tmp_path / "saliency/my photo.png").is_file()
    for other in ("sftp://example.org/photo.png", "ftp://example.org/photo.png"):
        run = salcli("predict", other, *FAKE)
        assert run.returncode == 2
        assert "is an address, not a file" in run.stderr


def test_a_download_is_bounded(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SALCLI_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(remote, "MOST_BYTES", 10)
    problems: list[str] = []
    found = remote.make_local(
        [address], tmp_path, offline=False, failed=problems.append, report=lambda *_: None
    )
    assert found == []
    assert "has more than 0 GB" in problems[0]
    assert not list((tmp_path / "cache").rglob("*.png"))
