"""What ends a training before its time, and how it goes on."""

import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image

from salcli.files import checkpoint

from .conftest import Start, log_of, make_clip, progress, ranks

Run = Callable[..., subprocess.CompletedProcess[str]]

EPOCHS = 4


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 11 clips as `--data folder` takes it; two of them validate."""
    folder = tmp_path_factory.mktemp("root")
    for number in range(11):
        make_clip(folder, f"clip{number:02d}", 6, start=number)
    return folder


def words(root: Path, output: Path, *more: str, model: str = "little") -> list[str | Path]:
    given: list[str | Path] = ["train", "--model", model, "--root", root, "--device", "cpu"]
    return [*given, "--workers", "0", "--epochs", str(EPOCHS), "-o", output, *more]


@pytest.mark.endurance
def test_a_training_that_is_stopped_anywhere_ends_as_if_it_was_not(
    start: Start, stills: Path, tmp_path: Path
) -> None:
    """Of 8 batches per epoch, two make a step; of 12 stills three are validated."""
    cut, whole = tmp_path / "cut", tmp_path / "whole"
    more = ("--hold-out", "4", "--batch-size", "1", "--accumulation", "2", "--deterministic")
    often = ("--checkpoint-minutes", "0")
    # In the middle of the first validation, which is done again.
    code, said = start(*words(stills, cut, *more, model="tiny"), END="SIGTERM predict 2").ended()
    assert code == 128 + signal.SIGTERM, said
    assert said.splitlines()[-1].endswith(f"the same command resumes in '{cut}'")
    assert progress(cut) == (0, 8)
    assert not any("validation" in line for line in log_of(cut))
    # Without a warning, in the third batch of the third epoch, and the machine died too.
    arguments = words(stills, cut, *more, *often, model="tiny")
    code, said = start(*arguments, END="SIGKILL learn 11").ended()
    assert code == -signal.SIGKILL, said
    assert progress(cut) == (2, 2)
    with (cut / "log.jsonl").open("a") as log:
        log.write('{"epoch": 2, "st')
    # Half-way to a step, which is made.
    code, said = start(*words(stills, cut, *more, model="tiny"), END="SIGINT learn 1").ended()
    assert code == 128 + signal.SIGINT, said
    assert progress(cut) == (2, 4)
    assert "going on from epoch 3, after step 2" in said
    assert "stopping after this step; once more ends at once" in said
    for output in (cut, whole):
        code, said = start(*words(stills, output, *more, model="tiny")).ended()
        assert code == 0, said
    one, other = (checkpoint.read(folder / "best.safetensors") for folder in (cut, whole))
    assert one.metadata == other.metadata
    assert all(torch.equal(tensor, other.state[key]) for key, tensor in one.state.items())
    finals = [checkpoint.read_training(folder / "last.pt") for folder in (cut, whole)]
    assert all(map(torch.equal, finals[0]["network"].values(), finals[1]["network"].values()))
    logs = [log_of(folder, without=("seconds", "left")) for folder in (cut, whole)]
    assert logs[0] == logs[1]
    assert len(logs[0]) == 2 * EPOCHS
    files = sorted(path.name for path in cut.iterdir() if path.is_file())
    assert files == ["best.safetensors", "curves.png", "last.pt", "log.jsonl"]


@pytest.mark.endurance
def test_processes_stop_together_and_a_repeated_signal_is_patient(
    start: Start, stills: Path, tmp_path: Path
) -> None:
    """Of three recordings process 1 validates one, and after it waits for process 0."""
    arguments = words(stills, tmp_path / "run", "--hold-out", "4", "--epochs", "1", model="tiny")
    signalled = {"END": "SIGTERM predict 1", "END_RANK": "1", "END_TIMES": "2"}
    for code, said in ranks(start, *arguments, **signalled):
        assert code == 128 + signal.SIGTERM, said
    assert progress(tmp_path / "run") == (0, 4)
    for code, said in ranks(start, *arguments):
        assert code == 0, said
    assert progress(tmp_path / "run") == (1, 0)


def test_a_second_signal_ends_at_once(start: Start, stills: Path, tmp_path: Path) -> None:
    arguments = words(stills, tmp_path / "run", model="tiny")
    code, said = start(*arguments, END="SIGTERM learn 2", END_TIMES="2").ended()
    assert code == -signal.SIGTERM, said
    assert progress(tmp_path / "run") == (0, 0)


def test_a_corrupt_image_ends_the_run_and_what_was_done_stays(
    little: None, salcli: Run, root: Path, tmp_path: Path
) -> None:
    data = shutil.copytree(root, tmp_path / "data")
    spoilt = data / "images" / "clip05" / "0004.png"
    kept = spoilt.read_bytes()
    spoilt.write_bytes(kept[:60])
    more = ("--batch-size", "1", "--checkpoint-minutes", "0", "--epochs", "1")
    arguments = words(data, tmp_path / "run", *more)
    done = salcli(*arguments, "--workers", "1")
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert str(spoilt) in lines[-1]
    before = progress(tmp_path / "run")
    spoilt.write_bytes(kept)
    assert salcli(*arguments).returncode == 0
    assert before < progress(tmp_path / "run") == (1, 0)


def test_a_full_disk_leaves_the_last_checkpoint_whole(
    start: Start, stills: Path, tmp_path: Path
) -> None:
    stopped = tmp_path / "run"
    arguments = words(stills, stopped, "--batch-size", "1", "--epochs", "1", model="tiny")
    code, said = start(*arguments, END="SIGTERM learn 2").ended()
    assert code == 128 + signal.SIGTERM, said
    state = (stopped / "last.pt").read_bytes()
    code, said = start(*arguments, FILE_LIMIT=str(len(state) // 2)).ended()
    assert code == 1
    assert "cannot write" in said
    assert "last.pt" in said
    assert (stopped / "last.pt").read_bytes() == state
    code, said = start(*arguments).ended()
    assert code == 0, said


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
    assert "dry run: " in done.stderr.splitlines()[-1]
    assert not (tmp_path / "run").exists()


def test_clips_can_have_only_fixations(little: None, salcli: Run, tmp_path: Path) -> None:
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
