"""Finetuning that is killed again and again, at random moments."""

import random
import signal
import time
from pathlib import Path

import pytest

from salcli.files import checkpoint

from .conftest import Start

KILLS = 25


@pytest.mark.endurance
def test_a_finetuning_that_is_killed_often_ends_as_one_that_is_not(
    start: Start, stills: Path, tmp_path: Path
) -> None:
    data = ("--root", stills, "--hold-out", "4", "--batch-size", "1", "--workers", "0")
    common, old = (*data, "--device", "cpu", "--deterministic"), tmp_path / "old"
    code, said = start("train", "--model", "tiny", *common, "--epochs", "1", "-o", old).ended()
    assert code == 0, said
    weights = old / "best.safetensors"
    tune = ("finetune", "--model", "tiny", "--weights", weights, *common, "--epochs", "4")
    tune = (*tune, "--checkpoint-minutes", "0", "-o")
    began = time.monotonic()
    code, said = start(*tune, tmp_path / "calm").ended()
    assert code == 0, said
    seconds, chance, kills = time.monotonic() - began, random.Random(0), 0

    for _ in range(KILLS):
        running = start(*tune, tmp_path / "killed")
        time.sleep(chance.uniform(0, seconds / 2))
        if not running.process.is_alive():
            break
        running.process.kill()
        code, said = running.ended()
        assert code == -signal.SIGKILL, said
        kills += 1
    code, said = start(*tune, tmp_path / "killed").ended()

    assert code == 0, said
    assert kills > 2
    calm, killed = (checkpoint.read(tmp_path / n / "best.safetensors") for n in ("calm", "killed"))
    assert calm.state.keys() == killed.state.keys()
    assert all(calm.state[key].equal(killed.state[key]) for key in calm.state)
    assert not list((tmp_path / "killed").glob(".salcli-*"))
