"""`salcli.train` and `salcli.finetune` do in Python what the commands do."""

import json
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from salcli import finetune, train
from salcli.errors import UsageError
from salcli.files import checkpoint

from .conftest import log_of

Run = Callable[..., subprocess.CompletedProcess[str]]

CLOCK = ("seconds", "left")


def same(one: Path, other: Path) -> None:
    """Weights, their metadata and the logs, but for the time that they took."""
    weights, others = checkpoint.read(one), checkpoint.read(other)
    assert weights.metadata == others.metadata
    assert weights.state.keys() == others.state.keys()
    assert all(torch.equal(tensor, others.state[key]) for key, tensor in weights.state.items())
    assert log_of(one.parent, without=CLOCK) == log_of(other.parent, without=CLOCK)


def test_train_is_the_command(
    little: None, one_thread: None, salcli: Run, stills: Path, tmp_path: Path
) -> None:
    lines = list[Mapping[str, Any]]()
    best = train(
        "tiny",
        output=tmp_path / "python",
        roots=[stills],
        data_options={"hold_out": "4"},
        epochs=2,
        batch_size=3,
        learning_rate=0.02,
        workers=0,
        device="cpu",
        report=lines.append,
    )
    assert best == tmp_path / "python" / "best.safetensors"
    assert lines[:-1] == log_of(tmp_path / "python")
    assert lines[-1] == {"weights": str(best)}
    recipe = checkpoint.read(best).metadata["recipe"]
    assert (recipe["batch_size"], recipe["learning_rate"]) == (3, 0.02)

    words = ("--root", stills, "--hold-out", "4", "--workers", "0", "--device", "cpu")
    changes = ("--epochs", "2", "--batch-size", "3", "--lr", "0.02")
    output = tmp_path / "command"
    done = salcli("train", "--model", "tiny", *words, *changes, "-o", output)
    assert done.returncode == 0, done.stderr
    same(best, output / "best.safetensors")


def test_finetune_is_the_command_and_evaluates(
    little: None, one_thread: None, salcli: Run, stills: Path, tmp_path: Path
) -> None:
    common: dict[str, Any] = {"roots": [stills], "data_options": ["hold_out=4"], "workers": 0}
    common |= {"device": "cpu", "epochs": 1}
    start = train("tiny", output=tmp_path / "start", **common)
    lines = list[Mapping[str, Any]]()
    best = finetune(
        "tiny",
        output=tmp_path / "python",
        weights=start,
        evaluate=["folder"],
        report=lines.append,
        **common,
    )
    change, _, scored = lines[-3:]
    assert change["before"] == checkpoint.read(start).metadata["validation"]
    report = json.loads((Path(scored["report"]) / "scores.json").read_text())
    assert scored["scores"]["CC"] == report["scores"]["CC"]["images"]["mean"]

    words = ("--root", stills, "--hold-out", "4", "--workers", "0", "--device", "cpu")
    output = tmp_path / "command"
    done = salcli(
        "finetune", "--model", "tiny", "--weights", start, *words, "--epochs", "1", "-o", output
    )
    assert done.returncode == 0, done.stderr
    same(best, output / "best.safetensors")


def test_what_makes_no_sense_is_refused(little: None, stills: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nothing to train on"):
        train("tiny", output=tmp_path / "o")
    with pytest.raises(UsageError, match="no published weights"):
        finetune("tiny", output=tmp_path / "o", roots=[stills])
    assert not (tmp_path / "o").exists()
