"""`salcli score --predictions`: maps that anyone made, found by name."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import imageio_ffmpeg
import numpy as np
import pytest
from PIL import Image

Run = Callable[..., CompletedProcess[str]]
Miniature = Callable[[str], Path]
Read = Callable[[Path], dict[str, Any]]
Brightness = Callable[[Path], np.ndarray[Any, Any]]
Store = Callable[..., Path]

FAST = ("--metrics", "CC,NSS", "--baselines", "none")
"""Two metrics, one of maps and one of fixations."""


@pytest.mark.parametrize("name", ["mit", "tuebingen"])
def test_stored_maps_differ_by_the_rounding_that_the_report_of_the_model_states(
    salcli: Run, miniature: Miniature, tmp_path: Path, name: str, read: Read
) -> None:
    data = ("--data", "osie", "--root", miniature("osie"), "--protocol", name)
    words = ("--metrics", "CC,NSS", "--metrics", "KLD", "--baselines", "full")
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
    salcli: Run, miniature: Miniature, tmp_path: Path, read: Read, brightness: Brightness
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


def test_maps_of_no_frame_and_of_no_clip_are_named_but_not_those_left_out_by_the_limit(
    salcli: Run, miniature: Miniature, tmp_path: Path, read: Read
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
        "maps": "files of no scored frame: '0603', 'lone.png'",
        "0601": "files of no scored frame: '0009.png'",
    }
    assert report["scores"]["CC"]["undefined"] == 9
    salcli("score", *words, "--limit", "5")
    notes = {Path(each["recording"]).name for each in read(tmp_path / "scores" / "maps")["notes"]}
    assert notes == {"maps"}


def test_maps_of_another_size_are_resized_or_refused_as_the_protocol_says(
    salcli: Run,
    miniature: Miniature,
    tmp_path: Path,
    read: Read,
    brightness: Brightness,
    store: Store,
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
