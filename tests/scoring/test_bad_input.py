"""What `salcli score` does with maps and data that are wrong, and what it refuses."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import numpy as np
from PIL import Image
from scipy.io import savemat

Run = Callable[..., CompletedProcess[str]]
Miniature = Callable[[str], Path]
Read = Callable[[Path], dict[str, Any]]
Table = Callable[[Path], list[dict[str, str]]]
Brightness = Callable[[Path], np.ndarray[Any, Any]]
Store = Callable[..., Path]

FAST = ("--metrics", "CC,NSS", "--baselines", "none")
"""Two metrics, one of maps and one of fixations."""


def test_what_is_wrong_is_told_and_counted_and_the_rest_is_scored(
    salcli: Run, osie: Path, tmp_path: Path, read: Read, table: Table, store: Store
) -> None:
    folder = store(osie, tmp_path / "maps")
    names = sorted(path.stem for path in folder.iterdir())
    whole = salcli("score", "--data", "osie", "--root", osie, *FAST, "--predictions", folder)
    assert whole.returncode == 0
    values = {row["frame"]: row for row in table(tmp_path / "scores" / "maps" / "scores.csv")}
    (folder / f"{names[0]}.png").unlink()
    (folder / f"{names[1]}.png").unlink()
    np.save(folder / f"{names[1]}.npy", np.full((36, 48), np.nan, np.float32))
    broken = folder / f"{names[2]}.png"
    broken.write_bytes(broken.read_bytes()[:100])
    colours = np.random.default_rng(0).integers(0, 255, (36, 48, 3), np.uint8)
    Image.fromarray(colours).save(folder / f"{names[3]}.png")
    (osie / "maps" / f"{names[4]}.png").write_bytes(b"")
    (osie / "fixations" / f"{names[5]}.mat").unlink()
    np.save(folder / f"{names[6]}.npy", np.full((36, 48), 3.0))
    Image.new("L", (48, 36)).save(folder / "stranger.png")
    done = salcli("score", "--data", "osie", "--root", osie, *FAST, "--predictions", folder)
    assert done.returncode == 1
    report = read(tmp_path / "scores" / "maps")
    reasons = {each["recording"]: each["reason"] for each in report["skipped"]}
    expected = {
        names[0]: "no map of it in",
        names[1]: "the map has NaN at 1728 pixels",
        names[2]: "cannot be read as a map",
        names[3]: "is a coloured picture, not a map",
        names[4]: "is not an image that can be read",
        names[6]: "do not fit 8 bit",
    }
    assert list(reasons) == [f"osie/{name}" for name in expected]
    for name, text in expected.items():
        assert text in reasons[f"osie/{name}"]
        assert sum(f"osie/{name}:" in line for line in done.stderr.splitlines()) == 1
    assert report["dataset"]["frames scored"] == 6
    assert report["scores"]["NSS"]["undefined"] == 1
    assert "all: no fixations of" in done.stderr
    told = {each["recording"]: each["reason"] for each in report["notes"]}
    assert "no fixations" in told[f"osie/{names[5]}"]
    assert "'stranger.png'" in told[str(folder)]
    rows = {row["frame"]: row for row in table(tmp_path / "scores" / "maps" / "scores.csv")}
    for name in names[7:]:
        assert rows[name] == values[name]
    assert rows[names[0]]["problem"].startswith("no map of it")
    assert rows[names[0]]["CC"] == ""


def test_a_baseline_that_does_not_fit_the_ground_truth_is_left_out_and_told(
    salcli: Run, osie: Path, tmp_path: Path, read: Read, brightness: Brightness, store: Store
) -> None:
    folder = store(osie, tmp_path / "maps", lambda path: brightness(path)[::2, ::2])
    for path in (osie / "maps").iterdir():
        Image.open(path).resize((24, 18)).save(path)
    words = ("--data", "osie", "--root", osie, "--predictions", folder, "--metrics", "CC")
    done = salcli("score", *words, "--protocol", "tuebingen")
    assert done.returncode == 0, done.stderr
    report = read(tmp_path / "scores" / "maps")
    assert report["dataset"]["frames scored"] == 12
    assert report["baselines"]["centre"]["frames"] == 0
    assert report["baselines"]["centre"]["scores"]["CC"]["mean"] is None
    reason = "baseline centre: the map is 48 x 36, the ground truth 24 x 18"
    assert [each["reason"] for each in report["notes"]] == [reason] * 12


def test_a_fixation_outside_the_frame_is_left_out_and_counted(
    salcli: Run, osie: Path, tmp_path: Path, read: Read
) -> None:
    name = sorted((osie / "fixations").iterdir())[0]
    gaze = np.zeros((1, 1), dtype=[("fixations", "O")])
    gaze[0, 0]["fixations"] = np.array([[5, 5], [90, 5]])
    savemat(name, {"gaze": gaze, "resolution": np.array([[36, 48]])})
    done = salcli("score", "--data", "osie", "--root", osie, "-m", "brightness", *FAST)
    assert done.returncode == 0
    report = read(tmp_path / "scores" / "brightness")
    assert report["ground truth"]["fixations outside their frame"] == 1
    assert f"note: osie/{name.stem}: fixations outside the frame were left out" in done.stderr


def test_an_image_that_cannot_be_read_does_not_stop_a_model(
    salcli: Run, osie: Path, tmp_path: Path, read: Read
) -> None:
    files = sorted((osie / "images").iterdir())
    for file in (files[0], files[3], files[-1]):
        file.write_bytes(file.read_bytes()[:200])
    done = salcli("score", "--data", "osie", "--root", osie, "-m", "brightness", *FAST)
    assert done.returncode == 1
    report = read(tmp_path / "scores" / "brightness")
    assert [each["recording"] for each in report["skipped"]] == [
        f"osie/{file.stem}" for file in (files[0], files[3], files[-1])
    ]
    for each in report["skipped"]:
        assert f"{each['recording'].rpartition('/')[2]}.jpg' " in each["reason"]
    assert report["dataset"]["frames scored"] == 9


def test_a_clip_whose_frames_end_early_is_scored_as_far_as_it_goes(
    salcli: Run, miniature: Miniature, tmp_path: Path, read: Read
) -> None:
    root = tmp_path / "data"
    shutil.copytree(miniature("dhf1k"), root)
    frame = root / "annotation" / "0601" / "images" / "0006.png"
    frame.write_bytes(frame.read_bytes()[:50])
    done = salcli("score", "--data", "dhf1k", "--root", root, "-m", "brightness", *FAST)
    assert done.returncode == 1
    report = read(tmp_path / "scores" / "brightness")
    (skipped,) = report["skipped"]
    assert skipped["frames"] + report["dataset"]["frames scored"] == 15
    assert "0006.png" in skipped["reason"]
    assert f"valid/0601, {skipped['frames']} frames from {skipped['first']} on" in done.stderr


def refused(done: CompletedProcess[str]) -> str:
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


def test_what_would_be_meaningless_is_refused_with_a_cure(
    salcli: Run, osie: Path, miniature: Miniature, tmp_path: Path
) -> None:
    shutil.rmtree(osie / "fixations")
    data = ("--data", "osie", "--root", osie, "-m", "brightness")
    told = refused(salcli("score", *data, "--metrics", "CC,NSS"))
    assert "NSS: fixations are needed" in told
    assert "salcli datasets list osie" in told
    told = refused(salcli("score", *data, "--protocol", "dhf1k", "--metrics", "IG"))
    assert "IG: fixations are needed" in told
    told = refused(salcli("score", *data, "--metrics", "CD"))
    assert "did you mean CC" in told
    told = refused(salcli("score", *data, "--protocol", "ntire", "--metrics", "s-AUC"))
    assert "no metric of protocol 'ntire' named 's-AUC'" in told
    assert "did you mean" in refused(salcli("score", *data, "--protocol", "tubingen"))
    hidden = ("--data", "dhf1k", "--root", miniature("dhf1k"), "--split", "test")
    told = refused(salcli("score", *hidden, "-m", "brightness"))
    assert "neither density maps nor fixations" in told
    assert "'valid' is usually scored" in told
    told = refused(salcli("score", "--data", "mit300", "--root", miniature("mit300")))
    assert "if the benchmark keeps them back, 'salcli predict' writes" in told
    told = refused(salcli("score", *data[:4], "-m", "trail"))
    assert "model 'trail' takes clips only, but dataset 'osie' has stills" in told
    assert salcli("score", *data[:4], "--predictions", "gone").returncode == 1
    assert not (tmp_path / "scores").exists() or not list((tmp_path / "scores").rglob("*.json"))


def test_a_broken_model_ends_it_with_its_own_exit_code_and_leaves_nothing(
    salcli: Run, miniature: Miniature, tmp_path: Path
) -> None:
    data = ("--data", "osie", "--root", miniature("osie"))
    done = salcli("score", *data, "-m", "failing", *FAST)
    assert done.returncode == 4
    assert "model 'failing' failed: KeyError" in done.stderr
    assert not [path for path in (tmp_path / "scores").rglob("*") if path.is_file()]


def test_scores_of_something_else_are_replaced_only_when_that_is_asked_for(
    salcli: Run, miniature: Miniature, tmp_path: Path, read: Read
) -> None:
    data = ("--data", "osie", "--root", miniature("osie"), "-m", "centre", *FAST)
    assert salcli("score", *data).returncode == 0
    assert salcli("score", *data, "--seed", "1").returncode == 0
    told = refused(salcli("score", *data, "--protocol", "tuebingen", "-O", "sigma_x=0.3"))
    assert "holds scores of something else (another options.sigma_x, protocol)" in told
    assert read(tmp_path / "scores" / "centre")["protocol"]["name"] == "mit"
    assert salcli("score", *data, "--protocol", "tuebingen", "--overwrite").returncode == 0
    assert read(tmp_path / "scores" / "centre")["protocol"]["name"] == "tuebingen"
