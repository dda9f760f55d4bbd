"""Parts of clips: every Nth frame, from a second on, for some seconds."""

from __future__ import annotations

import csv
import subprocess
from itertools import pairwise
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
from PIL import Image

from salcli.errors import InputError, UsageError
from salcli.media.open import open_stimulus
from salcli.media.portion import Portion
from salcli.testing.fixtures import Command

TIMES = (0, 0.1, 0.2, 0.3, 0.4, 0.7, 1.0, 1.3, 1.6)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same nine frames, of grey levels 0, 20, ..., in several files."""
    place = tmp_path_factory.mktemp("clips")
    levels = [Image.new("L", (64, 48), 20 * index) for index in range(len(TIMES))]
    (place / "frames").mkdir()
    for index, picture in enumerate(levels):
        picture.save(place / "frames" / f"{index}.png")
    periods = [after - before for before, after in pairwise(TIMES)]
    lengths = [round(1000 * period) for period in (*periods, 0.3)]
    levels[0].save(place / "clip.gif", save_all=True, append_images=levels[1:], duration=lengths)
    steps = "+".join(f"gte(N,{index})*{period}" for index, period in enumerate(periods, start=1))
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-nostdin", "-framerate", "10"]
    command += ["-i", str(place / "frames" / "%d.png"), "-vf", f"setpts='round(({steps})/TB)'"]
    command += ["-fps_mode", "passthrough", "-pix_fmt", "yuv420p"]
    subprocess.run([*command, place / "clip.mp4"], check=True)
    subprocess.run([*command, "-output_ts_offset", "5", place / "late.mkv"], check=True)
    return place


@pytest.mark.parametrize("name", ["clip.mp4", "late.mkv", "clip.gif"])
@pytest.mark.parametrize(
    ("portion", "wanted"),
    [
        (Portion(), range(9)),
        (Portion(every=4), range(0, 9, 4)),
        (Portion(start=0.4), range(4, 9)),
        (Portion(start=0.35, duration=0.7), range(4, 7)),
        (Portion(every=2, start=0.1, duration=1.2), [1, 3, 5]),
        (Portion(duration=0.05), [0]),
    ],
)
def test_exactly_these_frames_at_their_own_times(
    folder: Path, name: str, portion: Portion, wanted: range
) -> None:
    stimulus = open_stimulus(folder / name, portion=portion)
    levels = [float(np.mean(frame)) for frame in stimulus.frames]
    assert levels == pytest.approx([20 * index for index in wanted], abs=2)
    start = 5 if name == "late.mkv" else 0
    assert stimulus.times == pytest.approx([start + TIMES[index] for index in wanted], abs=1e-6)
    assert stimulus.source_start == (None if name == "clip.gif" else pytest.approx(start))
    assert stimulus.count in (None, len(wanted))
    assert [float(np.mean(frame)) for frame in stimulus.frames] == levels


def test_a_folder_of_frames(folder: Path) -> None:
    part = Portion(every=3, start=0.2, duration=0.6)
    stimulus = open_stimulus(folder / "frames", fps=10, portion=part)
    assert stimulus.labels == ["2", "5"]
    assert stimulus.times == pytest.approx([0.2, 0.5])
    assert stimulus.fps == pytest.approx(10 / 3)
    assert len(list(stimulus.frames)) == stimulus.count == 2


@pytest.mark.parametrize("name", ["clip.mp4", "clip.gif", "frames"])
def test_a_span_behind_the_end(folder: Path, name: str) -> None:
    fps = 10 if name == "frames" else None
    with pytest.raises(InputError, match=f"{name}' has no frames in this span"):
        list(open_stimulus(folder / name, fps=fps, portion=Portion(start=60)).frames)


def test_stills_have_no_time(folder: Path) -> None:
    with pytest.raises(UsageError, match=r"0\.png' is not a clip"):
        open_stimulus(folder / "frames" / "0.png", portion=Portion(every=2))


@pytest.mark.parametrize("wrong", [{"every": 0}, {"start": -1}, {"duration": 0}])
def test_impossible_numbers(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="every Nth frame"):
        Portion(**wrong)


def test_the_command_predicts_only_the_part(salcli: Command, folder: Path, tmp_path: Path) -> None:
    def times() -> list[float]:
        with (tmp_path / "out" / "clip" / "saliency.csv").open(newline="") as file:
            return [float(row["time_s"]) for row in csv.DictReader(file)]

    command = ("predict", folder / "clip.mp4", "-m", "brightness", "--save", "csv", "-o", "out")
    assert salcli(*command, "--start", "0.4", "--every", "2").returncode == 0
    assert times() == pytest.approx([0.4, 1.0, 1.6])
    done = salcli(*command, "--duration", "0.25")
    assert "other settings" in done.stderr
    assert times() == pytest.approx([0, 0.1, 0.2])
    still = salcli("predict", folder / "frames" / "0.png", "--every", "2", *command[2:])
    assert still.returncode != 0
    assert "is not a clip" in still.stderr
