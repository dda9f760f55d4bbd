"""`salcli datasets`: lists, checks, extracts frames, makes maps, packs predictions."""

from __future__ import annotations

import json
import runpy
import shutil
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from salcli import gaze, media
from salcli.datasets import extraction
from salcli.datasets.opening import open_dataset

MINIATURES = runpy.run_path(str(Path(__file__).parent / "miniatures.py"))
places: Callable[..., npt.NDArray[Any]] = MINIATURES["places"]
picture: Callable[..., npt.NDArray[Any]] = MINIATURES["picture"]

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
        assert "gone (not there)" in rows["salicon"]
        assert "--root, DHF1K_DATA_DIR" in rows["dhf1k"]
        assert "AViMoS" in rows["avimos"]


def test_one_of_the_list_with_its_layout(salcli: Run) -> None:
    done = salcli("datasets", "list", "dhf1k")
    assert "annotation/0001/maps/0001.png" in done.stdout
    document = json.loads(salcli("datasets", "list", "dhf1k", "--json").stdout)[0]
    assert document["variable"] == "DHF1K_DATA_DIR"
    assert "-D edition=unknown: Which edition it is" in salcli("datasets", "list", "salicon").stdout
    diem = salcli("datasets", "list", "diem").stdout
    assert "-D eye=both: `both` (the mean of both eyes, where both fixate), `left`" in diem
    assert "-D hold_out=10: `EVERY` or `EVERY:FIRST`: what is kept" in diem
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
    assert "602.AVI' is no video" in problems


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


def test_frames_of_dhf1k_go_beside_its_maps(
    salcli: Run, miniature: Miniature, tmp_path: Path
) -> None:
    root = shutil.copytree(miniature("dhf1k_videos"), tmp_path / "copy")
    shutil.rmtree(root / "annotation/0002")
    (root / "annotation/0003/maps/0009.png").unlink()
    done = salcli("datasets", "frames", "--root", root)
    assert done.returncode == 1
    # of these the maps, or the published frames, are of another number
    assert "003.AVI' gave 9 frames, but there should be 8" in done.stderr
    assert "002.AVI' gave 10 frames, but there should be 783" in done.stderr
    assert "601.AVI: 8 frames extracted" in done.stderr
    frames = sorted((root / "annotation/0601/images").iterdir())
    assert [path.name for path in frames] == [f"{i:04d}.png" for i in range(1, 9)]
    decoded = media.open_stimulus(root / "video/601.AVI").frames
    for path, frame in zip(frames, decoded, strict=True):
        assert np.array_equal(np.asarray(Image.open(path)), frame)
    recording = open_dataset("dhf1k", [root]).recordings("valid")[0]
    assert recording.frames is not None
    assert len(recording.frames) == len(recording.annotations) == 8


def test_frames_go_on_where_they_were_interrupted(
    salcli: Run, miniature: Miniature, tmp_path: Path
) -> None:
    videos = [miniature("dhf1k_videos") / "video" / f"{n}.AVI" for n in (601, 602)]
    output = tmp_path / "out"
    left = output / ".salcli-images" / "0001.png"  # of a run that was killed in the first video
    for place in (output / "601" / ".salcli-images", left.parent):
        place.mkdir(parents=True)
        (place / "0099.png").write_bytes(b"half")
    assert salcli("datasets", "frames", videos[1], "-o", output).returncode == 0
    done = salcli("datasets", "frames", *videos, "-o", output, "--workers", "1")
    assert "602.AVI: 7 frames there already" in done.stderr
    assert "601.AVI: 8 frames extracted" in done.stderr
    assert sorted(p.name for p in (output / "601").iterdir()) == ["images"]
    assert len(list((output / "601/images").iterdir())) == 8


def test_who_stops_an_extraction_finds_whole_clips_only(
    miniature: Miniature, tmp_path: Path
) -> None:
    videos = sorted(miniature("dhf1k_videos").glob("video/*.AVI"))
    jobs = extraction.of_videos([str(path) for path in videos], output=tmp_path)
    outcomes = extraction.extract(jobs, workers=1)
    first = next(outcomes)
    outcomes.close()
    assert not list(tmp_path.glob("**/.salcli-*"))
    counts = {path.parent.name: len(list(path.iterdir())) for path in tmp_path.glob("*/images")}
    assert counts[first.job.video.stem] == first.frames
    assert set(counts.items()) <= {(f"{video:03d}", n) for video, n in MINIATURES["DHF1K"].items()}


