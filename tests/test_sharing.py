"""Commands besides predict share their inputs out, and make what one process makes."""

from __future__ import annotations

import json
import pickle
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from queue import Queue
from typing import Any

import pytest
from PIL import Image

from salcli.scale.executor import Died, Message, Order, Reporter, hand_out, serve
from salcli.scale.processes import Processes
from salcli.scoring import predicted
from salcli.terminal.events import Watcher

Run = Callable[..., subprocess.CompletedProcess[str]]
Miniature = Callable[[str], Path]

FAKE = ("-m", "brightness")


class Threads:
    """A crew of threads, which are sent everything as processes are."""

    def __init__(self, order: bytes) -> None:
        self.order, self.inboxes = order, list[Queue[bytes]]()
        self.said: Queue[tuple[int, bytes]] = Queue()

    def hire(self) -> None:
        self.inboxes.append(Queue())
        threading.Thread(target=self.work, args=(len(self.inboxes) - 1,)).start()

    def work(self, number: int) -> None:
        def send(message: Message) -> None:
            self.said.put((number, pickle.dumps(message)))

        inbox = self.inboxes[number]
        serve(pickle.loads(self.order), "cpu", lambda: pickle.loads(inbox.get()), Reporter(send))
        send(Died("it ended"))

    def give(self, worker: int, unit: Any) -> None:
        self.inboxes[worker].put(pickle.dumps(unit))

    def hear(self) -> Iterator[tuple[int, Message]]:
        number, message = self.said.get(timeout=60)
        yield number, pickle.loads(message)

    def close(self) -> Iterator[tuple[int, Message]]:
        for inbox in self.inboxes:
            inbox.put(pickle.dumps(None))
        left = len(self.inboxes)
        while left:
            for number, message in self.hear():
                left -= isinstance(message, Died)
                yield number, message


@pytest.fixture
def in_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers are threads: to start processes takes seconds, and is tested elsewhere."""

    def run(
        self: Processes, order: Order[Any, Any], units: Sequence[Any], *, watcher: Watcher
    ) -> list[Any]:
        crew = Threads(pickle.dumps(order))
        return hand_out(crew, order, units, workers=len(self.devices), watcher=watcher)

    monkeypatch.setattr(Processes, "run", run)
    monkeypatch.setattr(predicted, "PART", 1)


@pytest.fixture
def commands(miniature: Miniature, clip_file: Path, tmp_path: Path) -> dict[str, list[Any]]:
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(3):
        Image.new("RGB", (40, 30), (80 * number,) * 3).save(photos / f"p{number}.png")
    (tmp_path / "broken.png").write_bytes(b"no image")
    videos = sorted(miniature("dhf1k_videos").glob("video/*.AVI"))
    clips, osie = miniature("dhf1k"), miniature("osie")
    return {
        "maps": ["datasets", "maps", "osie", "--root", osie, "--split", "all"],
        "frames": ["datasets", "frames", *videos[:3], "broken.png"],
        "check": ["datasets", "check", "dhf1k", "--root", clips, "--json"],
        "visualize": [
            *("visualize", "photos", clip_file, "photos/p1.png", "broken.png", *FAKE),
        ],
        "score": [
            *("score", "--data", "dhf1k", "--root", clips, "--split", "train", *FAKE),
            *("--metrics", "CC", "--baselines", "full"),
        ],
    }


def everything(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.usefixtures("in_threads")
@pytest.mark.parametrize("name", ["maps", "frames", "check", "visualize"])
def test_workers_of_two_shards_make_what_one_process_makes(
    salcli: Run, commands: dict[str, list[Any]], tmp_path: Path, name: str
) -> None:
    command = commands[name]
    if name == "check":  # it writes nothing, so that all of it is one report
        alone, shared = salcli(*command), salcli(*command, "--workers", "2")
        assert (alone.returncode, alone.stdout) == (shared.returncode, shared.stdout)
        assert json.loads(alone.stdout)[0]["recordings"] == 3
        return
    code = int("broken.png" in command)
    assert salcli(*command, "-o", "one").returncode == code

    first = salcli(*command, "-o", "two", "--workers", "2", "--shard", "1/2")

    assert first.returncode == 0, first.stderr
    assert "shard 1/2: " in first.stderr
    assert "the other shards must run, too" in first.stderr
    second = salcli(*command, "-o", "two", "--workers", "2", "--shard", "2/2")
    assert second.returncode == code, second.stderr
    assert everything(tmp_path / "two") == everything(tmp_path / "one")


@pytest.mark.usefixtures("in_threads")
def test_scores_wait_for_all_shards(
    salcli: Run, commands: dict[str, list[Any]], tmp_path: Path
) -> None:
    """That those of all parts make the same report is tested in tests/scoring/test_finished.py."""
    run = salcli(*commands["score"], "-o", "out", "--workers", "2", "--shard", "1/2", "--json")

    assert run.returncode == 0, run.stderr
    assert "shard 1/2: 2 of 3 parts; the other shards must run, too" in run.stderr
    assert "brightness: no report yet; 2 of 3 recordings are scored" in run.stderr
    assert json.loads(run.stdout) == []
    assert len(list((tmp_path / "out").rglob("*.jsonl"))) == 2
    assert not list((tmp_path / "out").rglob("scores.json"))


@pytest.mark.endurance
@pytest.mark.parametrize("name", ["maps", "frames", "check", "visualize", "score"])
def test_processes_make_what_one_process_makes(
    salcli: Run, commands: dict[str, list[Any]], tmp_path: Path, name: str
) -> None:
    made = []
    for folder, way in (("one", ()), ("two", ("--workers", "2"))):
        done = salcli(*commands[name], *(() if name == "check" else ("-o", folder)), *way)
        assert done.returncode in (0, 1), done.stderr
        files = everything(tmp_path / folder)
        reports = [name for name in files if name.endswith("scores.json")]
        documents = [json.loads(files.pop(name)) for name in reports]
        assert all(document.pop("seconds") > 0 for document in documents)
        made.append((files, documents, done.stdout.replace(f"{folder}/", "")))
    assert made[0] == made[1]


def test_what_cannot_be_shared_out_is_wrong_usage(
    salcli: Run, commands: dict[str, list[Any]], tmp_path: Path
) -> None:
    sheet = salcli(*commands["visualize"], "--contact-sheet", "--shard", "1/2")
    assert (sheet.returncode, "--contact-sheet shows all" in sheet.stderr) == (2, True)
    (tmp_path / "maps").mkdir()
    stored = [each for each in commands["score"] if each not in FAKE]
    run = salcli(*stored, "--predictions", "maps", "--workers", "2")
    assert (run.returncode, "need --model" in run.stderr) == (2, True), run.stderr
