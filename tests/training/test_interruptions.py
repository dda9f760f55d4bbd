"""What ends a training before its time, and how it goes on."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from salcli import checkpoint

from .conftest import make_clip

Run = Callable[..., subprocess.CompletedProcess[str]]

EPOCHS = "4"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 11 clips as `--data folder` takes it; two of them validate."""
    folder = tmp_path_factory.mktemp("root")
    for number in range(11):
        make_clip(folder, f"clip{number:02d}", 8, start=number)
    return folder


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Arithmetic in one thread, as in the processes that the tests start: equal to the last bit."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def words(root: Path, output: Path, *more: str) -> list[str]:
    given = ["train", "--model", "little", "--root", str(root), "--device", "cpu"]
    return [*given, "--workers", "0", "--epochs", EPOCHS, "-o", str(output), *more]


def environment(site: Path, **more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(site), "OMP_NUM_THREADS": "1", **more}


def interrupt(site: Path, arguments: list[str], *, until: Callable[[], bool], how: int) -> Any:
    process = subprocess.Popen(
        [sys.executable, "-m", "salcli", *arguments],
        env=environment(site),
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 120
    while not until() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)
    process.send_signal(how)
    _, complaint = process.communicate()
    return process.returncode, complaint


def progress(output: Path) -> tuple[int, int]:
    """Epoch and step of the state in this folder."""
    found = checkpoint.read_training(output / "last.pt")["progress"]
    return found["epoch"], found["step"]


def test_a_training_that_is_stopped_anywhere_ends_as_if_it_was_not(
    little: None, little_site: Path, salcli: Run, root: Path, tmp_path: Path
) -> None:
    """Ended by SIGTERM between two steps, then killed where only regular checkpoints help."""
    cut, whole = tmp_path / "cut", tmp_path / "whole"
    more = ("--batch-size", "1", "--accumulation", "2")
    arguments = words(root, cut, *more)
    last, log = cut / "last.pt", cut / "log.jsonl"
    code, complaint = interrupt(little_site, arguments, until=last.exists, how=signal.SIGTERM)
    assert code == 128 + signal.SIGTERM, complaint
    assert complaint.splitlines()[-1].endswith(f"goes on from here in '{cut}'")
    assert progress(cut)[1] % 2 == 0

    def enough() -> bool:
        return log.exists() and log.read_bytes().count(b"\n") >= 4

    often = [*arguments, "--checkpoint-minutes", "0"]
    code, complaint = interrupt(little_site, often, until=enough, how=signal.SIGKILL)
    assert code == -signal.SIGKILL, complaint
    for output in (cut, whole):
        done = salcli(*words(root, output, *more, "--deterministic"))
        torch.use_deterministic_algorithms(False)
        assert done.returncode == 0, done.stderr
    one, other = (checkpoint.read(folder / "best.safetensors") for folder in (cut, whole))
    assert one.metadata == other.metadata
    assert all(torch.equal(tensor, other.state[key]) for key, tensor in one.state.items())
    finals = [checkpoint.read_training(folder / "last.pt") for folder in (cut, whole)]
    assert all(map(torch.equal, finals[0]["network"].values(), finals[1]["network"].values()))
    logs = [
        [json.loads(n) for n in (f / "log.jsonl").read_text().splitlines()] for f in (cut, whole)
    ]
    timed = ("seconds", "left")
    stripped = [[{k: v for k, v in n.items() if k not in timed} for n in lines] for lines in logs]
    assert stripped[0] == stripped[1]
    assert (cut / "curves.png").exists()


def test_a_corrupt_image_ends_the_run_and_what_was_done_stays(
    little: None, salcli: Run, root: Path, tmp_path: Path
) -> None:
    data = shutil.copytree(root, tmp_path / "data")
    spoilt = data / "images" / "clip05" / "0004.png"
    kept = spoilt.read_bytes()
    spoilt.write_bytes(kept[:60])
    arguments = words(data, tmp_path / "run", "--batch-size", "1", "--checkpoint-minutes", "0")
    done = salcli(*arguments, "--workers", "1")
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert str(spoilt) in lines[-1]
    before = progress(tmp_path / "run")
    spoilt.write_bytes(kept)
    assert salcli(*arguments).returncode == 0
    assert before < progress(tmp_path / "run") == (int(EPOCHS), 0)


def test_a_full_disk_leaves_the_last_checkpoint_whole(
    little: None, little_site: Path, salcli: Run, root: Path, tmp_path: Path
) -> None:
    stopped = tmp_path / "run"
    arguments = words(root, stopped)
    code, complaint = interrupt(
        little_site, arguments, until=(stopped / "log.jsonl").exists, how=signal.SIGTERM
    )
    assert code == 128 + signal.SIGTERM, complaint
    state = (stopped / "last.pt").read_bytes()
    limited = (
        "import resource, signal, runpy\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({len(state) // 2}, resource.RLIM_INFINITY))\n"
        "runpy.run_module('salcli', run_name='__main__')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", limited, *arguments],
        env=environment(little_site),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "cannot write" in done.stderr
    assert "last.pt" in done.stderr
    assert (stopped / "last.pt").read_bytes() == state
    assert salcli(*arguments).returncode == 0


def test_a_loss_that_is_no_number_keeps_the_last_checkpoint(
    little: None, salcli: Run, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FACTOR", "nan")
    done = salcli(*words(root, tmp_path / "new"))
    assert done.returncode == 1
    assert "the loss became nan in epoch 1, step 1" in done.stderr
    assert progress(tmp_path / "new") == (0, 0)


def test_missing_maps_are_told_before_anything_is_trained(
    little: None, salcli: Run, root: Path, tmp_path: Path
) -> None:
    data = shutil.copytree(root, tmp_path / "data")
    shutil.rmtree(data / "maps" / "clip03")
    shutil.rmtree(data / "fixations" / "clip03")
    done = salcli(*words(data, tmp_path / "run", "--dry-run"))
    assert "clip03" in done.stderr
    assert done.returncode == 0, done.stderr
    assert "rehearsed: " in done.stderr.splitlines()[-1]
    assert not (tmp_path / "run").exists()


def test_clips_can_have_videos_or_only_fixations(little: None, salcli: Run, tmp_path: Path) -> None:
    for number in range(3):
        make_clip(tmp_path / "data", f"clip{number}", 8)
    shutil.rmtree(tmp_path / "data" / "maps")
    done = salcli(*words(tmp_path / "data", tmp_path / "run"), "--hold-out", "3", "--epochs", "1")
    assert done.returncode == 0, done.stderr
    metadata = checkpoint.read(tmp_path / "run" / "best.safetensors").metadata
    assert metadata["data"]["recordings"] == {"train": 2, "valid": 1}
    assert metadata["precision"] == "float32"
    with Image.open(tmp_path / "run" / "curves.png") as picture:
        assert picture.size[0] > 100