def test_frames_as_salema_names_them(salcli: Run, miniature: Miniature, tmp_path: Path) -> None:
    video = miniature("dhf1k_videos") / "video" / "003.AVI"
    done = salcli(
        *("datasets", "frames", video, "-o", tmp_path / "out"),
        *("--pattern", "frames/{number}/{frame}.png"),
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out/frames/3/9.png").is_file()


@pytest.mark.parametrize(
    "pattern", ["{clip}.png", "{clip}/{frame}.jpg", "{frame}.png", "{clip}/{x}.png", "{clip}/{"]
)
def test_patterns_that_do_not_fit_are_refused(
    salcli: Run, clip_file: Path, tmp_path: Path, pattern: str
) -> None:
    done = salcli("datasets", "frames", clip_file, "-o", tmp_path / "out", "--pattern", pattern)
    assert done.returncode == 2, done.stderr
    assert pattern in done.stderr


def test_a_video_that_breaks_off_leaves_nothing(
    salcli: Run, miniature: Miniature, tmp_path: Path
) -> None:
    whole = (miniature("dhf1k_videos") / "video" / "001.AVI").read_bytes()
    (tmp_path / "cut.avi").write_bytes(whole[: len(whole) * 2 // 3])
    good = miniature("dhf1k_videos") / "video" / "602.AVI"
    done = salcli("datasets", "frames", "cut.avi", good, "-o", tmp_path / "out")
    assert done.returncode == 1
    assert "cut.avi' is damaged or cut short" in done.stderr
    assert not list((tmp_path / "out/cut").iterdir())
    assert len(list((tmp_path / "out/602/images").iterdir())) == 7


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
    assert "there are no fixations of 'mit300' to make maps of" in done.stderr
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


def grey(path: Path, size: tuple[int, int] = (36, 48)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture(path.stem, 0, size)[..., 0].copy()).save(path)


def test_a_dhf1k_submission(salcli: Run, miniature: Miniature, tmp_path: Path) -> None:
    """Numbers without zeros, as SalEMA writes them, become those that the benchmark wants."""
    for frame in range(1, 7):
        grey(tmp_path / "saliency" / "701" / f"{frame}.png")
    (tmp_path / "saliency/701/salcli.json").write_text("{}")
    command = ("datasets", "pack", "dhf1k", "saliency", "--root", miniature("dhf1k"))
    done = salcli(*command, "-o", "mine.zip")
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(tmp_path / "mine.zip") as archive:
        names = archive.namelist()
        first = archive.read(names[0])
    assert names == [f"mine/0701/{i:04d}.png" for i in range(1, 7)]
    assert first == (tmp_path / "saliency/701/1.png").read_bytes()
    assert salcli(*command, "-o", "apart", "--per-clip").returncode == 0
    with tarfile.open(tmp_path / "apart/0701.tar", "r:gz") as tar:
        assert tar.getnames() == [f"0701/{i:04d}.png" for i in range(1, 7)]


def test_a_submission_that_is_not_complete_is_not_packed(
    salcli: Run, miniature: Miniature, tmp_path: Path
) -> None:
    for frame in (1, 2, 3, 5, 6, 7):
        grey(tmp_path / "saliency" / "0701" / f"{frame:04d}.png")
    command = ("datasets", "pack", "dhf1k", "saliency", "-o", "mine.zip")
    done = salcli(*command, "--root", miniature("dhf1k"))
    assert done.returncode == 1
    assert "0701: no map of '0004'" in done.stderr
    assert not (tmp_path / "mine.zip").exists()
    grey(tmp_path / "saliency/0701/0004.png")
    done = salcli(*command, "--root", miniature("dhf1k"))
    assert "0701: of no frame: '0007.png'" in done.stderr
    (tmp_path / "saliency/0701/0007.png").unlink()
    Image.new("RGB", (48, 36)).save(tmp_path / "saliency/0701/0004.png")
    done = salcli(*command, "--root", miniature("dhf1k"))
    assert "0004.png' is not 8-bit grey" in done.stderr
    (tmp_path / "saliency/0701/0004.png").write_bytes(b"no picture")
    done = salcli(*command, "--root", miniature("dhf1k"))
    assert "0004.png' cannot be read" in done.stderr


def test_published_counts_serve_where_the_dataset_is_not(
    salcli: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("DHF1K_DATA_DIR", "SALICON_DATA_DIR"):
        monkeypatch.delenv(variable, raising=False)
    grey(tmp_path / "saliency/0701/0001.png")
    done = salcli("datasets", "pack", "dhf1k", "saliency", "-o", "mine.zip")
    assert done.returncode == 1
    assert "0701: no map of '0002', '0003', '0004' and 431 more" in done.stderr
    assert "0702: no folder of maps" in done.stderr
    assert "and 280 more like these" in done.stderr
    done = salcli("datasets", "pack", "salicon", "saliency", "-o", "mine.zip")
    assert done.returncode == 2
    assert "give its --root" in done.stderr
    done = salcli("datasets", "pack", "avimos", "saliency", "-o", "mine.zip")
    assert "only 'avimos' itself says what it holds; give its --root" in done.stderr
    done = salcli("datasets", "pack", "dhf1k", "saliency", "-o", "mine.zip", "--split", "tset")
    assert "no split of dataset 'dhf1k' named 'tset'; did you mean test?" in done.stderr


def test_submissions_of_stills_have_the_size_of_the_image(
    salcli: Run, miniature: Miniature, tmp_path: Path
) -> None:
    for name, number in (("mit300", 4), ("salicon", 2)):
        root = miniature(name)
        for recording in open_dataset(name, [root]).recordings("test"):
            grey(tmp_path / name / f"{recording.annotations[0].label}.png")
        command = ("datasets", "pack", name, name, "--root", root, "-o", f"{name}.zip")
        done = salcli(*command)
        assert done.returncode == 0, done.stderr
        with zipfile.ZipFile(tmp_path / f"{name}.zip") as archive:
            assert len(archive.namelist()) == number
            assert all(path.startswith(f"{name}/") for path in archive.namelist())
        wrong = next((tmp_path / name).iterdir())
        grey(wrong, (18, 24))
        done = salcli(*command)
        assert f"{wrong.name}' is 24x18, not 48x36 as it must be" in done.stderr


@pytest.mark.parametrize("size", [(36, 48), (35, 47)])
def test_an_ntire_submission_keeps_every_grey_level(
    salcli: Run, miniature: Miniature, tmp_path: Path, size: tuple[int, int]
) -> None:
    for clip, count in (("video_3", 5), ("video_4", 4)):
        for frame in range(1, count + 1):
            grey(tmp_path / "maps" / clip / f"{frame:04d}.png", size)
    levels = np.arange(size[0] * size[1], dtype=np.uint32).reshape(size) % 256
    Image.fromarray(levels.astype(np.uint8)).save(tmp_path / "maps/video_3/0002.png")
    root = miniature("avimos")
    command = ("datasets", "pack", "avimos", "maps", "--root", root, "-o", "ntire.zip")
    done = salcli(*command)
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(tmp_path / "ntire.zip") as archive:
        assert archive.namelist() == ["ntire/video_3.mp4", "ntire/video_4.mp4"]
        archive.extractall(tmp_path)
    stimulus = media.open_stimulus(tmp_path / "ntire/video_3.mp4")
    frames = list(stimulus.frames)
    assert len(frames) == 5
    assert stimulus.fps == 25
    assert np.abs(frames[1].astype(int) - levels[..., None]).max() <= 1
    # videos that are encoded already are taken as they are, if their lengths are right
    done = salcli(*command[:3], "ntire", "--root", root, "-o", "again.zip")
    assert done.returncode == 0, done.stderr
    shutil.copy(tmp_path / "ntire/video_3.mp4", tmp_path / "ntire/video_4.mp4")
    done = salcli(*command[:3], "ntire", "--root", root, "-o", "again.zip")
    assert "video_4.mp4' has 5 frames, not 4" in done.stderr


def test_what_nobody_collects_is_not_packed(
    salcli: Run, miniature: Miniature, tmp_path: Path
) -> None:
    (tmp_path / "maps").mkdir()
    command = ("datasets", "pack", "diem", "maps", "--root", miniature("diem"), "-o", "a.zip")
    done = salcli(*command)
    assert done.returncode == 2
    assert "nobody collects" in done.stderr
    assert gaze.count_frames(miniature("diem") / "one_show_1280x712/event_data") == 4
