"""Several workers share the inputs out, and make what one process makes."""

from __future__ import annotations

import itertools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from queue import Queue
from typing import Any

import pytest
from PIL import Image

from salcli.errors import InputError, PluginError, SalcliError
from salcli.files import atomic
from salcli.scale.executor import (
    TRIES,
    Died,
    Here,
    Message,
    Reporter,
    hand_out,
    serve,
)
from salcli.scale.processes import devices_for
from salcli.terminal.events import Counter, Watcher

Run = Callable[..., subprocess.CompletedProcess[str]]


def everything(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def stills(folder: Path, count: int) -> None:
    folder.mkdir(parents=True)
    for number in range(count):
        Image.new("RGB", (20, 12), (1 + 5 * number,) * 3).save(folder / f"p{number}.png")


class Killed(BaseException):
    """Ends a thread that stands for a worker, as a signal ends a process."""


@dataclass(frozen=True)
class Doubling:
    """An order: doubles numbers."""

    def begin(self, device: str) -> Callable[[int, Watcher], int]:
        if device == "none":
            raise Killed
        return self.work

    def work(self, unit: int, watcher: Watcher) -> int:
        watcher.start(str(unit), 1)
        watcher.step()
        if unit == 13:
            raise Killed
        if unit == 7:
            raise InputError("seven is unlucky")
        if unit == 99:
            raise PluginError("the model is broken")
        watcher.finish(f"{unit} is done")
        return 2 * unit

    def title(self, unit: int) -> str:
        return f"number {unit}"

    def size(self, unit: int) -> int:
        return unit

    def died(self, unit: int, worker: str) -> None:
        pass

    def failed(self, unit: int, error: str, *, died: bool) -> int:
        return -2 if died else -1


class Threads:
    """A crew of threads of this process."""

    def __init__(self, device: str = "cpu") -> None:
        self.device, self.given = device, list[int]()
        self.queue: Queue[tuple[int, Message]] = Queue()
        self.inboxes: list[Queue[int | None]] = []

    def hire(self) -> None:
        self.inboxes.append(Queue())
        threading.Thread(target=self._work, args=(len(self.inboxes) - 1,)).start()

    def _work(self, number: int) -> None:
        def send(message: Message) -> None:
            self.queue.put((number, message))

        try:
            serve(Doubling(), self.device, self.inboxes[number].get, Reporter(send))
        except Killed:
            send(Died("it was killed by a test"))

    def give(self, worker: int, unit: int) -> None:
        self.given.append(unit)
        self.inboxes[worker].put(unit)

    def hear(self) -> Iterator[tuple[int, Message]]:
        yield self.queue.get(timeout=10)

    def close(self) -> tuple[()]:
        for inbox in self.inboxes:
            inbox.put(None)
        return ()


class Listening(Counter):
    """Keeps what is said."""

    def __init__(self, total: int) -> None:
        super().__init__(total)
        self.lines: list[str] = []

    def say(self, line: str) -> None:
        self.lines.append(line)

    def note(self, line: str) -> None:
        self.say(line)


def test_a_unit_that_kills_its_workers_fails_after_its_tries() -> None:
    crew, units = Threads(), [3, 13, 7, *range(20, 40)]
    watcher = Listening(len(units))

    results = hand_out(crew, Doubling(), units, workers=2, watcher=watcher)

    assert results == [6, -2, -1, *range(40, 80, 2)]
    assert crew.given[:2] == [39, 38]  # the largest first
    assert crew.given.count(13) == TRIES
    assert len(crew.inboxes) <= 2 + TRIES
    assert watcher.finished == len(units)
    assert watcher.share == len(units)
    assert (
        watcher.lines.count("number 13: the worker died: it was killed by a test; trying again")
        == 2
    )
    assert "salcli: error: seven is unlucky" in watcher.lines
    (failed,) = [line for line in watcher.lines if "3 workers died" in line]
    assert failed.startswith("salcli: error: 'number 13': ")
    assert failed.endswith("it was killed by a test")


def test_what_is_broken_ends_everything() -> None:
    with pytest.raises(PluginError, match="the model is broken"):
        hand_out(Threads(), Doubling(), [1, 99, 2], workers=2, watcher=Watcher())
    with pytest.raises(PluginError):
        Here(Doubling().work).run(Doubling(), [1, 99, 2], watcher=Watcher())
    with pytest.raises(SalcliError, match="workers cannot start: it was killed by a test"):
        hand_out(Threads("none"), Doubling(), [1, 2], workers=2, watcher=Watcher())


def test_here_is_an_executor_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert Here(Doubling().work).run(Doubling(), [3, 7, 4], watcher=Watcher()) == [6, -1, 8]
    assert capsys.readouterr().err == "salcli: error: seven is unlucky\n"


def test_each_worker_has_a_device() -> None:
    gpus = ["cuda:0", "cuda:1", "cpu"]
    assert devices_for(3, named=["auto"], available=["cpu"]) == ["cpu"] * 3
    assert devices_for(None, named=["cpu"], available=gpus).count("cpu") >= 1
    assert devices_for(None, named=["auto"], available=gpus) == gpus[:2]
    assert devices_for(3, named=["cuda"], available=gpus) == ["cuda:0", "cuda:1", "cuda:0"]
    assert devices_for(2, named=["cuda:1"], available=gpus) == ["cuda:1"] * 2
    with pytest.raises(SalcliError, match="no device 'cuda:2' on this machine, which has cuda:0"):
        devices_for(2, named=["cuda:2"], available=gpus)


def test_workers_make_what_one_process_makes(salcli: Run, clip_file: Path, tmp_path: Path) -> None:
    """One of them is killed at a random frame; a picture kills each worker that works on it."""
    inputs = tmp_path / "in"
    stills(inputs / "stills", 7)
    shutil.copy(clip_file, inputs)
    shutil.copy(inputs / "stills/p3.png", inputs / "alone.png")
    (inputs / "broken.png").write_bytes(b"no image")
    todo = ["in/clip.mp4", "in/alone.png", "in/broken.png", "in/stills"]
    command = ["predict", *todo, "-m", "mortal", "--save", "png,overlay,csv", "-O", "kills=kills"]
    one = salcli(*command, "-o", "one")
    (tmp_path / "kills").mkdir()
    (tmp_path / "kills" / str(random.Random(1).randrange(1, 12))).touch()
    Image.new("RGB", (9, 9)).save(inputs / "black.png")

    run = salcli(
        *(*command, "in/black.png", "-o", "two", "--workers", "2", "--json"),
        *("--progress", "json"),
    )

    assert (one.returncode, run.returncode) == (1, 1), run.stderr
    assert not list((tmp_path / "kills").iterdir())
    note = tmp_path / "two/black.salcli.failed.json"
    assert "it was killed by SIGKILL" in json.loads(note.read_text())["error"]
    note.unlink()
    for name in ("one", "two"):  # the host and the tries are beside the point
        (tmp_path / name / "broken/salcli.failed.json").unlink()
    assert everything(tmp_path / "two") == everything(tmp_path / "one")
    document = json.loads(run.stdout)["inputs"]
    assert [each["status"] for each in document] == ["done", "done", "failed", "done", "failed"]
    events = [json.loads(line) for line in run.stderr.splitlines()]
    finished = [event for event in events if event["event"] in ("finish", "fail")]
    assert max(event["inputs_done"] for event in finished) == 5 == len(finished)
    assert len({event["worker"] for event in events}) > 3
    assert sum("the worker died" in event.get("text", "") for event in events) == TRIES

    status = json.loads(salcli("status", "two", *todo, "in/black.png", "--json").stdout)
    assert (status["done"], status["left"]) == (3, 2)


@pytest.mark.parametrize(("seed", "parts"), [(2, 1), (3, 1), (4, 2), (5, 2), (6, 2)])
def test_a_worker_that_is_killed_at_a_random_frame_changes_nothing(
    salcli: Run, clip_file: Path, tmp_path: Path, seed: int, parts: int
) -> None:
    command = ("predict", clip_file, clip_file, "-m", "mortal", "-O", "kills=kills")
    command += ("--save", "png", "--batch-size", "2")
    assert salcli(*command, "-o", "one").returncode == 0
    (tmp_path / "kills").mkdir()
    (tmp_path / "kills" / str(random.Random(seed).randrange(1, 7))).touch()

    run = salcli(*command, "-o", "two", "--workers", "2", "--parts", str(parts))

    assert run.returncode == 0, run.stderr
    assert "the worker died: it was killed by SIGKILL" in run.stderr
    assert everything(tmp_path / "two") == everything(tmp_path / "one")


def test_a_broken_model_ends_all_workers(salcli: Run, clip_file: Path, tmp_path: Path) -> None:
    shutil.copy(clip_file, tmp_path / "other.mp4")

    run = salcli("predict", clip_file, "other.mp4", "-m", "failing", "--workers", "2", "-v")

    assert run.returncode == 4
    assert "salcli: error: model 'failing' failed: KeyError: 'third frame'" in run.stderr
    assert "in predict" in run.stderr  # of the worker's traceback
    assert not list((tmp_path / "saliency").rglob(".salcli-claim"))


def session(pid: int) -> list[str]:
    """What the processes of a session are, and of sessions that they started."""
    found = subprocess.run(["ps", "-eo", "sid,ppid,pid,args"], capture_output=True, text=True)
    rows = [line.split(None, 3) for line in found.stdout.splitlines()[1:]]
    return [args for sid, _, own, args in rows if sid == str(pid) and own != str(pid)]


def gone(pid: int) -> bool:
    """Whether no process of a session is left, a while later at the latest."""
    until = time.monotonic() + 30
    while session(pid) and time.monotonic() < until:
        time.sleep(0.1)
    return not session(pid)


def leftovers(folder: Path) -> list[Path]:
    """Claims, and files with temporary names."""
    found = [*folder.rglob(".*salcli-claim"), *folder.rglob(".salcli-guard-*")]
    return [*found, *(p for p in folder.rglob("*") if atomic.LEFTOVER.match(p.name))]


def test_ctrl_c_leaves_no_orphan_and_nothing_temporary(
    driver: Callable[..., Any], clip_file: Path, tmp_path: Path
) -> None:
    for name in ("a.mp4", "b.mp4"):
        shutil.copy(clip_file, tmp_path / name)
    slow = ("-m", "mortal", "-O", "delay=0.5", "--batch-size", "1", "--save", "png,overlay")

    process = driver("a.mp4", "b.mp4", *slow, "-o", "out", "--workers", "2", seen="out/b/0002.png")
    os.killpg(process.pid, signal.SIGINT)

    assert process.wait(timeout=60) == 130
    assert gone(process.pid)
    assert not leftovers(tmp_path)
    assert not list((tmp_path / "tmp").iterdir())
    errors = (tmp_path / "errors").read_text()
    assert "Traceback" not in errors
    assert "b.mp4: stopped; the first " in errors


SHARES: dict[str, list[tuple[str, ...]]] = {
    "workers": [("--workers", "2")],
    "shards": [("--shard", f"{number}/3") for number in (1, 2, 3)],
    "parts": [("--parts", "3", "--workers", "2")],
}
"""What the commands say that together do all of the work."""


@pytest.mark.endurance
@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("way", SHARES)
def test_whatever_is_killed_the_bytes_are_the_same(
    driver: Callable[..., Any], clip_file: Path, tmp_path: Path, way: str, seed: int
) -> None:
    """Processes are killed at random frames, a driver at a random moment, and another helps."""
    chance = random.Random(seed)
    names = [f"{number}.mp4" for number in range(5)]
    for name in names:
        shutil.copy(clip_file, tmp_path / name)
    stills(tmp_path / "stills", 9)
    command = (*names, "stills", "-m", "mortal", "-O", "kills=kills", "-O", "delay=0.05")
    command += ("--save", "png,npy,overlay,csv", "--batch-size", "2")
    assert driver(*command, "-o", "calm").wait() == 0
    calm = everything(tmp_path / "calm")

    (tmp_path / "kills").mkdir()
    for number in chance.sample(range(1, 30), 3):
        (tmp_path / f"kills/{number}").touch()
    command += ("-o", "out")
    shares = SHARES[way]
    drivers = [driver(*command, *share) for share in shares]
    time.sleep(4 + chance.random() * 2)  # it takes some seconds to start
    drivers.append(driver(*command, *shares[0]))
    time.sleep(chance.random() * 2)
    drivers[0].send_signal(signal.SIGKILL)
    ended = [process.wait() for process in drivers]
    assert way == "shards" or ended[-1] == 0, (tmp_path / "errors").read_text()
    assert all(gone(process.pid) for process in drivers)
    for share in shares:  # without workers, a kill at a frame ends the driver
        assert 0 in (driver(*command, *share).wait() for _ in range(4))

    assert everything(tmp_path / "out") == calm
    assert not leftovers(tmp_path)


def rss(pid: int) -> int:
    """Megabytes of a process in memory."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) // 1024


def cpu(pid: int) -> float:
    """Seconds of CPU time of a process and those that it waited for."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.endurance
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
@pytest.mark.parametrize(("kind", "count"), [("stills", 10_000), ("clips", 500)])
def test_many_inputs_take_time_but_no_memory(
    fake_environment: Callable[..., dict[str, str]],
    clip_file: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    kind: str,
    count: int,
) -> None:
    """Each is done once, the last ones as fast as the first, and workers do not grow."""
    folder, inputs = tmp_path / "in", list[str]()
    folder.mkdir()
    for number in range(count):
        path = folder / f"{number:05d}{'.png' if kind == 'stills' else '.mp4'}"
        if kind == "stills":
            Image.new("RGB", (20, 12), (number % 250 + 1,) * 3).save(path)
        else:
            shutil.copy(clip_file, path)
        inputs.append(str(path))
    command = [sys.executable, "-m", "salcli", "predict", "in/*.*", "-m", "brightness"]
    command += ["--save", "npy", "--workers", "2", "--progress", "json", "-o", "out"]
    done, pids = list[str](), set[int]()
    memory, spent = list[int](), list[float]()
    with subprocess.Popen(
        command, cwd=tmp_path, env=fake_environment(), stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        for event in map(json.loads, process.stderr):
            if event["event"] != "finish":
                continue
            done.append(event["text"].partition(": ")[0])
            pids.add(pid := int(event["worker"].partition("@")[0]))
            if len(done) % (count // 10) == 0 and len(done) < count:
                memory.append(rss(pid))
                spent.append(sum(map(cpu, [process.pid, *pids])))
    assert process.returncode == 0
    assert sorted(done) == [each.removeprefix(f"{tmp_path}/") for each in inputs]
    steps = [late - early for early, late in itertools.pairwise(spent)]
    each = sum(steps) / (0.8 * count)
    with capsys.disabled():
        print(f"\n{count} {kind}: {1000 * each:.1f} ms of CPU time each, tenths:")
        print([f"{step:.1f} s" for step in steps], [f"{size} MB" for size in memory])
    assert max(memory[1:]) < 1.1 * memory[0] + 10
    assert sum(steps[-4:]) < 1.3 * sum(steps[:4])
