"""What somebody sees of a training, and what is done with its folder afterwards."""

from __future__ import annotations

import io
import json
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from salcli.errors import UsageError, WeightsError
from salcli.files import checkpoint
from salcli.terminal.steps import Steps
from salcli.weights.trained import chosen

from .conftest import log_of

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def train(little: None, salcli: Run, stills: Path, tmp_path: Path) -> Callable[..., list[str]]:
    """Train or finetune on the stills, and give what is said."""

    def run(*words: str | Path, model: str | Path = "tiny") -> list[str]:
        common = ["--hold-out", "4", "--device", "cpu", "--workers", "0"]
        done = salcli(*words, stills, "--model", model, *common)
        assert done.returncode == 0, done.stderr
        return done.stderr.splitlines()

    return run


def test_a_training_says_what_to_do_next(
    train: Callable[..., list[str]], salcli: Run, stills: Path, tmp_path: Path
) -> None:
    run = tmp_path / "runs" / "my run"
    said = train("train", "--epochs", "1", "-o", run)

    assert said[-2] == f"best weights: {run / 'best.safetensors'}"
    words = shlex.split(said[-1].removeprefix("next: salcli "))
    assert words == ["predict", "photo.jpg", "--model", str(run)]
    picture = min((stills / "images").iterdir())
    done = salcli("predict", picture, *words[2:], "--save", "png", "-o", tmp_path / "maps")
    assert done.returncode == 0, done.stderr
    assert "model tiny with my run/best.safetensors" in done.stderr
    scored = salcli("score", stills, "--model", run, "--baselines", "none", "--metrics", "CC")
    assert scored.returncode == 0, scored.stderr
    assert "CC" in scored.stdout


def test_the_weights_that_a_finetuning_starts_from_compete(
    train: Callable[..., list[str]], tmp_path: Path
) -> None:
    train("train", "--epochs", "1", "-o", tmp_path / "one")
    start = checkpoint.read(tmp_path / "one" / "best.safetensors")
    two = ("finetune", "--epochs", "1", "-o", tmp_path / "two", "--lr")

    said = train(*two, "50", model=tmp_path / "one")

    assert "no epoch was better than the weights that it started from; they are kept" in said
    kept = checkpoint.read(tmp_path / "two" / "best.safetensors")
    assert kept.metadata["epoch"] == -1
    assert all((tensor == kept.state[name]).all() for name, tensor in start.state.items())
    first, *_, last = (line for line in log_of(tmp_path / "two") if "validation" in line)
    assert (first["epoch"], first["best"], last["epoch"], last["best"]) == (-1, True, 0, False)
    assert first["validation"] == start.metadata["validation"]
    # the same command goes on, and does not begin again
    train(*two, "50", model=tmp_path / "one")
    assert len(log_of(tmp_path / "two")) == 3


def test_a_better_epoch_is_told_with_before_and_after(
    train: Callable[..., list[str]], tmp_path: Path
) -> None:
    train("train", "--epochs", "1", "-o", tmp_path / "one")
    said = train("finetune", "--epochs", "3", "-o", tmp_path / "two", model=tmp_path / "one")

    (verdict,) = (line for line in said if " was the best: CC went from 0." in line)
    change = float(verdict.rpartition("(")[2].removesuffix(")"))
    assert change > 0


def test_only_weights_of_a_training_stand_for_a_model(tmp_path: Path) -> None:
    assert chosen("unisal:open", None) == ("unisal:open", None)
    assert chosen(str(tmp_path), tmp_path / "w.pt") == (str(tmp_path), tmp_path / "w.pt")
    file = tmp_path / "best.safetensors"
    for content in (b"", b"\xff" * 80, (30).to_bytes(8, "little") + b'{"a": 1}'):
        file.write_bytes(content)
        with pytest.raises(WeightsError, match="does not say which model it is for"):
            chosen(str(tmp_path), None)
    header = json.dumps({"__metadata__": {"salcli": json.dumps({"model": "tiny"})}}).encode()
    file.write_bytes(len(header).to_bytes(8, "little") + header)
    assert chosen(str(tmp_path), None) == chosen(str(file), None) == ("tiny", file)
    with pytest.raises(UsageError, match="both name weights; drop one"):
        chosen(str(tmp_path), "other.pt")


def test_a_terminal_gets_a_bar_within_the_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    with Steps() as steps:
        steps.start("epoch 1/2", 4)
        for _ in range(3):
            steps.step()
        steps.note("a line above it")
    steps.note("a line after it")

    assert "epoch 1/2" in screen.getvalue()
    assert " 75%" in screen.getvalue()
    assert "a line above it" in screen.getvalue()
    assert screen.getvalue().endswith("a line after it\n")
