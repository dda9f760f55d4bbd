"""`salcli bench` on fake models, in real processes; what is tested is what it counts, not speed."""

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest
import torch

from salcli.bench.compare import ways as ways_of
from salcli.bench.worker import RunSettings
from salcli.plugins import registry

Run = Callable[..., CompletedProcess[str]]
SMALL = ("--frames", "5", "--size", "64x48", "-q")
MACS = 3 * 64 * 48
"""Of the fake network, a 1x1 convolution of three channels to one."""


def ways(run: CompletedProcess[str]) -> dict[str, dict]:
    assert run.returncode == 0, run.stderr
    return {way["way"]: way for way in json.loads(run.stdout)["ways"]}


@pytest.mark.endurance
def test_ways_are_compared_with_the_default(salcli: Run) -> None:
    found = ways(
        salcli(
            *("bench", "-m", "brightness", *SMALL, "--laps", "2", "--json"),
            *("--compare", "inverted", "--precision", "bfloat16"),
        )
    )
    assert list(found) == ["default", "inverted"]
    assert all(way["maps"] == 5 and way["macs"] == MACS for way in found.values())
    assert found["default"]["difference"] == 0
    assert found["inverted"]["difference"] > 0.5
    for way in found.values():
        assert way["speed_up"] == pytest.approx(way["seconds"] / found["default"]["seconds"])
        assert way["maps_per_second"] == pytest.approx(5 / way["seconds"])
        assert way["memory"] > 100e6
        assert way["precision"] == "bfloat16"


@pytest.mark.endurance
def test_the_table_says_what_ran_on_a_real_clip(salcli: Run, clip_file: Path) -> None:
    model = ("-m", "unisal:best", "--untrained", "--offline")  # its weights are not here
    run = salcli("bench", clip_file, *model, "--frames", "3")
    assert run.returncode == 0, run.stderr
    first, titles, default = run.stdout.splitlines()
    assert first.startswith("unisal:best, untrained on cpu (")
    assert ", float32; 3 frames; convolution peak " in first
    assert titles.split()[:4] == ["WAY", "MAPS/S", "SPEED-UP", "GMAC/MAP"]
    assert default.split()[:3:2] == ["default", "1.00"]
    assert float(default.split()[3]) > 0.5
    assert run.stderr.splitlines() == [
        "default: loading and warming up",
        "default: timed run 1 of 1",
        "default: last run, counting",
    ]


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (["--compare", "faster"], 2, "named 'faster'; known: inverted, auto, float32"),
        (["--compare", "speed=9"], 2, "no option of model 'brightness' named 'speed'"),
        (["--size", "64"], 2, "'--size': 64 is not WxH"),
        (["-m", "failing"], 4, "model 'failing' failed"),
    ],
)
def test_what_cannot_run_is_told(
    arguments: list[str], code: int, complaint: str, salcli: Run
) -> None:
    run = salcli("bench", "-m", "brightness", *SMALL, *arguments)
    assert run.returncode == code
    assert complaint in run.stderr
    assert "Traceback" not in run.stderr
    assert run.stdout == ""


def test_data_are_held_against_the_networks_appetite(
    salcli: Run, miniature: Callable[[str], Path]
) -> None:
    arguments = ("bench", "--what", "data", "-m", "salema", "-O", "input_size=16,16")
    more = ("-O", "variant=static", "--workers", "1", "--batches", "1")
    data = ("--data", f"osie={miniature('osie')}")
    run = salcli(*arguments, *more, *data, "--json")
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout)
    assert found["batch"] == 1
    assert found["workers"] == 1
    assert found["starving"] == (found["delivered"] < found["eaten"])
    few = salcli(*arguments, *more[:-1], "99", *data)
    assert few.returncode == 2
    assert "batches, and" in few.stderr


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_memory_of_the_accelerator_is_told(salcli: Run) -> None:
    found = ways(salcli("bench", *SMALL, "--device", "cuda", "--json"))
    assert found["default"]["device_memory"] > 10e6


def test_stages_are_timed_one_by_one(salcli: Run, clip_file: Path) -> None:
    run = salcli("bench", clip_file, "-m", "brightness", "--frames", "5", "--stages", "--json")
    assert run.returncode == 0, run.stderr
    found = {stage["name"]: stage for stage in json.loads(run.stdout)}
    assert next(iter(found)) == "decode"
    assert list(found)[-1] == "all, to files"
    assert {"preprocess", "8 bit", "PNG", "overlay"} < set(found)
    assert all(stage["milliseconds"] > 0 and stage["cpu"] >= 0 for stage in found.values())
    assert found["all, to files"]["milliseconds"] > found["decode"]["milliseconds"]


def test_engines_are_ways_to_run_a_model() -> None:
    spec, _ = registry.model("centre")
    found = ways_of(spec, RunSettings("centre"), ["onnxruntime"])
    assert [way.engine for way in found.values()] == ["torch", "onnxruntime"]
