"""Every dataset has a protocol, and the protocols of models leave the files of their code."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import numpy as np
import pytest

Run = Callable[..., CompletedProcess[str]]
Miniature = Callable[[str], Path]
Read = Callable[[Path], dict[str, Any]]
Table = Callable[[Path], list[dict[str, str]]]

FAST = ("--metrics", "CC,NSS", "--baselines", "none")
"""Two metrics, one of maps and one of fixations."""


@pytest.mark.parametrize(
    ("name", "words", "protocol_name", "recordings"),
    [
        ("avimos", (), "ntire", 2),
        ("diem", ("--limit", "6"), "dhf1k", 1),
        ("hollywood2", (), "dhf1k", 2),
        ("ucfsports", (), "dhf1k", 2),
        ("mit1003", (), "mit", 20),
        ("salicon", (), "mit", 3),
        ("folder", (), "dhf1k", 4),
    ],
)
def test_every_dataset_has_a_protocol_and_can_be_scored(
    salcli: Run,
    miniature: Miniature,
    tmp_path: Path,
    name: str,
    words: tuple[str, ...],
    protocol_name: str,
    recordings: int,
    read: Read,
) -> None:
    root = miniature("clips" if name == "folder" else name)
    done = salcli("score", "--data", name, "--root", root, "-m", "centre", *FAST, *words)
    assert done.returncode == 0, done.stderr
    report = read(tmp_path / "scores" / "centre")
    assert report["protocol"]["name"] == protocol_name
    assert report["dataset"]["recordings scored"] == recordings
    assert report["dataset"]["frames scored"] == report["dataset"]["frames chosen"]


def test_salemas_protocol_leaves_an_array_of_videos_and_metrics(
    salcli: Run, miniature: Miniature, tmp_path: Path, table: Table
) -> None:
    data = ("--data", "dhf1k", "--root", miniature("dhf1k"), "--protocol", "salema")
    assert salcli("score", *data, "-m", "brightness", *FAST).returncode == 0
    folder = tmp_path / "scores" / "brightness"
    rows = table(folder / "videos.csv")
    expected = [[float(row["CC"]), float(row["NSS"])] for row in rows]
    assert np.load(folder / "metrics.npy").tolist() == expected


def test_unisals_protocol_leaves_the_files_of_its_code(
    salcli: Run, miniature: Miniature, tmp_path: Path, table: Table
) -> None:
    data = ("--data", "dhf1k", "--root", miniature("dhf1k"), "--protocol", "unisal")
    assert salcli("score", *data, "-m", "brightness", "--baselines", "none").returncode == 0
    folder = tmp_path / "scores" / "brightness"
    videos, macro, weighted = (
        json.loads((folder / f"DHF1K_eval_{name}.json").read_text())
        for name in ("scores", "mean_scores", "weighted_mean_scores")
    )
    names = ("KLD", "NSS", "CC", "SIM", "AUC-Judd", "s-AUC")
    rows = table(folder / "videos.csv")
    assert videos == [[float(row[name]) for name in names] for row in rows]
    assert macro == pytest.approx(np.mean(videos, axis=0))
    assert weighted[:4] == pytest.approx(np.average(videos, axis=0, weights=[8, 7])[:4])
