"""`salcli finetune`: from given weights, stated before and after, with what is published."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from salcli.files import checkpoint
from salcli.models.loading import create
from salcli.recipe import Source

from .conftest import make_clip

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("root")
    for number in range(5):
        make_clip(folder, f"clip{number}", 8, start=3 * number)
    return folder


def common(root: Path, output: Path) -> list[str | Path]:
    more: list[str | Path] = ["--root", root, "--hold-out", "4", "--workers", "0", "-o", output]
    return [*more, "--device", "cpu"]


def test_any_model_goes_on_from_weights_and_says_what_it_gained(
    little: None, salcli: Run, root: Path, tmp_path: Path
) -> None:
    first = [*common(root, tmp_path / "one"), "--model", "little", "--epochs", "1"]
    assert salcli("train", *first).returncode == 0
    start = tmp_path / "one" / "best.safetensors"
    again = [*common(root, tmp_path / "two"), "--model", "little", "--weights", start, "--json"]
    done = salcli("finetune", *again, "--lr", "0.6", "--epochs", "3", "--lr-gamma", "0.5")
    assert done.returncode == 0, done.stderr
    lines = [json.loads(text) for text in done.stdout.splitlines()]
    change, last = lines[-2:]
    saved = checkpoint.read(Path(last["weights"])).metadata
    assert change["before"] == checkpoint.read(start).metadata["validation"]
    assert change["after"] == saved["validation"]
    assert change["after"]["all"]["CC"] > change["before"]["all"]["CC"]
    assert saved["start"] == "best.safetensors"
    recipe = saved["recipe"]
    assert (recipe["schedule"], recipe["gamma"], recipe["learning_rate"]) == (
        "exponential",
        0.5,
        0.6,
    )
    rates = [line["rate"] for line in lines if "rate" in line]
    assert rates == pytest.approx([0.3, 0.15, 0.075])


def test_scores_on_what_was_not_trained_on_follow(
    little: None, salcli: Run, root: Path, tmp_path: Path
) -> None:
    """Of the data of the training the part that validates; of others all, and what is known."""
    first = [*common(root, tmp_path / "one"), "--model", "little", "--epochs", "1"]
    done = salcli("train", *first, "--evaluate", "folder")
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[-2].startswith("folder  valid by dhf1k  AUC-Judd 0.")
    report = json.loads((tmp_path / "one" / "evaluation" / "folder" / "scores.json").read_text())
    kept = [video["name"].rpartition("/")[2] for video in report["videos"]]
    assert kept == ["clip0", "clip4"]
    assert "were trained on" not in done.stderr
    start = tmp_path / "one" / "best.safetensors"
    for name in ("clip0", "clip1"):
        for kind in ("images", "maps", "fixations"):
            (tmp_path / "mine" / kind).mkdir(parents=True, exist_ok=True)
            (tmp_path / "mine" / kind / name).symlink_to(root / kind / name)
    again = [*common(root, tmp_path / "two"), "--model", "little", "--weights", start, "--json"]
    wanted = ["--epochs", "1", "--evaluate", f"folder:all={tmp_path / 'mine'}"]
    done = salcli("finetune", *again, *wanted)
    assert done.returncode == 0, done.stderr
    line = json.loads(done.stdout.splitlines()[-1])
    assert (line["evaluation"], line["split"]) == ("mine-all", "all")
    report = json.loads((tmp_path / "two" / "evaluation" / "mine-all" / "scores.json").read_text())
    assert len(report["videos"]) == 2
    assert "mine-all: of its recordings 1 were trained on" in done.stderr
    assert line["scores"]["CC"] == report["scores"]["CC"]["frames"]["mean"]


def test_what_makes_no_sense_is_refused(
    little: None, salcli: Run, root: Path, tmp_path: Path
) -> None:
    given = [*common(root, tmp_path / "o"), "--model", "little"]
    mistakes: list[tuple[list[str | Path], str]] = [
        ([], "has no published weights; name a weights file"),
        (["--weights", root / "gone"], "does not exist"),
        (["--fold", "1"], "no option of the data named 'fold'"),
        (["--train-cnn-after", "1"], "does not say which parameters are the encoder"),
    ]
    torch.save(create("little", defaults={}).network.state_dict(), tmp_path / "w.pth")
    for more, message in mistakes:
        start: list[str | Path] = (
            ["--weights", tmp_path / "w.pth"] if more[:1] != ["--weights"] else []
        )
        done = salcli("finetune", *given, *(start if more else []), *more)
        assert message in done.stderr, done.stderr
        assert done.returncode in (2, 3)
    nothing = salcli("train", "--model", "little", "-o", tmp_path / "o")
    assert "nothing to train on: name a dataset or a folder" in nothing.stderr
    both = salcli(
        "train", "--model", "little", "--data", f"folder={root}", "--data", "osie", "--root", root
    )
    assert "say NAME=DIR for each" in both.stderr
    assert not (tmp_path / "o").exists()


def test_unisal_knows_the_published_sources_and_recipes() -> None:
    model = create("unisal", defaults={})
    recipes = model.recipes()
    published = recipes["published"]
    assert [source.dataset for source in published.sources] == [
        *("dhf1k", "hollywood2", "ucfsports", "salicon")
    ]
    for recipe in recipes.values():
        groups = {recipe.group(name).prefix for name, _ in model.network.named_parameters()}
        assert groups == {"", "cnn."}
        assert all(isinstance(source, Source) for source in recipe.sources)
    sizes = {
        domain: model.in_domain(domain).preprocess([frame])[0].shape[1:]
        for domain, frame in {
            "DHF1K": torch.zeros(360, 640, 3).byte().numpy(),
            "Hollywood": torch.zeros(300, 400, 3).byte().numpy(),
            "SALICON": torch.zeros(480, 640, 3).byte().numpy(),
            "MIT1003": torch.zeros(1024, 700, 3).byte().numpy(),
        }.items()
    }
    assert {name: tuple(size) for name, size in sizes.items()} == {
        "DHF1K": (224, 384),
        "Hollywood": (224, 416),
        "SALICON": (288, 384),
        "MIT1003": (416, 288),
    }
