"""Several runs share one output folder: claims, temporary names, records, signals."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from salcli.errors import InputError
from salcli.files import atomic
from salcli.media.video import Video
from salcli.prediction import claims
from salcli.prediction.claims import ClaimedElsewhere, claimed
from salcli.processes import Process
from salcli.terminal.ending import Ending

Run = Callable[..., subprocess.CompletedProcess[str]]
Commands = Callable[..., Any]
"""Runs commands as processes; see tests/forking.py."""

FAKE = ("-m", "brightness")
SLOW = (*FAKE, "-O", "delay=0.02", "--batch-size", "1")
ALL = [part for name in ("png", "overlay", "heatmap", "csv") for part in ("--save", name)]


def ended_pid() -> int:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        pass
    return process.pid


def stills(folder: Path, count: int) -> None:
    folder.mkdir(parents=True)
    for number in range(count):
        Image.new("RGB", (20, 12), (5 * number,) * 3).save(folder / f"p{number}.png")


def everything(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def check_whole(folder: Path) -> None:
    """Every record names every file, with its size; every movie plays to the end."""
    records = list(folder.rglob("*salcli.json"))
    covered = set(records)
    for record in records:
        files = json.loads(record.read_text())["files"]
        assert {name: (record.parent / name).stat().st_size for name in files} == files
        covered |= {record.parent / name for name in files}
    assert covered == {path for path in folder.rglob("*") if path.is_file()}
    for movie in folder.rglob("*.mp4"):
        assert len(list(Video(movie))) == 12


def together(processes: Commands, folder: Path, clip: Path, *, rounds: int) -> None:
    """Four processes at once in one folder, again and again."""
    stills(folder / "in/many", 5)
    Image.new("RGB", (16, 16), (70,) * 3).save(folder / "in/lone.png")
    some = ("--save", "png", "--save", "overlay", "--save", "csv")
    command = ["predict", "in/lone.png", str(clip), "in/many", *FAKE, *some]
    assert processes([*command, "-o", "alone"], folder=folder).codes == [0]
    alone = everything(folder / "alone")
    for _ in range(rounds):
        ended = processes(*[[*command, "-o", "shared"]] * 4, folder=folder)
        assert ended.codes == [0] * 4, ended.errors
        check_whole(folder / "shared")
        assert everything(folder / "shared") == alone
        assert any("left to another process" in text for text in ended.errors)
        shutil.rmtree(folder / "shared")


def test_four_processes_at_once_make_what_one_makes(
    processes: Commands, clip_file: Path, tmp_path: Path
) -> None:
    together(processes, tmp_path, clip_file, rounds=5)


@pytest.mark.endurance
def test_ten_times_four_processes_and_kills_at_random(
    processes: Commands, clip_file: Path, tmp_path: Path
) -> None:
    together(processes, tmp_path, clip_file, rounds=10)
    chance = random.Random(13)
    command = ["predict", str(clip_file), "in/many", *SLOW, *ALL]
    assert processes([*command, "-o", "calm"], folder=tmp_path).codes == [0]
    calm = everything(tmp_path / "calm")
    for _ in range(50):
        after = chance.uniform(0.05, 0.9)
        processes(*[[*command, "-o", "killed"]] * 2, folder=tmp_path, after=after)
        if chance.random() < 0.3:
            ended = processes(*[[*command, "-o", "killed"]] * 2, folder=tmp_path)
            assert ended.codes == [0, 0], ended.errors
            assert everything(tmp_path / "killed") == calm
            shutil.rmtree(tmp_path / "killed")


CONTAINER = ("unshare", "--uts", "--net", "--pid", "--fork", "--mount-proc", "--kill-child")
"""Starts a process with number 1, a host name and a network of its own."""


@pytest.mark.endurance
@pytest.mark.parametrize("hosts", [("one", "two"), ("same", "same")])
def test_containers_share_a_folder(
    salcli: Run, fake_environment: Callable[..., dict[str, str]], tmp_path: Path, hosts: list[str]
) -> None:
    """Their processes have one number, and cannot see each other."""
    if subprocess.run([*CONTAINER, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this system does not permit namespaces")
    for number in range(6):
        stills(tmp_path / f"in/f{number}", 4)
    command = ["predict", "in", *FAKE, "-O", "delay=0.2", "--batch-size", "1", "--json"]
    assert salcli(*command, "-o", "calm").returncode == 0
    calm = everything(tmp_path / "calm")

    def start(host: str, output: str) -> subprocess.Popen[str]:
        script = f'hostname {host}; exec "$0" -m salcli "$@"'
        return subprocess.Popen(
            [*CONTAINER, "sh", "-c", script, sys.executable, *command, "-o", output],
            cwd=tmp_path,
            env=fake_environment(),
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def statuses(process: subprocess.Popen[str]) -> list[str]:
        document = json.loads(process.communicate()[0])
        assert process.returncode == 0
        return [each["status"] for each in document["inputs"]]

    both = [statuses(process) for process in [start(host, "both") for host in hosts]]
    assert sum(each.count("done") for each in both) == 6
    assert everything(tmp_path / "both") == calm

    killed = start(hosts[0], "out")
    while not (found := list((tmp_path / "out").rglob(".salcli-claim"))):
        assert killed.poll() is None
        time.sleep(0.1)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.communicate()
    holder = json.loads(found[0].read_bytes())
    assert (holder["pid"], holder["host"]) == (1, hosts[0])
    assert sorted(statuses(start(hosts[1], "out"))) == ["done"] * 5 + ["elsewhere"]
    os.utime(found[0], (time.time() - 200,) * 2)
    assert statuses(start(hosts[1], "out")).count("done") == 1
    assert everything(tmp_path / "out") == calm


def test_a_claimed_input_is_left_to_its_process(
    salcli: Run, clip_file: Path, tmp_path: Path
) -> None:
    image = tmp_path / "photo.png"
    Image.new("RGB", (9, 9)).save(image)
    with (
        claimed(tmp_path / "out/clip/.salcli-claim"),
        claimed(tmp_path / "out/.photo.salcli-claim"),
    ):
        run = salcli("predict", clip_file, image, *FAKE, "-o", "out", "--json")

        assert run.returncode == 0, run.stderr
        entries = json.loads(run.stdout)["inputs"]
        assert [entry["status"] for entry in entries] == ["elsewhere"] * 2
        assert f"left to another process; process {os.getpid()} on " in run.stderr
        assert "2 inputs: 2 left to other processes" in run.stderr
        assert not list((tmp_path / "out").rglob("*.png"))
    assert salcli("predict", clip_file, image, *FAKE, "-o", "out").returncode == 0
    check_whole(tmp_path / "out")


def write_claim(path: Path, process: Process, *, age: float = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(vars(process)))
    os.utime(path, (time.time() - age, time.time() - age))


@pytest.mark.parametrize(
    ("change", "age", "free"),
    [
        ({"pid": 0}, 0, True),  # stands for a process that has ended
        ({"start": "1"}, 0, True),  # its number was given to another one since
        ({}, 0, False),
        ({}, 200, True),
        ({"pid": 0, "host": "elsewhere"}, 0, False),  # whatever its number means there
        ({"pid": 0, "boot_id": "before"}, 170, False),
        ({"pid": 0, "host": "elsewhere"}, 200, True),
    ],
)
def test_a_claim_is_stale_when_its_process_ended_or_was_silent(
    tmp_path: Path, change: dict[str, object], age: float, free: bool
) -> None:
    if change.get("pid") == 0:
        change = {**change, "pid": ended_pid()}
    path = tmp_path / ".salcli-claim"
    write_claim(path, replace(Process.current(), **change), age=age)  # type: ignore[arg-type]
    if not free:
        with pytest.raises(ClaimedElsewhere), claimed(path):
            pass
        return
    with claimed(path), pytest.raises(ClaimedElsewhere), claimed(path):
        pass
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("content", [b"", b"{", b"[" * 10**5, b'{"pid": "x"}', b"\xff"])
def test_an_unreadable_claim_counts_for_three_minutes(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / ".salcli-claim"
    path.write_bytes(content)
    with pytest.raises(ClaimedElsewhere, match="another process works on it"), claimed(path):
        pass
    os.utime(path, (time.time() - 200,) * 2)
    with claimed(path):
        pass


def test_a_stale_claim_is_taken_over_by_one_of_many(tmp_path: Path) -> None:
    path = tmp_path / ".salcli-claim"
    dead = replace(Process.current(), pid=ended_pid(), start="")
    held, most, lock = [0], [0], threading.Lock()

    def take(barrier: threading.Barrier) -> None:
        barrier.wait()
        try:
            with claimed(path):
                with lock:
                    held[0] += 1
                    most[0] = max(most[0], held[0])
                time.sleep(0.002)
                with lock:
                    held[0] -= 1
        except ClaimedElsewhere:
            pass

    for _ in range(30):
        write_claim(path, dead)
        barrier = threading.Barrier(6)
        threads = [threading.Thread(target=take, args=(barrier,)) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not list(tmp_path.iterdir())
    assert most == [1]


def test_who_was_silent_too_long_leaves_the_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "TOUCH", 0)
    path = tmp_path / ".salcli-claim"
    with claimed(path) as mine:
        os.utime(path, (time.time() - 200,) * 2)
        mine.touch()
        assert time.time() - path.stat().st_mtime < 100  # it counts again
        os.utime(path, (time.time() - 200,) * 2)
        with claimed(path) as other:
            with pytest.raises(ClaimedElsewhere, match=f"process {os.getpid()} on "):
                mine.touch()
            other.touch()
            taken = path.read_bytes()
        path.write_bytes(taken)
    assert path.read_bytes() == taken  # what is not mine is not removed


def test_a_clock_that_jumps_frees_no_claim(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / ".salcli-claim"
    write_claim(path, Process.current())
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 10**6)
    with pytest.raises(ClaimedElsewhere), claimed(path):
        pass
    path.unlink()
    with claimed(path) as mine:
        monkeypatch.setattr(time, "time", lambda: now - 10**6)
        mine.touch()
        assert claims.holder_of(path) is not None


def test_only_the_leftovers_of_ended_processes_are_swept(tmp_path: Path) -> None:
    tag, pid = Process.current().tag, ended_pid()
    own = atomic.LEFTOVER.match(atomic.temporary(tmp_path / "0001.png").name)
    assert own
    assert (own[1], own[2]) == (tag, str(os.getpid()))
    gone = [f".salcli-{tag}-{pid}-0001.png", f"salcli-{tag}-{pid}-abc"]
    reused = f".salcli-{tag}-{os.getpid()}.1-0001.png"  # its number was given to this process
    kept = [
        atomic.temporary(tmp_path / "0001.png").name,
        f".salcli-{'0' * 8}-{pid}-0001.png",
        f".salcli-{tag}-{10**30}-x",
        ".salcli-claim",
    ]
    for name in (gone[0], reused, *kept):
        (tmp_path / name).touch()
    (tmp_path / gone[1]).mkdir()
    (tmp_path / gone[1] / "log").touch()

    atomic.sweep(tmp_path)

    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(kept)


def test_temporary_folders_of_ended_processes_are_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    left = tmp_path / f"salcli-{Process.current().tag}-{ended_pid()}-abc"
    left.mkdir()
    (left / "log").touch()

    with atomic.temporary_folder() as folder:
        assert list(tmp_path.iterdir()) == [folder]
    assert list(tmp_path.iterdir()) == []


def test_results_compare_by_hash_and_a_cut_file_is_not_finished(
    salcli: Run, clip_file: Path, tmp_path: Path
) -> None:
    for output in ("one", "two"):
        assert salcli("predict", clip_file, *FAKE, *ALL, "-o", output).returncode == 0
    whole = everything(tmp_path / "one")
    assert whole == everything(tmp_path / "two")
    movie = tmp_path / "one/clip/overlay.mp4"
    movie.write_bytes(movie.read_bytes()[:-1])

    run = salcli("predict", clip_file, *FAKE, *ALL, "-o", "one", "--verbose")

    assert "already done" not in run.stderr
    assert "12 maps in " in run.stderr
    assert everything(tmp_path / "one") == whole


def test_a_failed_input_is_noted_until_it_succeeds(salcli: Run, tmp_path: Path) -> None:
    source = tmp_path / "a.png"
    source.write_bytes(b"no image")
    arguments = ("predict", source, *FAKE, "-o", "out")
    note = tmp_path / "out/a/salcli.failed.json"

    assert salcli(*arguments).returncode == 1
    run = salcli(*arguments, "--retries", "2")
    assert run.returncode == 1
    assert run.stderr.count("; trying again") == 2
    known = json.loads(note.read_text())
    assert known["tries"] == 4
    assert "a.png' is neither an image nor a video" in known["error"]
    assert known["host"] == Process.current().host

    frames = tmp_path / "a"
    stills(frames, 2)
    assert salcli("predict", frames, *FAKE, "-o", "out").returncode == 0
    assert not note.exists()


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGINT"])
def test_signals_leave_nothing_temporary(
    processes: Commands, temporaries: Path, clip_file: Path, tmp_path: Path, name: str
) -> None:
    number, before = getattr(signal, name), set(temporaries.iterdir())
    slow = ["predict", str(clip_file), *FAKE, "-O", "delay=0.3", "--batch-size", "1", *ALL]

    ended = processes(slow, folder=tmp_path, after=1.0, number=number)

    assert ended.codes == [128 + number]
    assert "Traceback" not in ended.errors[0]
    assert not set(temporaries.iterdir()) - before
    assert not list((tmp_path / "saliency").rglob(".salcli-claim"))
    assert not [p for p in (tmp_path / "saliency").rglob(".*") if atomic.LEFTOVER.match(p.name)]


def test_further_signals_are_ignored_while_it_cleans_up(monkeypatch: pytest.MonkeyPatch) -> None:
    raised: list[int] = []
    monkeypatch.setattr(signal, "signal", lambda number, handler: None)
    monkeypatch.setattr(signal, "raise_signal", raised.append)
    ending = Ending()
    with pytest.raises(KeyboardInterrupt):
        ending.receive(signal.SIGTERM, None)
    for number in (signal.SIGINT, signal.SIGTERM):
        ending.receive(number, None)
    assert (ending.signal, raised) == (signal.SIGTERM, [])
    ending.receive(signal.SIGINT, None)
    assert raised == [signal.SIGINT]


def test_a_journal_of_anyone_removes_nothing_outside(salcli: Run, tmp_path: Path) -> None:
    stills(tmp_path / "in", 3)
    precious = tmp_path / "precious/thesis.png"
    precious.parent.mkdir()
    precious.write_bytes(b"years of work")
    assert salcli("predict", "in", *FAKE, "-o", "out").returncode == 0
    whole = everything(tmp_path / "out")
    journal = tmp_path / "out/in/salcli.part.json"
    head = {"settings": {}, "formats": ["png"], "batch_size": 1}
    outside = {"label": "../../precious/thesis"}
    for entry in (outside, {"label": "p0", "shape": [3]}, [["a"]], "p0", [], {"a": 1}, None):
        (tmp_path / "out/in/salcli.json").unlink()
        journal.write_text(f"{json.dumps(head)}\n{json.dumps(entry)}\n")

        run = salcli("predict", "in", *FAKE, "-o", "out")

        assert run.returncode == 0, run.stderr
        assert precious.exists()
        assert everything(tmp_path / "out") == whole
    for text in ("[" * 10**5, '{"settings": 1, "formats": "png", "batch_size": 2}\n["p0"]'):
        (tmp_path / "out/in/salcli.json").unlink()
        journal.write_text(text + "\n")
        assert salcli("predict", "in", *FAKE, "-o", "out").returncode == 0
    assert everything(tmp_path / "out") == whole


def test_a_claim_in_an_unwritable_place_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(atomic.OutputError, match="cannot write"), claimed(tmp_path / "file/c"):
        pass
    assert not issubclass(ClaimedElsewhere, InputError)
