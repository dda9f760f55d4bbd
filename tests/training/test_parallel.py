"""Two processes that share each batch do what one does, and one that dies is not waited for."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path
from typing import Any

import pytest
import torch

from salcli.datasets.folder import FolderOptions, open_folder
from salcli.errors import UsageError
from salcli.files import checkpoint
from salcli.models.loading import create
from salcli.models.model import Model
from salcli.recipe import WHOLE, Recipe, Source
from salcli.training.batches import Batches
from salcli.training.distributed import Ranks
from salcli.training.loader import Loader
from salcli.training.plan import Corpus
from salcli.training.train import Running, train
from salcli.types import Loss, Recording

from ..conftest import environment
from .conftest import SECONDS, Start, log_of, make_clip, ranks

Run = Callable[..., subprocess.CompletedProcess[str]]

TOLERANCE = 1e-5
"""Largest difference of a weight: gradients are summed in another order."""

PASS = 3
"""Frames per backward pass, of whole clips."""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seven clips of different lengths; two of them validate."""
    folder = tmp_path_factory.mktemp("root")
    for number in range(7):
        make_clip(folder, f"clip{number}", 5 + 2 * (number % 3), start=2 * number)
    return folder


def arguments(root: Path, output: Path, *more: str) -> list[str | Path]:
    given: list[str | Path] = ["train", "--model", "little", "--root", root, "--device", "cpu"]
    given += ["--workers", "0", "--hold-out", "4", "--batch-size", "2", "-o", output]
    return [*given, *more]


def test_two_processes_equal_one(
    little: None, salcli: Run, start: Start, root: Path, tmp_path: Path
) -> None:
    alone, shared = tmp_path / "alone", tmp_path / "shared"
    more = ("--accumulation", "2", "--epochs", "3")
    done = salcli(*arguments(root, alone, *more))
    assert done.returncode == 0, done.stderr
    (code, said), (other_code, other_said) = ranks(start, *arguments(root, shared, *more))
    assert (code, other_code) == (0, 0), said + other_said
    they_are_equal(alone, shared)
    assert (said.count("best weights"), other_said.count("best weights")) == (1, 0)


@pytest.mark.endurance
def test_torchrun_starts_processes_that_equal_one(
    little: None, little_site: Path, salcli: Run, root: Path, tmp_path: Path
) -> None:
    alone, shared = tmp_path / "alone", tmp_path / "shared"
    done = salcli(*arguments(root, alone))
    assert done.returncode == 0, done.stderr
    said = torchrun(little_site, *arguments(root, shared))
    they_are_equal(alone, shared)
    assert said.count("best weights") == 1  # only the first process speaks


def they_are_equal(alone: Path, shared: Path) -> None:
    """Weights, scores and losses of one process and of two are the same, but for rounding."""
    one, other = (checkpoint.read(folder / "best.safetensors") for folder in (alone, shared))
    assert farthest(one.state, other.state) < TOLERANCE
    for name, value in one.metadata["validation"]["all"].items():
        assert other.metadata["validation"]["all"][name] == pytest.approx(value, abs=1e-4)
    assert other.metadata["processes"] == 2
    losses = [
        [line["losses"]["kld"] for line in log_of(folder) if "losses" in line]
        for folder in (alone, shared)
    ]
    assert losses[1] == pytest.approx(losses[0], abs=1e-5)


def torchrun(site: Path, *words: str | Path) -> str:
    """`salcli` as two processes that train together: what they said."""
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    command += ["--rdzv-backend", "c10d", "--rdzv-endpoint", "localhost:0", "-m", "salcli"]
    done = subprocess.run(
        [*command, *map(str, words)],
        env=environment([site]),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


def farthest(one: Any, other: Any) -> float:
    return max(float((one[key] - other[key]).abs().max()) for key in one)


@pytest.mark.endurance
def test_whole_clips_go_side_by_side_and_on_after_a_process_died(
    start: Start, root: Path, tmp_path: Path
) -> None:
    options = ("-O", f"frames_per_pass={PASS}", "--clip-length", str(WHOLE), "--epochs", "2")
    words = arguments(root, tmp_path / "run", *options)
    (code, said), (died, _) = ranks(start, *words, DIE="1")
    assert (code, died) == (1, 9)
    assert "salcli: error: another process of this training ended" in said.splitlines()[-1]
    assert (tmp_path / "run" / "last.pt").exists()
    for code, said in ranks(start, *words):
        assert code == 0, said
    found = checkpoint.read_training(tmp_path / "run" / "last.pt")["network"]
    expected = side_by_side(root)
    assert farthest(expected, found) < TOLERANCE
    for code, said in ranks(start, *words, outputs=(tmp_path / "run", tmp_path / "elsewhere")):
        assert (code, said.count("\n")) == (2, 1)
        assert "choose an output folder that all nodes share" in said


def side_by_side(root: Path) -> dict[str, torch.Tensor]:
    """What two processes with a clip each should learn in two epochs, in one process by hand."""
    model = create("little", options=[f"frames_per_pass={PASS}"], defaults={})
    recipe = replace(model.recipes()["plain"], batch_size=2, clip_length=WHOLE)
    corpus = Corpus.of(open_folder([root], FolderOptions("4")), Source("folder"), recipe)
    torch.manual_seed(recipe.seed)
    model.network = model.build()
    optimiser = torch.optim.SGD(model.network.parameters(), recipe.learning_rate, recipe.momentum)
    loaders = [
        Loader(Batches([corpus], model, recipe=recipe, share=(number, 2)), workers=0)
        for number in range(2)
    ]
    several = 0
    for epoch in range(2):
        for pair in zip(*(loader.epoch(epoch) for loader in loaders), strict=True):
            for passes in zip_longest(*(losses_of(model, batch) for batch in pair)):
                losses = [loss.total(recipe.losses) for loss in passes if loss is not None]
                torch.autograd.backward(sum(losses) / len(losses))
                optimiser.step()
                optimiser.zero_grad()
                several += len(losses) == 1
    assert several  # clips differed in their passes, or nothing is tested
    return dict(model.network.state_dict())


def losses_of(model: Model, batch: Any) -> Iterator[Loss]:
    return iter(model.losses(batch))


@pytest.mark.parametrize(
    ("size", "length", "message"),
    [
        (3, 1, "2 processes cannot share a batch of 3"),
        (1, WHOLE, "2 processes need a batch size of 2, not 1"),
    ],
)
def test_a_batch_that_cannot_be_shared_is_refused(
    little: None, clips: list[Recording], tmp_path: Path, size: int, length: int, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        train(
            create("little", defaults={}),
            [Corpus("c", "", clips, clips, size, length, 1, 1.0)],
            recipe=Recipe(1, size, "sgd", 0.1),
            output=tmp_path / "run",
            metadata={},
            running=Running(ranks=Ranks(0, 2)),
            report=lambda line: None,
        )
    assert not (tmp_path / "run").exists()
