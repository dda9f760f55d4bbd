"""`salcli datasets frames`: extracts the frames of videos, and goes on where it was stopped."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import pytest
from PIL import Image

from salcli.datasets import extract
from salcli.datasets.open import open_dataset
from salcli.media.open import open_stimulus
from salcli.prediction.claims import claimed
from salcli.processes import Process
from salcli.terminal.events import Watcher

Run = Callable[..., CompletedProcess[str]]
Miniature = Callable[[str], Path]


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
    decoded = open_stimulus(root / "video/601.AVI").frames
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
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        pass
    killed = f".salcli-{Process.current().tag}-{process.pid}-images"  # in the first video
    (output / "601" / killed).mkdir(parents=True)
    (output / "601" / killed / "0099.png").write_bytes(b"half")
    assert salcli("datasets", "frames", videos[1], "-o", output).returncode == 0
    done = salcli("datasets", "frames", *videos, "-o", output)
    assert "602.AVI: 7 frames there already" in done.stderr
    assert "601.AVI: 8 frames extracted" in done.stderr
    assert sorted(p.name for p in (output / "601").iterdir()) == ["images"]
    assert len(list((output / "601/images").iterdir())) == 8


class Impatient(Watcher):
    """Presses Ctrl-C at the third frame."""

    def __init__(self) -> None:
        self.steps = 0

    def step(self) -> None:
        self.steps += 1
        if self.steps == 3:
            raise KeyboardInterrupt


def test_who_stops_an_extraction_finds_whole_clips_only(
    miniature: Miniature, tmp_path: Path
) -> None:
    video = str(miniature("dhf1k_videos") / "video" / "601.AVI")
    (job,) = extract.of_videos([video], output=tmp_path)
    with pytest.raises(KeyboardInterrupt):
        extract.extract(job, Impatient())
    assert not list((tmp_path / "601").iterdir())


def test_a_claimed_video_is_left_to_its_process(
    salcli: Run, miniature: Miniature, tmp_path: Path
) -> None:
    videos = [miniature("dhf1k_videos") / "video" / f"{n}.AVI" for n in (601, 602)]
    with claimed(tmp_path / "out/601/.images.salcli-claim"):
        done = salcli("datasets", "frames", *videos, "-o", "out")
    assert done.returncode == 0, done.stderr
    assert "601.AVI: left to another process; process " in done.stderr
    assert "602.AVI: 7 frames extracted" in done.stderr
    assert not list((tmp_path / "out/601").iterdir())


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
