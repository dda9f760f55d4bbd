"""Which domain a dataset is predicted in, when nobody says so and when somebody does."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from salcli_unisal.model import Unisal

from salcli.model import create

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.mark.parametrize(
    ("name", "options", "domain"),
    [
        ("dhf1k", {}, "DHF1K"),
        ("hollywood2", {}, "Hollywood"),
        ("ucfsports", {}, "UCFSports"),
        ("salicon", {}, "SALICON"),
        ("mit1003", {}, "SALICON"),
        ("mit300", {}, "SALICON"),
        ("diem", {}, "auto"),
        ("ucfsports", {"domain": "DHF1K"}, "DHF1K"),
        ("ucfsports", {"sources": ("SALICON",)}, "SALICON"),
        ("ucfsports", {"sources": ("DHF1K", "SALICON")}, "auto"),
    ],
)
def test_a_dataset_has_its_domain(name: str, options: dict[str, Any], domain: str) -> None:
    model = create("unisal", options=options, defaults={})
    assert isinstance(model, Unisal)
    assert model.for_dataset(name).options.domain == domain
    assert model.options.domain == options.get("domain", "auto")


@pytest.fixture
def two_frames(miniature: Callable[[str], Path], tmp_path: Path) -> Path:
    """UCF-Sports with one clip of two frames."""
    clip = Path("testing") / "Golf-Swing-Back-001"
    for path in (miniature("ucfsports") / clip).rglob("*_00[12].png"):
        target = tmp_path / "ucf" / path.relative_to(miniature("ucfsports"))
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    return tmp_path / "ucf"


def test_the_commands_take_the_domain_of_the_dataset(
    salcli: Run, two_frames: Path, weights: Path, tmp_path: Path
) -> None:
    data = ("--data", "ucfsports", "--root", two_frames, "--device", "cpu")
    own = ("--model", "unisal", "--weights", weights)
    found = {}
    for asked in ("", "UCFSports", "Hollywood"):
        words = ["-O", f"domain={asked}", "--overwrite"] if asked else []
        done = salcli("score", *data, *own, *words, "--metrics", "KLD", "--baselines", "none")
        assert done.returncode == 0, done.stderr
        (path,) = (tmp_path / "scores").glob("*/scores.json")
        report = json.loads(path.read_text())
        assert report["predictions"]["options"]["domain"] == (asked or "UCFSports")
        found[asked] = report["scores"]["KLD"]["frames"]["mean"]
    assert found[""] == found["UCFSports"] != found["Hollywood"]
    done = salcli("predict", *data, *own, "-o", tmp_path / "maps")
    assert done.returncode == 0, done.stderr
    record = json.loads((tmp_path / "maps" / "Golf-Swing-Back-001" / "salcli.json").read_text())
    assert record["settings"]["options"]["domain"] == "UCFSports"
