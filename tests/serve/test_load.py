"""`salcli serve` under load: crowds, slow and broken clients, and processes that end."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from salcli.serve.limits import ServerLimits

pytestmark = pytest.mark.endurance

CROWD, OTHERS = 200, 10


def memory(pid: int) -> float:
    """Resident memory of a process in MB."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


@pytest.fixture
def begin(fake_environment: Callable[..., dict[str, str]], tmp_path: Path) -> Callable[..., Any]:
    """Run the command in a process of its own; gives the process and its address."""

    @contextmanager
    def run() -> Iterator[tuple[subprocess.Popen[str], str]]:
        with subprocess.Popen(
            [sys.executable, "-m", "salcli", "serve", "--port", "0", "-m", "brightness"],
            env=fake_environment(TMPDIR=str(tmp_path)),
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stderr is not None
            line = process.stderr.readline()
            try:
                yield process, "http://" + line.partition("http://")[2].partition("/")[0]
            finally:
                process.kill()

    return run


def children(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(number) for number in text.split()]


def crowd(url: str, picture: bytes) -> list[int]:
    """Status of each answer to a crowd of good clients, among slow and broken ones."""
    place = urlsplit(url)
    head = b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9000\r\n\r\n"

    def good(_: int) -> int:
        return requests.post(f"{url}/predict", data=picture, timeout=120).status_code

    def bad(number: int) -> None:
        with socket.create_connection((place.hostname, place.port or 0)) as client:
            match number % 3:
                case 0:  # slow
                    for byte in head[:20]:
                        client.sendall(bytes([byte]))
                        time.sleep(0.2)
                case 1:  # hangs up
                    client.sendall(head + picture[:50])
                case _:  # garbage
                    client.sendall(os.urandom(3000))

    with ThreadPoolExecutor(CROWD + 3 * OTHERS) as pool:
        others = [pool.submit(bad, number) for number in range(3 * OTHERS)]
        found = list(pool.map(good, range(CROWD)))
        for each in others:
            each.exception()  # some are hung up on
    return found


def test_a_crowd_is_answered_and_memory_comes_back(begin: Any, picture: bytes) -> None:
    with begin() as (process, url):
        assert requests.post(f"{url}/predict", data=picture, timeout=120).status_code == 200
        crowd(url, picture)
        (model,) = [pid for pid in children(process.pid) if memory(pid) > 100]
        before = memory(process.pid), memory(model)
        began = time.monotonic()
        assert crowd(url, picture) == [200] * CROWD
        took = time.monotonic() - began
        for _ in range(4):
            crowd(url, picture)
        after = memory(process.pid), memory(model)
        print(
            f"\n{CROWD} answers in {took:.1f} s; MB of server and model process: "
            f"{before[0]:.0f} and {before[1]:.0f}, then {after[0]:.0f} and {after[1]:.0f}"
        )
        assert after[0] < before[0] + 30
        assert after[1] < before[1] + 50
        assert requests.get(f"{url}/health", timeout=9).json()["pictures"] == 0


def test_memory_stays_flat_over_ten_thousand_pictures(begin: Any, picture: bytes) -> None:
    with begin() as (process, url), requests.Session() as session:
        seen = []
        for number in range(10_001):
            assert session.post(f"{url}/predict", data=picture, timeout=60).status_code == 200
            if number % 1000 == 0:
                seen.append([memory(pid) for pid in (process.pid, *children(process.pid))])
        print("\nMB of the processes, every 1000 pictures:", seen)
        assert sum(seen[-1]) < sum(seen[1]) + 40


def test_a_server_that_is_stopped_in_the_middle_leaves_nothing(
    begin: Any, picture: bytes, tmp_path: Path
) -> None:
    for _ in range(2):  # and the next one starts as if nothing had been
        with begin() as (process, url), ThreadPoolExecutor(20) as pool:
            asked = [
                pool.submit(requests.post, f"{url}/predict", data=picture, timeout=60)
                for _ in range(20)
            ]
            next(iter(asked)).result()
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 128 + signal.SIGTERM
            for each in asked:
                each.exception()
        assert list(tmp_path.iterdir()) == []


def test_a_model_process_that_dies_is_replaced(served: Any, picture: bytes) -> None:
    assert served.post("/predict", picture).status_code == 200
    os.kill(served.service.process.pid, signal.SIGKILL)
    assert served.post("/predict", picture).status_code == 200


def test_models_are_unloaded_when_idle(
    fakes_of_package: None, serving: Any, picture: bytes, tmp_path: Path
) -> None:
    with serving(tmp_path, replace(ServerLimits(), idle_seconds=1)) as running:
        assert running.post("/predict", picture).status_code == 200
        time.sleep(4)
        assert running.get("/health").json()["model_process"] == "unloaded"
        assert running.post("/predict", picture).status_code == 200


def test_a_prediction_that_takes_too_long_ends(
    fakes_of_package: None, serving: Any, picture: bytes, tmp_path: Path
) -> None:
    with serving(tmp_path, replace(ServerLimits(), picture_seconds=0.01)) as running:
        assert running.post("/predict", picture).status_code == 504
        assert list(tmp_path.iterdir()) == []
        assert running.get("/health").json()["model_process"] == "unloaded"
