"""Which domain is used to predict a dataset, by default and when it is given."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from salcli_unisal.model import Unisal

from salcli.authoring import create

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


def test_the_commands_take_the_domain_of_the_dataset(
    salcli: Run, part: Callable[..., Path], weights: Path, tmp_path: Path
) -> None:
    root = part("ucfsports", "testing/Golf-Swing-Back-001/*/*_00[12].png")
    data = ("--data", "ucfsports", "--root", root, "--device", "cpu")
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
