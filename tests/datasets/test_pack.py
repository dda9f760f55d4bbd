"""`salcli datasets pack`: submissions that are complete, and those that are not."""

from __future__ import annotations

import shutil
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import pytest
from PIL import Image

from salcli.datasets.open import open_dataset
from salcli.gaze.files import count_frames
from salcli.media.open import open_stimulus
from salcli.testing.miniatures import picture

Run = Callable[..., CompletedProcess[str]]
Miniature = Callable[[str], Path]


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
    assert "give its root folder" in done.stderr
    done = salcli("datasets", "pack", "avimos", "saliency", "-o", "mine.zip")
    assert "only 'avimos' itself lists its contents; give its root folder" in done.stderr
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
    stimulus = open_stimulus(tmp_path / "ntire/video_3.mp4")
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
    assert "has no submission format" in done.stderr
    assert count_frames(miniature("diem") / "one_show_1280x712/event_data") == 4
