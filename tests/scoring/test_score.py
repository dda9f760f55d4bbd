"""`salcli score`: values, averages, baselines, and what a report states."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from salcli.datasets.open import open_dataset
from salcli.gaze import groundtruth
from salcli.plugins import registry
from salcli.protocols import protocol
from salcli.protocols.preparation import GroundTruth
from salcli.protocols.scorer import Scorer

Run = Callable[..., CompletedProcess[str]]
Miniature = Callable[[str], Path]
Read = Callable[[Path], dict[str, Any]]
Table = Callable[[Path], list[dict[str, str]]]
Brightness = Callable[[Path], np.ndarray[Any, Any]]

FAST = ("--metrics", "CC,NSS", "--baselines", "none")
"""Two metrics, one of maps and one of fixations."""


def test_values_are_those_of_textbook_loops_and_the_mean_is_over_images(
    salcli: Run,
    miniature: Miniature,
    tmp_path: Path,
    read: Read,
    table: Table,
    brightness: Brightness,
) -> None:
    root = miniature("osie")
    words = ("--metrics", "cc,NSS,auc", "--baselines", "none", "--protocol", "tuebingen")
    done = salcli("score", "--data", "osie", "--root", root, "-m", "brightness", *words)
    assert done.returncode == 0, done.stderr
    expected: dict[str, dict[str, float]] = {}
    for recording in open_dataset("osie", [root]).recordings("all"):
        map_ = brightness(recording.source).astype(float)
        truth = np.asarray(Image.open(root / "maps" / f"{recording.source.stem}.png"), float)
        points = groundtruth.read_fixations(recording.annotations[0], map_.shape).points
        fixated = map_[points[:, 1].astype(int), points[:, 0].astype(int)]
        wins = [np.mean((map_ < f) + 0.5 * (map_ == f)) for f in fixated]
        expected[recording.name] = {
            "CC": np.corrcoef(map_.ravel(), truth.ravel())[0, 1],
            "NSS": ((fixated - map_.mean()) / map_.std()).mean(),
            "AUC": np.mean(wins),
        }
    rows = table(tmp_path / "scores" / "brightness" / "scores.csv")
    assert [row["recording"] for row in rows] == list(expected)
    for row in rows:
        for name, value in expected[row["recording"]].items():
            # ties in float32 are broken otherwise than in what the model computes
            assert float(row[name]) == pytest.approx(value, abs=1e-3 if name == "AUC" else 1e-5)
    document = read(tmp_path / "scores" / "brightness")
    for name, found in document["scores"].items():
        mean = np.mean([values[name] for values in expected.values()])
        assert found["images"]["mean"] == pytest.approx(mean, abs=1e-3)
        assert found["images"]["low"] < mean < found["images"]["high"]
        assert found["undefined"] == 0
        assert f"{mean:.4f}"[:5] in done.stdout


def test_a_report_states_what_makes_numbers_comparable(
    salcli: Run, miniature: Miniature, tmp_path: Path, read: Read
) -> None:
    root = miniature("osie")
    words = ("--protocol", "tuebingen", "--metrics", "all", "--seed", "5", "--split", "valid")
    done = salcli("score", "--data", "osie", "--root", root, "-m", "brightness", *words)
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "scores" / "brightness"
    report = read(folder)
    assert report["format"] == "salcli-scores"
    assert report["protocol"]["name"] == "tuebingen"
    assert report["protocol"]["seed"] == 5
    assert report["protocol"]["metrics"]["NSS"]["settings"]["ddof"] == 0
    assert "all fixations" in report["protocol"]["negatives"]
    assert report["dataset"]["split"] == "valid"
    assert report["dataset"]["frames scored"] == report["dataset"]["frames"] == 2
    assert report["ground truth"]["density"] == {"read from files": 2}
    assert report["ground truth"]["kernel"]["name"] == "default"
    assert report["ground truth"]["kernel"]["border"] == "nothing"
    assert report["ground truth"]["information gain against"]["sigma_x"] > 0
    assert report["predictions"]["weights"] == {"file": None, "sha256": None}
    assert report["predictions"]["options"]["mode"] == "plain"
    assert report["predictions"]["sizes"] == {"float32 48x36 on 48x36": 2}
    assert report["versions"]["salcli-fake"] == "1.5"
    assert {"salcli", "torch", "numpy", "python"} <= report["versions"].keys()
    assert report["bootstrap"]["over"] == "images"
    assert set(report["baselines"]) == {"priors", "centre", "mean-map", "observers"}
    assert report["baselines"]["priors"]["frames"] == 10
    assert {path.name for path in folder.iterdir()} == {
        *("scores.json", "scores.csv", "scores.md", "videos.csv", "distribution.png"),
    }
    with Image.open(folder / "distribution.png") as picture:
        assert picture.size == (800, 100 * (1 + 2 * 7))
    told = (folder / "scores.md").read_text()
    assert "| IG |" in told
    assert "protocol tuebingen, version 1" in told


def test_baselines_are_the_models_of_their_names_and_observers_stand_above(
    salcli: Run, miniature: Miniature, tmp_path: Path, read: Read
) -> None:
    """The fixations of the miniatures are random, but for an own set of images with one target."""
    root = tmp_path / "own"
    for number in range(1001, 1022):
        place = np.array([[10 + number % 7, 8]])
        (root / "images").mkdir(parents=True, exist_ok=True)
        (root / "fixations").mkdir(exist_ok=True)
        noise = np.random.default_rng(number).integers(0, 255, (36, 48, 3), np.uint8)
        Image.fromarray(noise).save(root / "images" / f"{number}.png")
        fields = [("location", "O"), ("timestamp", "O"), ("fixations", "O")]
        gaze = np.zeros((3, 1), dtype=fields)
        for observer in range(3):
            gaze[observer, 0]["fixations"] = place + 1 + observer % 2
        savemat(root / "fixations" / f"{number}.mat", {"gaze": gaze, "resolution": [[36, 48]]})
    data = ("--data", "osie", "--root", root, "--split", "valid", "--metrics", "NSS,CC")
    assert salcli("score", *data, "-m", "brightness").returncode == 0
    report = read(tmp_path / "scores" / "brightness")
    assert report["ground truth"]["density"] == {"made of fixations": 3}
    found = report["baselines"]
    widths = found["priors"]["centre"]
    done = salcli(
        *("score", *data, "-m", "centre", "--baselines", "none"),
        *("-O", f"sigma_x={widths['sigma_x']}", "-O", f"sigma_y={widths['sigma_y']}"),
    )
    assert done.returncode == 0, done.stderr
    centre = read(tmp_path / "scores" / "centre")["scores"]
    for name in ("NSS", "CC"):
        value = found["centre"]["scores"][name]["mean"]
        assert value == pytest.approx(centre[name]["images"]["mean"], abs=1e-6)
    model = found["observers"]["the model on these frames"]["NSS"]
    assert model == pytest.approx(report["scores"]["NSS"]["images"]["mean"], abs=1e-12)
    nss = [found[n]["scores"]["NSS"]["mean"] for n in ("centre", "mean-map", "observers")]
    assert model < nss[1] < nss[2]
    assert nss[0] < nss[1]
    assert "CC" not in [n for n, v in found["observers"]["scores"].items() if v["mean"] is not None]


def test_clips_are_averaged_both_ways_and_drawn_over_time(
    salcli: Run, miniature: Miniature, tmp_path: Path, read: Read, table: Table
) -> None:
    data = ("--data", "dhf1k", "--root", miniature("dhf1k"))
    done = salcli("score", *data, "-m", "trail", *FAST)
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "scores" / "trail"
    report, frames = read(folder), table(folder / "scores.csv")
    assert report["protocol"]["name"] == "dhf1k"
    assert report["bootstrap"]["over"] == "videos"
    by_video = {
        video: np.array([float(row["CC"]) for row in frames if row["recording"] == video])
        for video in ("valid/0601", "valid/0602")
    }
    assert [len(values) for values in by_video.values()] == [8, 7]
    found = report["scores"]["CC"]
    assert list(found)[:2] == ["frames", "videos"]
    pooled = np.concatenate(list(by_video.values())).mean()
    assert found["frames"]["mean"] == pytest.approx(pooled, abs=1e-12)
    means = [values.mean() for values in by_video.values()]
    assert found["videos"]["mean"] == pytest.approx(np.mean(means), abs=1e-12)
    assert found["videos"]["low"] == pytest.approx(min(means))
    assert found["videos"]["high"] == pytest.approx(max(means))
    videos = table(folder / "videos.csv")
    assert [(row["recording"], row["frames"]) for row in videos] == [
        ("valid/0601", "8"),
        ("valid/0602", "7"),
    ]
    assert [float(row["CC"]) for row in videos] == pytest.approx(means, abs=1e-12)
    with Image.open(folder / "over-time.png") as picture:
        assert picture.size == (800, 500)
        assert len(np.unique(np.asarray(picture))) > 2


def test_a_protocol_that_takes_a_share_of_the_frames_leaves_the_others_empty(
    salcli: Run, miniature: Miniature, tmp_path: Path, read: Read, table: Table
) -> None:
    data = ("--data", "dhf1k", "--root", miniature("dhf1k"), "--protocol", "unisal")
    words = ("--metrics", "AUC-Judd,CC", "--baselines", "none")
    assert salcli("score", *data, "-m", "brightness", *words).returncode == 0
    rows = table(tmp_path / "scores" / "brightness" / "scores.csv")
    filled = {name: sum(row[name] != "" for row in rows) for name in ("AUC-Judd", "CC")}
    assert filled == {"AUC-Judd": 4 + 3, "CC": 15}
    report = read(tmp_path / "scores" / "brightness")
    assert report["scores"]["AUC-Judd"]["undefined"] == 0
    assert list(report["scores"]["CC"])[:2] == ["videos", "frames"]


def test_without_fixations_the_other_metrics_are_scored_and_the_report_says_so(
    salcli: Run, osie: Path, tmp_path: Path, read: Read
) -> None:
    shutil.rmtree(osie / "fixations")
    data = ("--data", "osie", "--root", osie, "-m", "brightness", "--split", "valid")
    done = salcli("score", *data)
    assert done.returncode == 0, done.stderr
    report = read(tmp_path / "scores" / "brightness")
    assert list(report["scores"]) == ["SIM", "CC", "KLD"]
    assert set(report["protocol"]["left out"]) == {"AUC-Judd", "AUC-Borji", "s-AUC", "NSS"}
    assert "without AUC-Judd, AUC-Borji, s-AUC, NSS: fixations are needed" in done.stdout
    assert "observers" not in report["baselines"]


def test_a_limit_draws_frames_by_the_seed_and_json_is_the_report(
    salcli: Run, miniature: Miniature, tmp_path: Path, read: Read, table: Table
) -> None:
    data = ("--data", "dhf1k", "--root", miniature("dhf1k"), "-m", "brightness", *FAST)
    chosen = []
    for seed in ("1", "1", "2"):
        done = salcli("score", *data, "--limit", "6", "--seed", seed, "--json", "-q")
        assert done.returncode == 0, done.stderr
        (document,) = json.loads(done.stdout)
        assert document == read(tmp_path / "scores" / "brightness")
        rows = table(tmp_path / "scores" / "brightness" / "scores.csv")
        assert document["dataset"]["frames chosen"] == len(rows) == 6
        chosen.append([(row["recording"], row["frame"], row["CC"]) for row in rows])
        assert not done.stderr
    assert chosen[0] == chosen[1] != chosen[2]
    assert salcli("score", *data).returncode == 0
    every = table(tmp_path / "scores" / "brightness" / "scores.csv")
    assert {*chosen[0]} < {(row["recording"], row["frame"], row["CC"]) for row in every}


def test_groups_are_averaged_apart(salcli: Run, tmp_path: Path, read: Read, table: Table) -> None:
    random = np.random.default_rng(1)
    for root in ("indoor", "outdoor"):
        for name in ("a", "b"):
            for kind in ("images", "maps"):
                (tmp_path / root / kind).mkdir(parents=True, exist_ok=True)
                pixels = random.integers(0, 255, (20, 30), np.uint8)
                Image.fromarray(pixels).save(tmp_path / root / kind / f"{name}.png")
    roots = ("--root", tmp_path / "indoor", "--root", tmp_path / "outdoor")
    words = ("-m", "brightness", "--metrics", "CC", "--baselines", "none")
    assert salcli("score", "--data", "folder", *roots, *words).returncode == 0
    report = read(tmp_path / "scores" / "brightness")
    rows = table(tmp_path / "scores" / "brightness" / "scores.csv")
    for group in ("indoor", "outdoor"):
        mean = np.mean([float(row["CC"]) for row in rows if row["group"] == group])
        assert report["groups"][group]["images"]["CC"] == pytest.approx(mean, abs=1e-12)


def test_each_frame_is_measured_as_the_protocol_alone_would(
    salcli: Run, miniature: Miniature, tmp_path: Path, table: Table, brightness: Brightness
) -> None:
    """Threads, order and the other frames make no difference to what is random either."""
    data = ("--data", "osie", "--root", miniature("osie"), "--seed", "3", "--baselines", "none")
    assert salcli("score", *data, "-m", "brightness", "--metrics", "AUC-Borji").returncode == 0
    scorer = Scorer(protocol("mit"), ["AUC-Borji"], seed=3)
    rows = table(tmp_path / "scores" / "brightness" / "scores.csv")
    for recording, row in zip(
        open_dataset("osie", [miniature("osie")]).recordings("all"), rows, strict=True
    ):
        points = groundtruth.read_fixations(recording.annotations[0], (36, 48)).points
        counts = groundtruth.fixation_map(points, (36, 48)).astype(int)
        key = f"{recording.name}/{recording.source.stem}"
        values = scorer.frame(brightness(recording.source), GroundTruth(counts), key=key)
        assert float(row["AUC-Borji"]) == pytest.approx(values["AUC-Borji"], abs=1e-9)


def test_the_help_names_every_protocol_that_is_installed(salcli: Run) -> None:
    words = set(salcli("score", "--help").stdout.replace(",", " ").replace(".", " ").split())
    assert set(registry.protocols()) <= words
    assert {"mit", "dhf1k", "tuebingen", "ntire", "unisal", "salema", "tempsal"} <= words
