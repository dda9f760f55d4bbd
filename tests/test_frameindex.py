"""Decoding begins at any frame of a video, with the very frames that decoding all of it gives."""

from __future__ import annotations

import logging
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from salcli.media.frameindex import FrameIndex
from salcli.media.images import FrameFolder
from salcli.media.program import ffmpeg
from salcli.media.video import Video
from salcli.output import png

H264 = ("-pix_fmt", "yuv420p", "-c:v", "libx264", "-g", "12", "-bf", "2")
CLIPS = {
    "plain.mp4": H264,
    "offset.ts": (*H264, "-output_ts_offset", "100"),
    "frames.avi": ("-c:v", "mpeg4", "-g", "12", "-bf", "2"),
    "h264.avi": H264,
    "refresh.mkv": (*H264, "-x264-params", "intra-refresh=1"),
    "raw.h264": H264,
}
"""Names of clips, and how they are encoded; the last one has no times to seek to."""


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A clip of 40 small frames."""

    def made(name: str) -> Path:
        path = tmp_path_factory.mktemp("clips") / name
        source = ("-f", "lavfi", "-i", "testsrc2=size=48x32:rate=25:duration=1.6")
        command = [ffmpeg(), "-v", "error", *source, *CLIPS[name], str(path)]
        assert subprocess.run(command, check=False).returncode == 0
        return path

    return made


@pytest.mark.parametrize("name", CLIPS)
def test_any_frame_is_found(
    make: Callable[[str], Path], caplog: pytest.LogCaptureFixture, name: str
) -> None:
    whole, part = Video(make(name)), Video(make(name))
    frames = list(whole)
    index = part.indexed({})
    assert index is not None
    part.use(index)
    assert list(part.times) == pytest.approx(whole.times, abs=1e-6)

    with caplog.at_level(logging.INFO, "salcli"):
        for count in (20, 40):
            found = list(part.after(count))
            assert len(found) == 40 - count
            assert all(map(np.array_equal, found, frames[count:]))

    said = "no seek to frame 21; decoded from the start" in caplog.text
    assert said == (name == "raw.h264")


def test_what_differs_from_the_index_is_not_believed(
    make: Callable[[str], Path], caplog: pytest.LogCaptureFixture
) -> None:
    video = Video(make("plain.mp4"))
    frames, index = list(video), video.indexed({})
    assert index is not None
    index.sums[25] += 1
    video.use(index)

    with caplog.at_level(logging.INFO, "salcli"):
        found = list(video.after(15))

    assert len(found) == 25
    assert all(map(np.array_equal, found, frames[15:]))
    assert "no seek to frame 26; decoded from the start" in caplog.text


def test_an_index_is_kept_for_one_state_and_not_made_of_what_is_damaged(
    make: Callable[[str], Path], tmp_path: Path
) -> None:
    file, whole = tmp_path / "index.json", make("plain.mp4")
    index = Video(whole).indexed({"size": 1})
    assert index is not None
    index.write(file)
    assert FrameIndex.read(file, {"size": 1}) == index
    assert FrameIndex.read(file, {"size": 2}) is None
    file.write_text('{"times": [0.5], "sums": [], "state": {"size": 1}}')
    assert FrameIndex.read(file, {"size": 1}) is None
    cut = tmp_path / "cut.avi"
    cut.write_bytes(make("frames.avi").read_bytes()[:-500])
    assert Video(cut).indexed({}) is None


def test_frames_of_a_folder_are_found_by_their_names(tmp_path: Path) -> None:
    files = [tmp_path / f"{number}.png" for number in range(4)]
    for number, file in enumerate(files):
        file.write_bytes(png.encode(np.full((4, 6, 3), number, np.uint8)))
    files[1].write_bytes(b"it is not decoded")

    assert [frame[0, 0, 0] for frame in FrameFolder(files).after(2)] == [2, 3]
