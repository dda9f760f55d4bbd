"""`salcli compare`, and the intervals that reports and comparisons are made of."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import numpy as np
import pytest
from PIL import Image

from salcli.datasets.open import open_dataset
from salcli.errors import UsageError
from salcli.models.loading import load_model
from salcli.scoring import bootstrap
from salcli.scoring.compare import broken, check_alike, pair, read
from salcli.scoring.limits import Limit, parse_limit
from salcli.scoring.predicted import PredictedMaps
from salcli.scoring.session import open_session
from salcli.terminal.progress import Silence

Run = Callable[..., CompletedProcess[str]]
Miniature = Callable[[str], Path]


@pytest.fixture(scope="module")
def reports(miniature: Miniature, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two folders: the spectral residual, and the centre."""
    data = open_dataset("osie", [miniature("osie")])
    session = open_session(data, metrics=("NSS", "KLD"), baselines="none")
    output = tmp_path_factory.mktemp("scores")
    for name in ("spectral-residual", "centre"):
        source = PredictedMaps(load_model(name, device="cpu"), Silence())
        session.run(source, output / name, Silence())
    return output / "spectral-residual", output / "centre"


def edit(folder: Path, change: Callable[[Any], None]) -> Path:
    """A copy of a report that says something else."""
    document = json.loads((folder / "scores.json").read_text())
    change(document)
    target = folder.parent / "edited.json"
    target.write_text(json.dumps(document))
    return target


def test_differences_are_paired_and_the_plot_has_both_models(
    salcli: Run, reports: tuple[Path, Path], tmp_path: Path
) -> None:
    first, second = reports
    done = salcli("compare", first, second / "scores.json", "--json", "--plot", "both.png")
    assert done.returncode == 0, done.stderr
    (found,) = json.loads(done.stdout)
    assert found["over"] == "12 images"
    documents = [json.loads((folder / "scores.json").read_text()) for folder in reports]
    for metric, sign in (("NSS", 1), ("KLD", -1)):
        means = np.array([[v["means"][metric] for v in d["videos"]] for d in documents])
        lead = means[1] - means[0]
        one = found["differences"][metric]["images"]
        assert one["mean"] == pytest.approx(lead.mean(), abs=1e-12)
        drawn = np.random.default_rng(0).choice(lead, (20_000, lead.size)).mean(axis=1)
        low, high = np.percentile(drawn, (2.5, 97.5))
        spread = high - low
        assert one["low"] == pytest.approx(low, abs=0.1 * spread)
        assert one["high"] == pytest.approx(high, abs=0.1 * spread)
        share = found["differences"][metric]["share at least as good"]
        assert share == np.mean(sign * lead >= 0)
    with Image.open(tmp_path / "both.png") as picture:
        assert picture.size == (800, 500)
        colours = np.asarray(picture.convert("RGB")).reshape(-1, 3)
    blue, red = (31, 119, 180), (214, 39, 40)  # matplotlib's tab:blue and tab:red
    assert {blue, red} <= set(map(tuple, colours.tolist()))
    told = salcli("compare", first, second).stdout
    assert "centre minus spectral-residual, over 12 images" in told
    assert "KLD (lower is better)" in told


def test_the_same_report_twice_has_no_difference(salcli: Run, reports: tuple[Path, Path]) -> None:
    done = salcli("compare", reports[0], reports[0], "--json")
    (found,) = json.loads(done.stdout)
    for one in found["differences"].values():
        assert one["images"] == {"mean": 0.0, "low": 0.0, "high": 0.0}
        assert one["share at least as good"] == 1


def test_fail_below_counts_gains_in_the_direction_of_the_metric(
    salcli: Run, reports: tuple[Path, Path]
) -> None:
    def worse(document: Any) -> None:
        for video in document["videos"]:
            video["means"]["NSS"] -= 0.05
            video["means"]["KLD"] += 0.05

    other = edit(reports[0], worse)
    found = pair(read(reports[0]), read(other))
    for text, kept in (("NSS=-0.06", 1), ("NSS=-0.04", 0), ("kld=-0.06", 1), ("KLD=-0.04", 0)):
        limit = parse_limit(text, kind="metric", names=["NSS", "KLD"])
        assert (not list(broken([limit], found))) == kept, text
    back = pair(read(other), read(reports[0]))
    assert not list(broken([Limit("NSS", 0.04), Limit("KLD", 0.04)], back))
    done = salcli("compare", reports[0], other, "--fail-below", "NSS=-0.04")
    assert done.returncode == 1
    assert "below the limit: spectral-residual: NSS is better by -0.0500" in done.stderr
    assert salcli("compare", reports[0], other, "--fail-below", "NSS=-0.06").returncode == 0
    for text in ("NSS", "NSS=much", "=1", "CC=0"):
        with pytest.raises(UsageError):
            parse_limit(text, kind="metric", names=["NSS", "KLD"])


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        (("protocol", "name"), "dhf1k", "protocol.name"),
        (("protocol", "seed"), 9, "protocol.seed"),
        (("protocol", "metrics", "NSS", "settings", "ddof"), 0, "metrics.NSS.settings.ddof"),
        (("dataset", "split"), "train", "dataset.split"),
        (("dataset", "edition"), "2015", "dataset.edition"),
        (("dataset", "sha256 of the names of the frames chosen"), "0", "dataset.sha256"),
        (("ground truth", "kernel", "sigma"), 12.74, "kernel.sigma"),
    ],
)
def test_other_conditions_are_refused(
    reports: tuple[Path, Path], path: tuple[str, ...], value: object, named: str
) -> None:
    first, second = map(read, reports)
    check_alike(first, second)
    place: Any = second
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with pytest.raises(UsageError, match=named):
        check_alike(first, second)


