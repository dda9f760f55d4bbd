"""`salcli predict --data`: maps where a benchmark wants them, for `salcli datasets pack`."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import pytest
from PIL import Image

from salcli.media import images, mapvideo

Run = Callable[..., CompletedProcess[str]]
Miniature = Callable[[str], Path]


def test_dhf1k_frames_lie_as_the_benchmark_wants_and_are_not_done_twice(
    salcli: Run, miniature: Miniature, tmp_path: Path
) -> None:
    root = miniature("dhf1k")
    words = ("predict", "--data", "dhf1k", "--root", root, "-m", "brightness", "-o", "maps")
    done = salcli(*words)
    assert done.returncode == 0, done.stderr
    maps = sorted((tmp_path / "maps").rglob("*.png"))
    assert maps == [tmp_path / "maps" / "0701" / f"{n:04d}.png" for n in range(1, 7)]
    frame = images.read(root / "annotation/0701/images/0001.png").mean(axis=2)
    assert np.abs(np.asarray(Image.open(maps[0])) - frame).max() <= 0.51
    assert "already done" in salcli(*words).stderr
    assert salcli(*words, "--split", "valid").returncode == 0
    assert {path.name for path in (tmp_path / "maps").iterdir()} == {"0601", "0602", "0701"}


def test_frames_whose_names_are_not_padded_get_the_published_names(
    salcli: Run, miniature: Miniature, tmp_path: Path
) -> None:
    source = miniature("dhf1k") / "annotation" / "0701" / "images"
    target = tmp_path / "data" / "frames" / "701"
    target.mkdir(parents=True)
    for file in source.iterdir():
        shutil.copy(file, target / f"{int(file.stem)}.png")
    done = salcli("predict", "--data", "dhf1k", "--root", "data", "-m", "brightness", "-o", "maps")
    assert done.returncode == 0, done.stderr
    names = {path.name for path in (tmp_path / "maps" / "0701").glob("*.png")}
    assert names == {f"{n:04d}.png" for n in range(1, 7)}


def test_mit300_is_packed_as_it_was_predicted(
    salcli: Run, miniature: Miniature, tmp_path: Path
) -> None:
    data = ("--root", miniature("mit300"))
    done = salcli("predict", "--data", "mit300", *data, "-m", "brightness", "-o", "maps")
    assert done.returncode == 0, done.stderr
    assert salcli("datasets", "pack", "mit300", "maps", *data, "-o", "mine.zip").returncode == 0
    with zipfile.ZipFile(tmp_path / "mine.zip") as archive:
        names = {Path(name).name for name in archive.namelist()}
    assert names == {"i1.png", "i2.png", "i10.png", "i300.png"}


def test_avimos_wants_grey_videos_that_hold_the_very_levels(
    salcli: Run, miniature: Miniature, tmp_path: Path
) -> None:
    root = miniature("avimos")
    words = ("predict", "--data", "avimos", "--root", root, "-m", "brightness", "-o", "maps")
    done = salcli(*words, "--json")
    assert done.returncode == 0, done.stderr
    statuses = [each["status"] for each in json.loads(done.stdout)["inputs"]]
    assert statuses == ["done", "done"]
    assert sorted(path.name for path in (tmp_path / "maps").iterdir()) == [
        "video_3.mp4",
        "video_4.mp4",
    ]
    salcli("predict", root / "Videos" / "video_3.mp4", "-m", "brightness", "-o", "apart")
    for index in range(5):
        level = np.asarray(Image.open(tmp_path / "apart" / "video_3" / f"{index + 1:04d}.png"))
        shown = mapvideo.read(tmp_path / "maps" / "video_3.mp4", index)
        assert np.array_equal(np.rint(255 * shown), level)
    assert salcli(*words).stderr.count("already done, ") == 2
    packed = salcli("datasets", "pack", "avimos", "maps", "--root", root, "-o", "mine.zip")
    assert packed.returncode == 0, packed.stderr


def test_a_run_that_died_before_its_video_makes_it_next_time(
    salcli: Run, miniature: Miniature, tmp_path: Path
) -> None:
    root = miniature("avimos")
    source = root / "Videos" / "video_4.mp4"
    salcli("predict", source, "--as", "clip", "-m", "brightness", "-o", "maps")
    assert (tmp_path / "maps" / "video_4" / "salcli.json").is_file()

    words = ("predict", "--data", "avimos", "--root", root, "-m", "brightness", "-o", "maps")
    done = salcli(*words, "--json")

    assert done.returncode == 0, done.stderr
    statuses = [each["status"] for each in json.loads(done.stdout)["inputs"]]
    assert statuses == ["done", "skipped"]
    names = {path.name for path in (tmp_path / "maps").iterdir()}
    assert names == {"video_3.mp4", "video_4.mp4"}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "name either INPUT or a dataset"),
        (("clip.mp4", "--data", "dhf1k"), "name either INPUT or a dataset"),
        (("clip.mp4", "--root", "x"), "belong to a dataset"),
        (("--data", "dhf2k"), "did you mean dhf1k"),
        (("--data", "dhf1k", "--save", "npy"), "--data writes PNG"),
    ],
)
def test_wrong_words_are_told(salcli: Run, words: tuple[str, ...], told: str) -> None:
    done = salcli("predict", *words, "-m", "brightness")
    assert done.returncode == 2
    assert told in done.stderr


def test_a_dataset_that_nobody_collects_for_is_refused(salcli: Run, miniature: Miniature) -> None:
    data = ("--data", "osie", "--root", miniature("osie"), "--split", "valid")
    done = salcli("predict", *data, "-m", "brightness")
    assert done.returncode == 2
    assert "dataset 'osie' has no submission format" in done.stderr
