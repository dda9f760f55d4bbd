"""Actors of Ray share the inputs out, and make what one process makes."""

from __future__ import annotations

import os
import random
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from salcli.files import atomic

Run = Callable[..., subprocess.CompletedProcess[str]]
Driver = Callable[..., subprocess.Popen[bytes]]


def everything(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_without_ray_a_cluster_is_wrong_usage(
    salcli: Run, clip_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)

    run = salcli("predict", clip_file, "-m", "brightness", "--cluster", "auto")

    assert run.returncode == 2
    assert "Ray is not installed; pip install 'salcli[ray]'" in run.stderr


@pytest.fixture
def nodes(fake_site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Address of a cluster of two nodes on loopback, of one core and of two."""
    pytest.importorskip("ray")
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", secrets.token_hex(32))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = Path(sys.executable).with_name("ray")
    base = [str(program), "start", "--block", "--num-cpus"]
    variables = {**os.environ, "PYTHONPATH": str(fake_site), "RAY_USAGE_STATS_ENABLED": "0"}
    started: list[subprocess.Popen[bytes]] = []
    try:
        for rest in (
            ["1", "--head", "--port", str(port), "--include-dashboard", "false"],
            ["2", "--address", f"127.0.0.1:{port}"],
        ):
            with (tmp_path / "ray.log").open("ab") as log:
                started.append(
                    subprocess.Popen(
                        [*base, *rest],
                        env=variables,
                        stdout=log,
                        stderr=log,
                        start_new_session=True,
                    )
                )
            time.sleep(20)
        yield f"127.0.0.1:{port}"
    finally:
        for process in started:
            os.killpg(process.pid, signal.SIGTERM)
        for process in started:
            process.wait(timeout=60)


@pytest.mark.endurance
@pytest.mark.parametrize("seed", range(3))
def test_actors_of_two_nodes_make_what_one_process_makes(
    driver: Driver, nodes: str, clip_file: Path, tmp_path: Path, seed: int
) -> None:
    """Actors are killed at random frames; then one clip after the other is cut."""
    chance = random.Random(seed)
    names = [f"{number}.mp4" for number in range(5)]
    for name in names:
        shutil.copy(clip_file, tmp_path / name)
    command = (*names, "-m", "mortal", "-O", "kills=kills", "-O", "delay=0.05", "--save")
    command += ("png,overlay,csv", "--batch-size", "2")
    assert driver(*command, "-o", "calm").wait() == 0
    (tmp_path / "kills").mkdir()
    for number in chance.sample(range(1, 12), 2):
        (tmp_path / f"kills/{number}").touch()

    run = driver(*command, "-o", "out", "--cluster", nodes, "--workers", "3")

    assert run.wait() == 0, (tmp_path / "errors").read_text()
    assert everything(tmp_path / "out") == everything(tmp_path / "calm")
    assert not [p for p in (tmp_path / "out").rglob("*") if atomic.LEFTOVER.match(p.name)]
    parts = driver(*command, "-o", "cut", "--cluster", nodes, "--parts", "3")
    assert parts.wait() == 0, (tmp_path / "errors").read_text()
    assert everything(tmp_path / "cut") == everything(tmp_path / "calm")
