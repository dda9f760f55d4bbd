"""What is told while salcli works: lines, events for programs, and what comes before torch."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from salcli.terminal.progress import MANY, Lines, clock

Run = Callable[..., subprocess.CompletedProcess[str]]


def test_a_line_now_and_then_says_how_far_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    lines = Lines(3, every=0.0)
    lines.start("clip", 4)
    lines.step()
    lines.finish("clip: done")
    lines.start("next", 1)
    lines.step()
    lines.step()  # more than the header promised

    first, done, second, third = capsys.readouterr().err.splitlines()
    assert first.startswith("clip: 1 of 4 frames (25%), ")
    assert "frames/s; 0:0" in first
    assert "0 of 3 inputs done, 0:0" in first
    assert done == "clip: done"
    assert second.startswith("next: 1 of 1 frames (100%)")
    assert third.startswith("next: 2 of 2 frames (100%)")


def test_many_inputs_have_no_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    lines = Lines(MANY + 1)
    for number in range(MANY):
        lines.start("one", 1)
        lines.finish(f"{number}: done")
    lines.fail("the last one is broken")

    assert capsys.readouterr().err == "salcli: error: the last one is broken\n"


def test_a_length_of_time() -> None:
    assert [clock(seconds) for seconds in (0, 59.6, 3723)] == ["0:00", "1:00", "1:02:03"]


def test_events_tell_all_of_a_run(salcli: Run, clip_file: Path) -> None:
    run = salcli("predict", clip_file, "nothing.png", "-m", "brightness", "--progress", "json")

    events = [json.loads(line) for line in run.stderr.splitlines()]
    kinds = [event["event"] for event in events]
    assert run.returncode == 1
    assert [*dict.fromkeys(kinds)] == ["note", "start", "step", "finish", "fail"]
    assert events[0]["text"] == "loading brightness ..."
    start, step = events[kinds.index("start")], events[kinds.index("step")]
    assert (start["input"], start["frames"]) == ("clip", 12)  # of a video: by its duration
    assert (step["done"], step["frames"], step["inputs"], step["inputs_done"]) == (1, 12, 2, 0)
    assert step["seconds_left"] >= 0
    finish, fail = events[kinds.index("finish")], events[kinds.index("fail")]
    assert (finish["inputs_done"], fail["inputs_done"]) == (1, 2)
    assert "12 maps" in finish["text"]
    assert "nothing.png" in fail["text"]
    assert {event["worker"].partition("@")[0].isdigit() for event in events} == {True}


def test_the_sum_of_several_inputs(salcli: Run, tmp_path: Path) -> None:
    for number in range(MANY + 1):
        Image.new("RGB", (8, 8)).save(tmp_path / f"{number}.png")
    run = salcli("predict", "*.png", "-m", "brightness")
    assert run.returncode == 0
    loading, model, total, picture = run.stderr.splitlines()
    assert loading == "loading brightness ..."
    assert model.startswith("model brightness on cpu")
    assert total.startswith("21 inputs: 21 done, 21 maps, ")
    assert picture == "to look at: saliency/0.overlay.png"

    again = salcli("predict", "*.png", "-m", "brightness").stderr.splitlines()
    assert again[-2] == "21 inputs: 21 already done"


def test_a_dry_run_says_what_it_would_take(salcli: Run, clip_file: Path, tmp_path: Path) -> None:
    Image.new("RGB", (64, 48)).save(tmp_path / "photo.png")
    command = ("predict", clip_file, "photo.png", "-m", "brightness", "--save", "npy")
    run = salcli(*command, "--dry-run", "--json")

    found = json.loads(run.stdout)
    assert run.returncode == 0, run.stderr
    assert (found["inputs"], found["frames"], found["sampled"]) == (2, 13, 8)
    assert found["space"]["npy"] == pytest.approx(13 * (4 * 64 * 48 + 128), abs=1)
    assert found["seconds"] > 0
    assert found["fits"]
    assert not (tmp_path / "saliency").exists()
    shown = salcli(*command, "--save", "overlay", "--dry-run").stdout.splitlines()
    assert [line.split()[0] for line in shown] == ["inputs", "time", "npy", "overlay", "free"]
    assert shown[0].endswith("2, about 13 frames")


def test_a_dry_run_tells_inputs_that_cannot_be_read(salcli: Run, clip_file: Path) -> None:
    run = salcli("predict", clip_file, "nothing.png", "-m", "brightness", "--dry-run")

    assert run.returncode == 1
    assert "'nothing.png' does not exist" in run.stderr
    assert "1, about 12 frames" in run.stdout


NO_TORCH = "import sys\nsys.exit('torch is imported')\n"


@pytest.fixture
def without_torch(salcli_process: Run, make_site: Callable[..., Path], tmp_path: Path) -> Run:
    """Run salcli where importing torch ends the process."""
    site = make_site("salcli_fake")
    (site / "torch").mkdir()
    (site / "torch/__init__.py").write_text(NO_TORCH)
    Image.new("RGB", (8, 8)).save(tmp_path / "photo.png")
    return lambda *arguments: salcli_process(*arguments, sites=[site])


@pytest.mark.parametrize("command", ["predict", "visualize", "report", "aoi --area a=0,0,1,1"])
def test_something_is_said_before_torch_is_imported(without_torch: Run, command: str) -> None:
    run = without_torch(*command.split(), "photo.png", "-m", "brightness")

    assert run.stderr == "loading brightness ...\ntorch is imported\n"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ("predict none.png none.mp4", 1, "'none.mp4' does not exist"),
        ("predict photo.png --device tpu", 2, "tpu is none of auto, cpu"),
        ("predict photo.png -O gain=much", 2, "option gain=much of model 'brightness'"),
        ("predict photo.png --data nothing", 2, "name either INPUT or a dataset"),
        ("visualize none.png", 1, "'none.png' does not exist"),
        ("report none.png", 1, "'none.png' does not exist"),
        ("aoi none.png --area a=0,0,1,1", 1, "'none.png' does not exist"),
        ("aoi photo.png --area a=0,0,1", 2, "a=0,0,1"),
        ("aoi photo.png --areas none.json", 2, "none.json"),
    ],
)
def test_wrong_usage_is_told_before_torch_is_imported(
    without_torch: Run, arguments: str, code: int, message: str
) -> None:
    run = without_torch(*arguments.split(), "-m", "brightness")

    assert run.returncode == code, run.stderr
    assert message in run.stderr
    assert "torch is imported" not in run.stderr
