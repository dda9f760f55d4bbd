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
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from salcli.files import atomic

Run = Callable[..., subprocess.CompletedProcess[str]]
Driver = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture(autouse=True)
def short_names(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Ray's sockets need a folder with a short path."""
    with TemporaryDirectory(prefix="ray-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        monkeypatch.setenv("RAY_TMPDIR", folder)
        yield


def everything(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_without_ray_a_cluster_is_wrong_usage(
    salcli: Run, clip_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)

    run = salcli("predict", clip_file, "-m", "brightness", "--cluster", "auto")

    assert run.returncode == 2
    assert "Ray is not installed; pip install 'salcli[ray]'" in run.stderr


@dataclass(frozen=True)
class Nodes:
    """A cluster of two nodes on loopback, of one core and of two."""

    address: str
    processes: list[subprocess.Popen[bytes]]


@pytest.fixture
def nodes(fake_site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Nodes]:
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
        yield Nodes(f"127.0.0.1:{port}", started)
    finally:
        for process in started:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
        for process in started:
            process.wait(timeout=60)


COMMAND = (*[f"{number}.mp4" for number in range(5)], "-m", "mortal", "-O", "kills=kills")
COMMAND += ("--save", "png,overlay,csv", "--batch-size", "1", "-O", "delay=0.5")


@pytest.fixture
def calm(driver: Driver, clip_file: Path, tmp_path: Path) -> dict[str, bytes]:
    """What one process makes of the clips of `COMMAND`."""
    for name in COMMAND[:5]:
        shutil.copy(clip_file, tmp_path / name)
    assert driver(*COMMAND, "-o", "calm").wait() == 0
    return everything(tmp_path / "calm")


def check(folder: Path, calm: dict[str, bytes]) -> None:
    assert everything(folder) == calm
    assert not [path for path in folder.rglob("*") if atomic.LEFTOVER.match(path.name)]


@pytest.mark.endurance
def test_actors_of_two_nodes_make_what_one_process_makes(
    driver: Driver, nodes: Nodes, calm: dict[str, bytes], tmp_path: Path
) -> None:
    """Actors are killed at random frames, a driver at a random moment, and another helps."""
    kills = tmp_path / "kills"
    kills.mkdir()
    for seed in range(20):
        chance = random.Random(seed)
        for number in chance.sample(range(1, 12), 2):
            (kills / str(number)).touch()
        command = (*COMMAND, "--cluster", nodes.address, "-o", f"out{seed}", "--workers", "3")
        first = driver(*command, seen=f"out{seed}/*/0002.png")
        second = driver(*command)
        time.sleep(chance.uniform(0, 6))
        first.kill()
        first.wait()
        assert second.wait() == 0, (tmp_path / "errors").read_text()
        check(tmp_path / f"out{seed}", calm)
        assert len(list(kills.iterdir())) < 2, "no actor was killed"

    parts = driver(*COMMAND, "--cluster", nodes.address, "-o", "cut", "--parts", "3")
    assert parts.wait() == 0, (tmp_path / "errors").read_text()
    check(tmp_path / "cut", calm)


@pytest.mark.endurance
@pytest.mark.parametrize("seed", range(2))
def test_a_node_that_is_killed_changes_nothing(
    driver: Driver, nodes: Nodes, calm: dict[str, bytes], tmp_path: Path, seed: int
) -> None:
    share = ("-o", "out", "--cluster", nodes.address, "--workers", "3")
    run = driver(*COMMAND, *share, seen="out/*/0002.png")
    while len(list(tmp_path.glob("out/*/.salcli-claim"))) < 3:  # two of them are on that node
        assert run.poll() is None
        time.sleep(0.2)
    time.sleep(random.Random(seed).uniform(0, 3))

    os.killpg(nodes.processes[1].pid, signal.SIGKILL)

    assert run.wait() == 0, (tmp_path / "errors").read_text()
    assert "the worker died: " in (tmp_path / "errors").read_text()
    check(tmp_path / "out", calm)


def descendants(pid: int) -> set[int]:
    """The processes that a process has started, and those that these have."""
    found = subprocess.run(["ps", "-eo", "ppid,pid"], capture_output=True, text=True)
    rows = [list(map(int, line.split())) for line in found.stdout.splitlines()[1:]]
    children = {own for parent, own in rows if parent == pid}
    return children.union(*map(descendants, children))


def runs(pid: int) -> bool:
    """Whether there is such a process, and not only what its parent has not asked for yet."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] not in "ZX"
    return False


@pytest.mark.endurance
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_driver_that_ends_leaves_no_orphan(
    driver: Driver, calm: dict[str, bytes], tmp_path: Path, number: int
) -> None:
    """With a cluster of its own; the same command then goes on."""
    pytest.importorskip("ray")
    share = ("-o", "out", "--cluster", "local", "--workers", "2")
    run = driver(*COMMAND, *share, seen="out/*/0002.png")
    started = descendants(run.pid)
    assert len(started) > 3

    run.send_signal(number)

    assert run.wait(timeout=120) == (-9 if number == signal.SIGKILL else 128 + number)
    until = time.monotonic() + 180  # Ray's own agents take a minute to see that it is gone
    while left := [pid for pid in started if runs(pid)]:
        assert time.monotonic() < until, left
        time.sleep(1)
    if number != signal.SIGKILL:
        names = {path.name for path in tmp_path.rglob("*")}
        assert not [name for name in names if atomic.LEFTOVER.match(name) or "claim" in name]
    assert driver(*COMMAND, *share).wait() == 0, (tmp_path / "errors").read_text()
    check(tmp_path / "out", calm)
