"""Each model's own recipe on miniatures of its published data, interrupted and gone on with.

TempSAL is not among them: its smallest network has 112 million parameters, so that one run writes
four gigabytes. Its data, and one step of its training, are tested with the model.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from salcli import checkpoint

Run = Callable[..., subprocess.CompletedProcess[str]]


@dataclass(frozen=True)
class Course:
    """A training as the command line takes it.

    Attributes:
        data: Variables of datasets, and the miniatures that they name.
        arguments: What makes the published recipe a short one.
    """

    data: dict[str, str]
    arguments: str


COURSES = {
    "unisal": Course(
        {
            "DHF1K_DATA_DIR": "dhf1k",
            "HOLLYWOOD_DATA_DIR": "hollywood2",
            "UCFSPORTS_DATA_DIR": "ucfsports",
            "SALICON_DATA_DIR": "salicon",
        },
        "--recipe published --clip-length 2 --clip-stride 2 --batch-size 3 --lr 0.01 "
        "--evaluate none",
    ),
    "tased": Course(
        {"DHF1K_DATA_DIR": "dhf1k_long"},
        "-O input_size=32,64 -O clip_length=16 --clip-length 16 --batch-size 3 --accumulation 1 "
        "--epoch-steps 3 --lr 4",
    ),
    "salema": Course({"DHF1K_DATA_DIR": "dhf1k"}, "-O input_size=32,32 -O clip_length=5 --lr 1e-4"),
    "stsnet": Course(
        {"DIEM_DATA_DIR": "diem"},
        "-O input_size=32,32 --hold-out 2 --batch-size 1 --epoch-steps 3 --lr 1e-5",
    ),
}


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Arithmetic in one thread, as in the processes that the tests start: equal to the last bit."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def interrupted(arguments: list[str], output: Path) -> tuple[int, str]:
    """Start a training and send it SIGTERM once it has begun: exit code, what it said."""
    process = subprocess.Popen(
        [sys.executable, "-m", "salcli", *arguments],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 120
    while not (output / "last.pt").exists() and process.poll() is None:
        if time.monotonic() > deadline:
            break
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    _, complaint = process.communicate()
    return process.returncode, complaint


@pytest.mark.parametrize("name", COURSES)
def test_a_published_recipe_learns_and_goes_on_as_if_nothing_had_happened(
    name: str,
    salcli: Run,
    one_thread: None,
    miniature: Callable[[str], Path],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    course = COURSES[name]
    for variable, data in course.data.items():
        monkeypatch.setenv(variable, str(miniature(data)))

    def command(output: Path) -> list[str]:
        fixed = ["--epochs", "2", "--workers", "0", "--device", "cpu", "--json"]
        own = course.arguments.split()
        return ["train", "--model", name, *own, *fixed, "-o", str(output)]

    cut, whole = tmp_path / "cut", tmp_path / "whole"
    code, complaint = interrupted(command(cut), cut)
    assert code == 128 + signal.SIGTERM, complaint
    assert checkpoint.read_training(cut / "last.pt")["progress"]["step"] == 1
    lines = []
    for output in (cut, whole):
        done = salcli(*command(output))
        assert done.returncode == 0, done.stderr
        lines.append([json.loads(line) for line in done.stdout.splitlines()])
    states = [checkpoint.read_training(output / "last.pt")["network"] for output in (cut, whole)]
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[1])
    resumed, losses = (
        [line["losses"]["loss"] for line in found if "losses" in line] for found in lines
    )
    assert resumed == losses
    assert losses[-1] < losses[0]
    for output in (cut, whole):  # pytest keeps folders of earlier runs
        (output / "last.pt").unlink()
        (output / "best.safetensors").unlink()
