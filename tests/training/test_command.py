"""`salcli train`: what it says, what it leaves, and what it refuses."""

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from salcli.files import checkpoint
from salcli.models.loading import load_model

from .conftest import log_of, make_stills

Run = Callable[..., subprocess.CompletedProcess[str]]


def settings(data: Path, output: Path) -> list[str | Path]:
    given: list[str | Path] = ["--root", data, "--model", "tiny", "--hold-out", "4"]
    return [*given, "--device", "cpu", "--workers", "0", "-o", output]


def test_the_command_reports_and_its_weights_predict(
    little: None, salcli: Run, stills: Path, tmp_path: Path
) -> None:
    done = salcli("train", *settings(stills, tmp_path / "run"), "--epochs", "2")
    assert (done.returncode, done.stdout) == (0, "")
    lines = done.stderr.splitlines()
    assert lines[:2] == [
        "training tiny from scratch on cpu, 2 epochs",
        "  folder: 9 to train on, 3 to validate on",
    ]
    assert lines[2].startswith("epoch 1/2  step 4/4  loss ")
    assert re.search(r"  \d+:\d\d left$", lines[2])
    assert "validation all" in done.stderr
    assert "(best so far)" in done.stderr
    best = tmp_path / "run" / "best.safetensors"
    assert lines[-2:] == [
        f"best weights: {best}",
        f"next: salcli predict photo.jpg --model {tmp_path / 'run'}",
    ]
    metadata = checkpoint.read(best).metadata
    assert metadata["data"] == {
        "layout": ["folder"],
        "edition": [""],
        "options": ["hold_out=4"],
        "roots": ["spots"],
        "recordings": {"train": 9, "valid": 3},
    }
    assert metadata["recipe"]["epochs"] == 2
    assert metadata["versions"].keys() == {"salcli", "salcli-little"}
    image = stills / "images" / "0.png"
    predicted = salcli("predict", image, "--model", "tiny", "--weights", best, "-o", tmp_path / "p")
    assert predicted.returncode == 0
    assert (tmp_path / "p" / "0.png").is_file()
    again = salcli("train", *settings(stills, tmp_path / "run"), "--epochs", "2")
    assert again.stderr.splitlines() == lines[-2:]


def test_json_lines_are_the_log_of_a_network_that_is_built_once(
    little: None, salcli: Run, stills: Path, tmp_path: Path
) -> None:
    from salcli_little import model

    model.done.clear()
    changes = ("--epochs", "1", "--gradient-clip", "0.5", "--seed", "3")
    done = salcli("train", *settings(stills, tmp_path / "run"), *changes, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert model.done["build"] == 1
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert lines[:-1] == log_of(tmp_path / "run")
    best = tmp_path / "run" / "best.safetensors"
    assert lines[-1] == {"weights": str(best)}
    recipe = checkpoint.read(best).metadata["recipe"]
    assert (recipe["epochs"], recipe["gradient_clip"], recipe["seed"]) == (1, 0.5, 3)


def test_weights_to_start_from_bring_their_options(
    little: None, salcli: Run, stills: Path, tmp_path: Path
) -> None:
    words: list[str | Path] = ["train", *settings(stills, tmp_path / "one"), "--model", "little"]
    done = salcli(*words, "--epochs", "1", "--clip-length", "1", "-O", "frames_per_pass=3")
    assert done.returncode == 0, done.stderr
    best = tmp_path / "one" / "best.safetensors"
    words[words.index(tmp_path / "one")] = tmp_path / "two"
    done = salcli(*words, "--epochs", "1", "--clip-length", "1", "--start", best)
    assert done.returncode == 0, done.stderr
    further = tmp_path / "two" / "best.safetensors"
    assert checkpoint.read(further).metadata["start"] == best.name
    loaded = load_model("little", weights_file=further, device="cpu")
    assert loaded.model.options.frames_per_pass == 3


def test_mistakes_end_with_one_line(
    little: None, salcli: Run, stills: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    single = make_stills(tmp_path / "single", 1)
    (tmp_path / "no-maps" / "images").mkdir(parents=True)
    (tmp_path / "no-maps" / "images" / "a.png").touch()
    spoilt = make_stills(tmp_path / "spoilt", 8)
    for image in (spoilt / "images").iterdir():
        image.write_bytes(b"spoilt")
    (tmp_path / "file").touch()
    good = settings(stills, tmp_path / "o")
    mistakes: list[tuple[list[str | Path], int, str]] = [
        (settings(tmp_path / "empty", tmp_path / "o"), 1, "has no folder 'images'"),
        (settings(tmp_path / "no-maps", tmp_path / "o"), 1, "neither a map"),
        (settings(spoilt, tmp_path / "o1"), 1, ".png' is not an image"),
        (settings(single, tmp_path / "o"), 1, "nothing of the split 'train'"),
        (settings(stills, tmp_path / "file"), 1, "cannot write"),
        ([*good, "--recipe", "shor"], 2, "did you mean short"),
        ([*good, "--recipe", "never"], 2, "no metric named 'CCC'"),
        ([*good, "--start", tmp_path / "gone"], 3, "does not exist"),
        ([*good, "--data", "folders"], 2, "did you mean folder"),
        ([*good, "--model", "brightness"], 2, "cannot be trained"),
        ([*good, "--model", "unisal:open", "--start", tmp_path / "file"], 2, "drop one"),
        ([*good, "--hold-out", "1"], 2, "hold-out 1"),
    ]
    for arguments, code, message in mistakes:
        done = salcli("train", *arguments)
        assert done.stderr.count("\n") == 1, done.stderr
        assert message in done.stderr
        assert (done.returncode, done.stdout) == (code, ""), done.stderr
    assert not (tmp_path / "o").exists()


def test_help_states_the_layout(salcli: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    done = salcli("train", "--help")
    for text in ("images/NAME.jpg", "maps/NAME.png", "fixations/NAME.mat", "best.safetensors"):
        assert text in done.stdout