def test_the_command_refuses_other_conditions_unless_forced(
    salcli: Run, reports: tuple[Path, Path]
) -> None:
    other = edit(reports[1], lambda document: document["dataset"].update(edition="2015"))
    done = salcli("compare", reports[0], other)
    assert done.returncode == 2
    assert (
        "they differ in dataset.edition; score both alike, or force the comparison" in done.stderr
    )
    assert salcli("compare", reports[0], other, "--force").returncode == 0


def test_what_is_no_report_is_told(salcli: Run, reports: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "text.json").write_text("{}")
    for path, told in (("gone", "cannot be read"), ("text.json", "is no scores.json")):
        done = salcli("compare", reports[0], path)
        assert done.returncode == 1
        assert told in done.stderr
    assert salcli("compare", reports[0]).returncode == 2

    def rename(document: Any) -> None:
        for video in document["videos"]:
            video["name"] += "x"

    done = salcli("compare", reports[0], edit(reports[1], rename), "--force")
    assert done.returncode == 2
    assert "no videos or images in common" in done.stderr


def values(*videos: list[float]) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Sums and counts of one metric."""
    arrays = [np.array(video, float) for video in videos]
    sums = np.array([[np.nansum(video)] for video in arrays])
    return sums, np.array([[float((~np.isnan(video)).sum())] for video in arrays])


def test_frames_are_pooled_or_videos_averaged_and_nan_does_not_count() -> None:
    nan = float("nan")
    sums, counts = values([1, 1, 1, nan], [4], [nan])
    (pooled,) = bootstrap.interval(sums, counts, "frames", seed=0)
    (apart,) = bootstrap.interval(sums, counts, "videos", seed=0)
    assert pooled.mean == pytest.approx(7 / 4)
    assert apart.mean == pytest.approx(2.5)
    assert (pooled.low, pooled.high) == (apart.low, apart.high) == (1, 4)


def test_one_video_has_no_interval_and_none_no_mean() -> None:
    (one,) = bootstrap.interval(*values([1, 2]), "frames", seed=0)
    assert one.document() == {"mean": 1.5, "low": None, "high": None}
    (none,) = bootstrap.interval(*values([float("nan")] * 2, []), "frames", seed=0)
    (nothing,) = bootstrap.interval(np.zeros((0, 1)), np.zeros((0, 1)), "videos", seed=0)
    for one in (none, nothing):
        assert one.document() == {"mean": None, "low": None, "high": None}


def test_an_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    random = np.random.default_rng(4)
    hits = 0
    for trial in range(200):
        sums, counts = values(*random.normal(3, 1, (40, 1)).tolist())
        (one,) = bootstrap.interval(sums, counts, "videos", seed=trial)
        hits += one.low <= 3 <= one.high
    assert 0.88 <= hits / 200 <= 0.99


def test_pairing_narrows_the_interval_of_a_difference() -> None:
    random = np.random.default_rng(5)
    first = random.normal(0, 1, (30, 1))
    second = first + 0.1 + random.normal(0, 0.01, (30, 1))
    (paired,) = bootstrap.difference(
        values(*first.tolist()), values(*second.tolist()), "videos", seed=0
    )
    (alone,) = bootstrap.interval(*values(*second.tolist()), "videos", seed=0)
    assert paired.mean == pytest.approx(0.1, abs=0.01)
    assert paired.high - paired.low < 0.05 * (alone.high - alone.low)


def test_a_video_that_one_has_no_value_of_does_not_count_for_the_difference() -> None:
    nan = float("nan")
    (one,) = bootstrap.difference(
        values([1], [2], [nan]), values([1.5], [2.5], [100]), "videos", seed=0
    )
    assert (one.mean, one.low, one.high) == pytest.approx((0.5, 0.5, 0.5))
