"""Shards share out the inputs of a command."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from salcli.errors import UsageError
from salcli.scale.shards import Shard, parse_shard

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.mark.parametrize(
    ("environment", "shard"),
    [
        ({"RANK": "3", "WORLD_SIZE": "8"}, Shard(4, 8)),
        ({"SLURM_PROCID": "0", "SLURM_NTASKS": "2"}, Shard(1, 2)),
        ({"AWS_BATCH_JOB_ARRAY_INDEX": "6", "AWS_BATCH_JOB_ARRAY_SIZE": "7"}, Shard(7, 7)),
        ({"JOB_COMPLETION_INDEX": "1", "JOB_COMPLETIONS": "5"}, Shard(2, 5)),
        ({"RANK": "0", "WORLD_SIZE": "2", "SLURM_PROCID": "1", "SLURM_NTASKS": "4"}, Shard(1, 2)),
    ],
)
def test_schedulers_say_which_shard_it_is(environment: dict[str, str], shard: Shard) -> None:
    assert parse_shard("auto", environment) == shard


def array(task: int, *, first: int = 1, last: int, count: int) -> dict[str, str]:
    names = {"ID": task, "MIN": first, "MAX": last, "COUNT": count}
    return {f"SLURM_ARRAY_TASK_{name}": str(value) for name, value in names.items()}


def test_an_array_of_slurm_is_counted_from_its_first_task() -> None:
    assert parse_shard("auto", array(1, last=4, count=4)) == Shard(1, 4)
    assert parse_shard("auto", array(14, first=10, last=18, count=3)) == Shard(2, 3)
    assert parse_shard("auto", array(5, first=5, last=5, count=1)) == Shard(1, 1)
    tasks = {"SLURM_PROCID": "1", "SLURM_NTASKS": "2"}
    found = [
        parse_shard("auto", {**array(n, last=3, count=3), **tasks, "SLURM_PROCID": p})
        for n in (1, 2, 3)
        for p in ("0", "1")
    ]
    assert found == [Shard(number, 6) for number in range(1, 7)]


@pytest.mark.parametrize("text", ["", "0/3", "4/3", "1", "1/0", "a/b", "-1/2", "1/2/3", "Auto"])
def test_what_is_no_shard_is_wrong_usage(text: str) -> None:
    with pytest.raises(UsageError, match="neither auto nor two numbers"):
        parse_shard(text, {})


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"RANK": "3"},
        {"JOB_COMPLETION_INDEX": "0"},
        {"RANK": "x", "WORLD_SIZE": "2"},
        {"RANK": "2", "WORLD_SIZE": "2"},
        array(2, last=8, count=3),
    ],
)
def test_a_scheduler_that_does_not_say_it_all_is_told(environment: dict[str, str]) -> None:
    with pytest.raises(UsageError):
        parse_shard("auto", environment)


def test_all_shards_make_what_one_run_makes(
    salcli: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "in").mkdir()
    names = ("a.png", "b.png", "a.bmp", "c.png", "d.png")
    for number, name in enumerate(names):
        Image.new("RGB", (9, 7), (40 * number,) * 3).save(tmp_path / "in" / name)
    inputs = [Path("in", name) for name in names]

    def everything(folder: str) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in (tmp_path / folder).iterdir()}

    salcli("predict", *inputs, "-m", "brightness", "-o", "one")
    for number in (1, 2):
        run = salcli("predict", *inputs, "-m", "brightness", "-o", "all", "--shard", f"{number}/3")
        assert run.returncode == 0
        assert f"shard {number}/3: 2 of 5 inputs; the other shards must run, too" in run.stderr
    assert len(everything("all")) == 12
    for name, value in array(3, last=3, count=3).items():
        monkeypatch.setenv(name, value)
    assert (
        salcli("predict", *inputs, "-m", "brightness", "-o", "all", "--shard", "auto").returncode
        == 0
    )
    assert everything("all") == everything("one")

    wrong = salcli("predict", *inputs, "-m", "brightness", "--shard", "4/3")
    assert wrong.returncode == 2
    assert "shard '4/3' is neither auto" in wrong.stderr


@pytest.mark.parametrize("seed", range(3))
def test_shards_that_are_killed_at_random_frames_go_on_to_the_same_bytes(
    processes: Callable[..., Any], clip_file: Path, tmp_path: Path, seed: int
) -> None:
    chance, names = random.Random(seed), ["a.mp4", "b.mp4", "c.mp4"]
    for name in names:
        shutil.copy(clip_file, tmp_path / name)
    command = ["predict", *names, "-m", "brightness", "--save", "png", "--batch-size", "2"]
    assert processes([*command, "-o", "one"], folder=tmp_path).codes == [0]

    for number in (1, 2):
        share = [*command, "-o", "all", "--shard", f"{number}/2"]
        killed = processes(share, folder=tmp_path, kill_at=chance.randrange(1, 13))
        assert killed.codes == [-signal.SIGKILL]
        assert processes(share, folder=tmp_path).codes == [0]

    one, every = (
        {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.*")}
        for folder in (tmp_path / "one", tmp_path / "all")
    )
    assert every == one
