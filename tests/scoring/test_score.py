"""`salcli score`: values, averages, what a report states, and what it does with bad input."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import imageio_ffmpeg
import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat
from typer.main import get_command

from salcli import cli, groundtruth, images
from salcli.datasets.opening import open_dataset
from salcli.protocols import PROTOCOLS, protocol
from salcli.protocols.measure import Scorer
from salcli.protocols.preparation import Truth
from salcli.scoring.session import BASELINES

Run = Callable[..., CompletedProcess[str]]
Miniature = Callable[[str], Path]
Document = dict[str, Any]

FAST = ("--metrics", "CC,NSS", "--baselines", "none")
"""Two metrics, one of maps and one of fixations."""


def read(folder: Path) -> Document:
    document: Document = json.loads((folder / "scores.json").read_text())
    return document


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def brightness(path: Path) -> np.ndarray[Any, Any]:
    """What the fake model `brightness` says of a picture."""
    return images.read(path).astype(np.float32).mean(axis=2) / np.float32(255)


@pytest.fixture
def osie(miniature: Miniature, tmp_path: Path) -> Path:
    """A copy that may be broken."""
    shutil.copytree(miniature("osie"), tmp_path / "osie")
    return tmp_path / "osie"


def store(root: Path, folder: Path, make: Callable[[Path], Any] = brightness) -> Path:
    """A PNG for each image of OSIE."""
    folder.mkdir()
    for image in sorted((root / "images").iterdir()):
        levels = np.uint8(make(image) * 255 + 0.5)
        Image.fromarray(levels).save(folder / f"{image.stem}.png")
    return folder


def test_values_are_those_of_textbook_loops_and_the_mean_is_over_images(
    salcli: Run, miniature: Miniature, tmp_path: Path
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
    salcli: Run, miniature: Miniature, tmp_path: Path
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
    salcli: Run, miniature: Miniature, tmp_path: Path
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


@pytest.mark.parametrize("name", ["mit", "tuebingen"])
def test_stored_maps_differ_by_the_rounding_that_the_report_of_the_model_states(
    salcli: Run, miniature: Miniature, tmp_path: Path, name: str
) -> None:
    data = ("--data", "osie", "--root", miniature("osie"), "--protocol", name)
    words = ("--metrics", "CC,NSS,KLD", "--baselines", "full")
    done = salcli("score", *data, *words, "-m", "brightness", "--save-maps", "maps")
    assert done.returncode == 0, done.stderr
    done = salcli("score", *data, *words, "--predictions", "maps")
    assert done.returncode == 0, done.stderr
    model, stored = (read(tmp_path / "scores" / n) for n in ("brightness", "maps"))
    assert stored["predictions"]["formats"] == {"png": 12}
    assert stored["predictions"]["sizes"] == {"8-bit 48x36 on 48x36": 12}
    rounding = model["predictions"]["rounding to 8 bit"]
    for metric in ("CC", "NSS", "KLD"):
        change = (
            stored["scores"][metric]["images"]["mean"] - model["scores"][metric]["images"]["mean"]
        )
        if name == "mit":
            assert change == 0
            assert "8-bit" in rounding["note"]
        else:
            assert change == pytest.approx(rounding["change"][metric]["mean"], abs=1e-12)
            assert 0 < abs(change) <= rounding["change"][metric]["largest"] < 0.1
            assert "change the means by" in (tmp_path / "scores/brightness/scores.md").read_text()


def test_clips_are_averaged_both_ways_and_drawn_over_time(
    salcli: Run, miniature: Miniature, tmp_path: Path
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
    salcli: Run, miniature: Miniature, tmp_path: Path
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


def grey_video(path: Path, frames: list[np.ndarray[Any, Any]]) -> None:
    height, width = frames[0].shape
    options = ["-qp", "0", "-vf", "scale=in_range=pc:out_range=pc,setparams=range=pc"]
    writer = imageio_ffmpeg.write_frames(
        str(path),
        (width, height),
        pix_fmt_in="gray",
        codec="libx264",
        quality=None,
        macro_block_size=1,
        output_params=options,
    )
    writer.send(None)
    for frame in frames:
        writer.send(frame.tobytes())
    writer.close()


def test_every_format_of_stored_maps_gives_the_same_scores(
    salcli: Run, miniature: Miniature, tmp_path: Path
) -> None:
    root = miniature("dhf1k")
    folders = {name: tmp_path / name for name in ("png", "npy", "npz", "jpg", "rgb", "video")}
    for video, count in (("0601", 8), ("0602", 7)):
        levels = [
            np.uint8(np.rint(255 * brightness(root / f"annotation/{video}/images/{i + 1:04d}.png")))
            for i in range(count)
        ]
        for folder in folders.values():
            (folder / video).mkdir(parents=True)
        for index, level in enumerate(levels):
            stem = f"{index + 1:04d}"
            Image.fromarray(level).save(folders["png"] / video / f"{index + 1}.png")  # not padded
            np.save(folders["npy"] / video / f"{stem}.npy", level / np.float32(255))
            np.savez(folders["npz"] / video / f"{stem}.npz", saliency=level)
            Image.fromarray(level).save(folders["jpg"] / video / f"{stem}.jpg", quality=95)
            grey = Image.fromarray(level).convert("RGB")
            grey.save(folders["rgb"] / video / f"mine_{stem}.png")
        (folders["video"] / video).rmdir()
        grey_video(folders["video"] / f"{video}.mp4", levels)
    options = [word for folder in folders.values() for word in ("--predictions", folder)]
    words = ("--metrics", "CC", "--baselines", "none")
    done = salcli("score", "--data", "dhf1k", "--root", root, *words, *options)
    assert done.returncode == 0, done.stderr
    reports = {name: read(tmp_path / "scores" / name) for name in folders}
    assert not any(report["notes"] for report in reports.values())
    exact = reports["png"]["scores"]["CC"]["frames"]["mean"]
    for name, report in reports.items():
        tolerance = 0.01 if name == "jpg" else 1e-9
        value = report["scores"]["CC"]["frames"]["mean"]
        assert value == pytest.approx(exact, abs=tolerance), name
    assert reports["video"]["predictions"]["formats"] == {"video": 15}
    for name in list(folders)[1:]:
        assert (tmp_path / "scores" / f"png-and-{name}.png").is_file()


def test_what_is_wrong_is_told_and_counted_and_the_rest_is_scored(
    salcli: Run, osie: Path, tmp_path: Path
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


def test_maps_of_no_frame_and_of_no_clip_are_named_but_not_those_left_out_by_the_limit(
    salcli: Run, miniature: Miniature, tmp_path: Path
) -> None:
    root, grey = miniature("dhf1k"), Image.new("L", (48, 36), 7)
    for name in [f"0601/{n:04d}" for n in range(1, 10)] + ["0602/0001", "0603/0001", "lone"]:
        path = tmp_path / "maps" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        grey.save(path)
    words = ("--data", "dhf1k", "--root", root, "--predictions", "maps", *FAST)
    done = salcli("score", *words)
    assert done.returncode == 1
    report = read(tmp_path / "scores" / "maps")
    (skipped,) = report["skipped"]
    assert (skipped["recording"], skipped["first"], skipped["frames"]) == ("valid/0602", "0002", 6)
    notes = {Path(each["recording"]).name: each["reason"] for each in report["notes"]}
    assert notes == {
        "maps": "not of anything that is scored: '0603', 'lone.png'",
        "0601": "not of anything that is scored: '0009.png'",
    }
    assert report["scores"]["CC"]["undefined"] == 9
    salcli("score", *words, "--limit", "5")
    notes = {Path(each["recording"]).name for each in read(tmp_path / "scores" / "maps")["notes"]}
    assert notes == {"maps"}


def test_maps_of_another_size_are_resized_or_refused_as_the_protocol_says(
    salcli: Run, miniature: Miniature, tmp_path: Path
) -> None:
    root = miniature("osie")
    folder = store(root, tmp_path / "maps", lambda path: brightness(path)[::2, ::2])
    words = ("--data", "osie", "--root", root, "--predictions", folder, *FAST)
    assert salcli("score", *words).returncode == 0
    report = read(tmp_path / "scores" / "maps")
    assert report["predictions"]["sizes"] == {"8-bit 24x18 on 48x36": 12}
    assert report["protocol"]["preparation"]["resize"] == "bicubic"
    assert not report["notes"]
    image = folder / "1004.png"
    Image.open(image).resize((48, 18)).save(image)
    done = salcli("score", *words)
    assert "note: maps, frame 1004: maps of 48x18 are stretched to frames of 48x36" in done.stderr
    shutil.rmtree(tmp_path / "scores")
    done = salcli("score", *words, "--protocol", "tuebingen")
    assert done.returncode == 1
    assert "the map is 24 x 18, the ground truth 48 x 36" in done.stderr
    assert "and 2 more like these" in done.stderr
    assert "stretched" not in done.stderr
    assert not list((tmp_path / "scores").rglob("*.*"))


def test_a_baseline_that_does_not_fit_the_ground_truth_is_left_out_and_told(
    salcli: Run, osie: Path, tmp_path: Path
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
    salcli: Run, osie: Path, tmp_path: Path
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
    salcli: Run, osie: Path, tmp_path: Path
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
    salcli: Run, miniature: Miniature, tmp_path: Path
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
    assert "if the benchmark keeps them back, 'salcli predict --data mit300'" in told
    told = refused(salcli("score", *data[:4], "-m", "trail"))
    assert "model 'trail' takes clips only, but dataset 'osie' has stills" in told
    assert salcli("score", *data[:4], "--predictions", "gone").returncode == 1
    assert not (tmp_path / "scores").exists() or not list((tmp_path / "scores").rglob("*.json"))


def test_without_fixations_the_other_metrics_are_scored_and_the_report_says_so(
    salcli: Run, osie: Path, tmp_path: Path
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
    salcli: Run, miniature: Miniature, tmp_path: Path
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


def test_a_broken_model_ends_it_with_its_own_exit_code_and_leaves_nothing(
    salcli: Run, miniature: Miniature, tmp_path: Path
) -> None:
    data = ("--data", "osie", "--root", miniature("osie"))
    done = salcli("score", *data, "-m", "failing", *FAST)
    assert done.returncode == 4
    assert "model 'failing' failed: KeyError" in done.stderr
    assert not [path for path in (tmp_path / "scores").rglob("*") if path.is_file()]


def test_scores_of_something_else_are_replaced_only_when_that_is_asked_for(
    salcli: Run, miniature: Miniature, tmp_path: Path
) -> None:
    data = ("--data", "osie", "--root", miniature("osie"), "-m", "centre", *FAST)
    assert salcli("score", *data).returncode == 0
    assert salcli("score", *data, "--seed", "1").returncode == 0
    told = refused(salcli("score", *data, "--protocol", "tuebingen", "-O", "sigma_x=0.3"))
    assert "holds scores of something else (another options.sigma_x, protocol)" in told
    assert read(tmp_path / "scores" / "centre")["protocol"]["name"] == "mit"
    assert salcli("score", *data, "--protocol", "tuebingen", "--overwrite").returncode == 0
    assert read(tmp_path / "scores" / "centre")["protocol"]["name"] == "tuebingen"


def test_salemas_protocol_leaves_an_array_of_videos_and_metrics(
    salcli: Run, miniature: Miniature, tmp_path: Path
) -> None:
    data = ("--data", "dhf1k", "--root", miniature("dhf1k"), "--protocol", "salema")
    assert salcli("score", *data, "-m", "brightness", *FAST).returncode == 0
    folder = tmp_path / "scores" / "brightness"
    rows = table(folder / "videos.csv")
    expected = [[float(row["CC"]), float(row["NSS"])] for row in rows]
    assert np.load(folder / "metrics.npy").tolist() == expected


def test_unisals_protocol_leaves_the_files_of_its_code(
    salcli: Run, miniature: Miniature, tmp_path: Path
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


@pytest.mark.parametrize(
    ("name", "words", "protocol_name", "recordings"),
    [
        ("avimos", (), "ntire", 2),
        ("diem", ("--limit", "6"), "dhf1k", 1),
        ("hollywood2", (), "dhf1k", 2),
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
) -> None:
    root = miniature("clips" if name == "folder" else name)
    done = salcli("score", "--data", name, "--root", root, "-m", "centre", *FAST, *words)
    assert done.returncode == 0, done.stderr
    report = read(tmp_path / "scores" / "centre")
    assert report["protocol"]["name"] == protocol_name
    assert report["dataset"]["recordings scored"] == recordings
    assert report["dataset"]["frames scored"] == report["dataset"]["frames chosen"]


def test_groups_are_averaged_apart(salcli: Run, tmp_path: Path) -> None:
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
    salcli: Run, miniature: Miniature, tmp_path: Path
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
        values = scorer.frame(brightness(recording.source), Truth(counts), key=key)
        assert float(row["AUC-Borji"]) == pytest.approx(values["AUC-Borji"], abs=1e-9)


def test_the_help_names_every_protocol_and_way_of_baselines() -> None:
    command: Any = get_command(cli.build())
    helps = {option.name: option for option in command.commands["score"].params}
    named = helps["protocol"].help.replace(" or", "").rstrip(".").split(", ")
    assert named == list(PROTOCOLS)
    assert helps["baselines"].metavar.split("|") == list(BASELINES)
