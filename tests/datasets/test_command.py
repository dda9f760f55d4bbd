"""`salcli datasets`: lists, checks, makes maps."""

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

from salcli.testing.miniatures import places

Run = Callable[..., CompletedProcess[str]]
Miniature = Callable[[str], Path]


def test_the_list_says_where_each_is_looked_for(
    salcli: Run, miniature: Miniature, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("OSIE_DATA_DIR", str(miniature("osie")))
    monkeypatch.setenv("SALICON_DATA_DIR", str(tmp_path / "gone"))
    monkeypatch.delenv("DHF1K_DATA_DIR", raising=False)
    for words in ((), ("list",)):
        done = salcli("datasets", *words)
        assert done.returncode == 0
        rows = {line.split()[0]: line for line in done.stdout.splitlines()}
        assert str(miniature("osie")) in rows["osie"]
        assert "gone (missing)" in rows["salicon"]
        assert "--root, DHF1K_DATA_DIR" in rows["dhf1k"]
        assert "AViMoS" in rows["avimos"]


def test_one_of_the_list_with_its_layout(salcli: Run) -> None:
    done = salcli("datasets", "list", "dhf1k")
    assert "annotation/0001/maps/0001.png" in done.stdout
    document = json.loads(salcli("datasets", "list", "dhf1k", "--json").stdout)[0]
    assert document["variable"] == "DHF1K_DATA_DIR"
    salicon = salcli("datasets", "list", "salicon").stdout
    assert "-D edition=unknown: which of SALICON's two editions" in salicon
    diem = salcli("datasets", "list", "diem").stdout
    assert "-D eye=both: both (the mean of both eyes, where both fixate), left" in diem
    assert "-D hold_out=10: EVERY or EVERY:FIRST: part of the training data" in diem
    assert salcli("datasets", "list", "dhf2k").returncode == 2


def parts(done: CompletedProcess[str]) -> dict[str, Any]:
    return {part["split"]: part for part in json.loads(done.stdout)}


def test_check_of_what_is_complete(salcli: Run, miniature: Miniature) -> None:
    done = salcli("datasets", "check", "avimos", "--root", miniature("avimos"), "--every-file")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[1].split() == ["train", "2", "9", "9", "9", "0", "0"]


def test_check_names_what_is_missing_and_wrong(
    salcli: Run, miniature: Miniature, tmp_path: Path
) -> None:
    root = shutil.copytree(miniature("ucfsports"), tmp_path / "copy")
    clip = root / "training/Diving-Side-005"
    (clip / "maps/Diving-Side_005_004.png").unlink()
    (clip / "images/Diving-Side_005_010.png").unlink()
    Image.new("L", (30, 30)).save(clip / "maps/Diving-Side_005_001.png")
    cut = root / "training/Diving-Side-006/fixation/Diving-Side_006_001.png"
    cut.write_bytes(cut.read_bytes()[:40])
    shutil.rmtree(root / "training/Diving-Side-014/images")
    found = parts(salcli("datasets", "check", "ucfsports", "--root", root, "--json"))
    train = "\n".join(found["train"]["problems"])
    assert "Diving-Side-005: without a map: 'Diving-Side_005_004'" in train
    assert "Diving-Side-005: of no frame: 'Diving-Side_005_010.png'" in train
    assert "Diving-Side_005_001.png' is 30x30, its frame 48x36" in train
    assert "Diving-Side_006_001.png' is not an image that can be read" in train
    assert "Diving-Side-014' has no folder 'images'" in train
    assert "9 frames, 54 are published" in train
    assert (found["train"]["frames"], found["train"]["densities"]) == (9 + 9, 8 + 9)
    done = salcli("datasets", "check", "ucfsports", "--root", root, "--split", "test")
    assert done.returncode == 1
    assert "missing: 'Diving-Side-002', 'Diving-Side-003', 'Diving-Side-004' and 42" in done.stderr


def test_check_says_in_a_line_what_of_an_archive_was_not_unpacked(
    salcli: Run, miniature: Miniature, tmp_path: Path
) -> None:
    images = shutil.copytree(miniature("mit1003") / "ALLSTIMULI", tmp_path / "mit/ALLSTIMULI")
    found = parts(salcli("datasets", "check", "mit1003", "--root", images.parent, "--json"))
    assert found["all"]["problems"][1:] == [
        "no fixation map (_fixMap.jpg) of 'i1000', 'i1005', 'i1010' and 17 more",
        "no fixations (_fixPts.jpg) of 'i1000', 'i1005', 'i1010' and 17 more",
    ]
    root = shutil.copytree(miniature("osie"), tmp_path / "osie")
    (root / "maps/1004.png").unlink()
    (root / "images/1011.jpg").write_bytes(b"no image")
    found = parts(salcli("datasets", "check", "osie", "--root", root, "--json"))
    first, second, unreadable = found["valid"]["problems"]
    assert (first, second) == ("no map of '1004.jpg'", "2 recordings, 100 are published")
    assert "1011.jpg' is not an image that can be read" in unreadable


def test_check_reads_every_file_if_asked(salcli: Run, miniature: Miniature, tmp_path: Path) -> None:
    root = shutil.copytree(miniature("clips"), tmp_path / "clips")
    (root / "maps/walk/0003.png").write_bytes(b"no picture")
    done = salcli("datasets", "check", "folder", "--root", root)
    assert done.returncode == 0, done.stderr
    done = salcli("datasets", "check", "folder", "--root", root, "--every-file")
    assert done.returncode == 1
    assert "0003.png" in done.stderr


def test_check_compares_videos_with_their_maps(
    salcli: Run, miniature: Miniature, tmp_path: Path
) -> None:
    root = shutil.copytree(miniature("dhf1k_videos"), tmp_path / "copy")
    (root / "annotation/0601/maps/0008.png").unlink()
    (root / "annotation/0601/fixation/0008.png").unlink()
    (root / "video/602.AVI").write_bytes(b"no video")
    done = salcli(
        *("datasets", "check", "dhf1k", "--root", root),
        *("--split", "valid", "--every-file", "--json"),
    )
    problems = "\n".join(parts(done)["valid"]["problems"])
    assert "valid/0601: the video has 8 frames, 7 are annotated" in problems
    assert "602.AVI' is not a readable video" in problems


def test_check_counts_fixations_outside_without_blame(
    salcli: Run, miniature: Miniature, tmp_path: Path
) -> None:
    root = shutil.copytree(miniature("clips"), tmp_path / "clips")
    target = root / "fixations/run.json"
    content = json.loads(target.read_text())
    content[0] += [[36, 0], [0, 48]]
    target.write_text(json.dumps(content))
    done = salcli("datasets", "check", "folder", "--root", root, "--split", "all", "--json")
    assert done.returncode == 0
    assert parts(done)["all"]["outside"] == 2


def test_check_goes_on_after_what_cannot_be_read(
    salcli: Run, miniature: Miniature, tmp_path: Path
) -> None:
    root = shutil.copytree(miniature("avimos"), tmp_path / "copy")
    (root / "FixationsTrain/Train/video_1/fixations.json").write_text("[")
    (root / "Videos/video_3.mp4").write_bytes(b"no video")
    (root / "Videos/video_10.mp4").unlink()
    found = parts(salcli("datasets", "check", "avimos", "--root", root, "--json"))
    assert any("fixations.json' is not a list" in line for line in found["training"]["problems"])
    assert any("no video of 'video_10'" in line for line in found["training"]["problems"])
    assert any("video_3.mp4" in line for line in found["public_test"]["problems"])
    assert found["private_test"]["problems"] == []
    assert found["training"]["frames"] == 5


def test_maps_of_stills_and_clips(salcli: Run, miniature: Miniature, tmp_path: Path) -> None:
    done = salcli(
        *("datasets", "maps", "osie", "--root", miniature("osie")),
        *("-o", "maps", "--split", "valid", "--sigma", "2"),
    )
    assert done.returncode == 0, done.stderr
    assert sorted(p.name for p in (tmp_path / "maps").iterdir()) == ["1004.png", "1011.png"]
    made = np.asarray(Image.open(tmp_path / "maps/1004.png"))
    assert made.shape == (36, 48)
    assert made.max() == 255
    x, y = places("1004", 0).T
    assert made[y, x].min() > 120
    done = salcli("datasets", "maps", "avimos", "--root", miniature("avimos"), "-o", "video")
    assert sorted(p.name for p in (tmp_path / "video").iterdir()) == ["video_3", "video_4"]
    assert len(list((tmp_path / "video/video_3").iterdir())) == 5


def test_where_there_is_nothing_to_do_that_is_an_error(
    salcli: Run, miniature: Miniature, tmp_path: Path
) -> None:
    done = salcli("datasets", "maps", "mit300", "--root", miniature("mit300"), "-o", "maps")
    assert done.returncode == 1
    assert "dataset 'mit300' has no fixations to compute maps from" in done.stderr
    (tmp_path / "empty").mkdir()
    done = salcli("datasets", "frames", "empty", "-o", "out")
    assert done.returncode == 1
    assert "there is no video in 'empty'" in done.stderr


def test_maps_go_on_and_tell_what_they_leave_out(
    salcli: Run, miniature: Miniature, tmp_path: Path
) -> None:
    root = shutil.copytree(miniature("osie"), tmp_path / "copy")
    (root / "fixations/1004.mat").write_bytes(b"no matrix")
    command = ("datasets", "maps", "osie", "--root", root, "-o", "maps", "--split", "valid")
    done = salcli(*command)
    assert done.returncode == 1
    assert "1004.mat" in done.stderr
    made = (tmp_path / "maps/1011.png").stat()
    again = salcli(*command)
    assert "osie/1011: 0 maps, 1 there already" in again.stderr
    assert (tmp_path / "maps/1011.png").stat().st_mtime_ns == made.st_mtime_ns
