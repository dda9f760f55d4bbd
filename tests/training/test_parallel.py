"""Two processes that share each batch do what one does, and one that dies is not waited for."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from salcli import checkpoint
from salcli.errors import UsageError
from salcli.model import create
from salcli.recipe import Recipe
from salcli.training.parallel import Ranks
from salcli.training.sampling import Corpus
from salcli.training.train import Running, train
from salcli.types import Recording

from .conftest import make_clip

Run = Callable[..., subprocess.CompletedProcess[str]]

TOLERANCE = 1e-5
"""Largest difference of a weight: gradients are summed in another order."""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("root")
    for number in range(7):
        make_clip(folder, f"clip{number}", 8, start=2 * number)
    return folder


def arguments(root: Path, output: Path, *more: str) -> list[str]:
    given = ["train", "--model", "little", "--root", str(root), "--device", "cpu"]
    return [
        *given,
        "--workers",
        "0",
        "--hold-out",
        "4",
        "--batch-size",
        "2",
        "-o",
        str(output),
        *more,
    ]


def torchrun(site: Path, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Two processes on this machine."""
    variables = {**os.environ, "PYTHONPATH": str(site), "OMP_NUM_THREADS": "1", **more}
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    command += ["--master-port", "0", "--rdzv-backend", "c10d", "--rdzv-endpoint", "localhost:0"]
    return subprocess.run(
        [*command, "-m", "salcli", *words],
        env=variables,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


def test_two_processes_equal_one(
    little: None, little_site: Path, salcli: Run, root: Path, tmp_path: Path
) -> None:
    alone, shared = tmp_path / "alone", tmp_path / "shared"
    for output in (alone, shared):
        more = ("--accumulation", "2", "--epochs", "3")
        if output is alone:
            done = salcli(*arguments(root, output, *more))
        else:
            done = torchrun(little_site, *arguments(root, output, *more))
        assert done.returncode == 0, done.stderr
    one, other = (checkpoint.read(folder / "best.safetensors") for folder in (alone, shared))
    assert max((one.state[k] - other.state[k]).abs().max().item() for k in one.state) < TOLERANCE
    for name, value in one.metadata["validation"]["all"].items():
        assert other.metadata["validation"]["all"][name] == pytest.approx(value, abs=1e-4)
    assert other.metadata["processes"] == 2
    assert done.stderr.count("best weights") == 1  # only the first process speaks
    lines = [(folder / "log.jsonl").read_text().count("\n") for folder in (alone, shared)]
    assert lines[0] == lines[1]


def test_a_process_that_dies_ends_the_run_from_which_one_goes_on(
    little: None, little_site: Path, root: Path, tmp_path: Path
) -> None:
    words = arguments(root, tmp_path / "run")
    died = torchrun(little_site, *words, DIE="1")
    assert died.returncode != 0
    assert "exitcode" in died.stderr
    assert "another process of this training ended" in died.stderr
    assert "this is a bug" not in died.stderr
    assert (tmp_path / "run" / "last.pt").exists()
    again = torchrun(little_site, *words)
    assert again.returncode == 0, again.stderr
    saved = checkpoint.read(tmp_path / "run" / "best.safetensors")
    assert all(tensor.isfinite().all() for tensor in saved.state.values())


def test_a_batch_that_cannot_be_shared_is_refused(
    little: None, clips: list[Recording], tmp_path: Path
) -> None:
    recipe = Recipe(1, 3, "sgd", 0.1)
    corpus = Corpus("c", "", clips, clips, 3, 1, 1, 1.0)
    with pytest.raises(UsageError, match="2 processes cannot share a batch of 3"):
        train(
            create("little", defaults={}),
            [corpus],
            recipe=recipe,
            output=tmp_path / "run",
            metadata={},
            running=Running(ranks=Ranks(0, 2)),
            report=lambda line: None,
        )
    assert not (tmp_path / "run").exists()
