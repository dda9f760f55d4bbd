"""One command on a folder of odd files: each ends as it deserves, each movie in step."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import pytest
from PIL import Image

FRAMES, RATE, FLASH, TONE = 14, 10, 7, 1000
X264, SOUND = ("-c:v", "libx264", "-bf", "2"), ("-c:a", "aac")
VARIABLE = "setpts='if(lt(N,5),N,5+(N-5)*3)*0.1/TB'"
INTERLACED = ("-c:v", "mpeg2video", "-flags", "+ilme+ildct", "-vf", "setfield=tff", "-c:a", "mp2")
ONCE = ("-fps_mode", "passthrough", "-enc_time_base", "demux")

CLIPS = {
    "mp4.mp4": (*X264, *SOUND),
    "mkv.mkv": (*X264, "-c:a", "ac3"),
    "avi.avi": ("-c:v", "mpeg4", "-c:a", "libmp3lame"),
    "mov.mov": (*X264, "-c:a", "pcm_s16le"),
    "webm.webm": ("-c:v", "libvpx", "-c:a", "libopus", "-ar", "48000"),
    "stream.ts": (*X264, *SOUND),
    "mpeg.mpg": ("-c:v", "mpeg2video", "-r", "25", "-c:a", "mp2"),
    "windows.wmv": ("-c:v", "wmv2", "-c:a", "wmav2"),
    "gif.gif": ("-an",),
    "raw.h264": (*X264, "-an"),
    "variable.mp4": (*X264, *SOUND, "-vf", VARIABLE, *ONCE),
    "variable.mkv": (*X264, "-c:a", "ac3", "-vf", VARIABLE, *ONCE),
    "odd.mkv": (*X264, *SOUND, "-vf", "scale=61:35", "-pix_fmt", "yuv444p"),
    "anamorphic.mp4": (*X264, *SOUND, "-vf", "setsar=4/3"),
    "interlaced.ts": (*INTERLACED, "-r", "25"),
    "tracks.mkv": (*X264, "-map", "0", "-map", "1", "-map", "1", "-c:a:0", "aac", "-c:a:1", "ac3"),
    "offset.mkv": (*X264, *SOUND, "-output_ts_offset", "5"),
    "one.mp4": (*X264, *SOUND, "-frames:v", "1"),
    "whole.mp4": (*X264, "-an", "-movflags", "+faststart", "-vf", "noise=alls=60:allf=t"),
    "whole.mkv": (*X264, "-an", "-vf", "noise=alls=60:allf=t"),
    "sound.mp4": ("-vn", *SOUND),
}
"""How ffmpeg makes each from a picture that turns white and a tone that starts with it."""

WITH_SOUND = [name for name, how in CLIPS.items() if "-an" not in how and "-vn" not in how]
FAILING = {
    "cut.mp4": "damaged or cut short",
    "broken.mkv": "damaged or cut short",
    "sound.mp4": "it contains no video stream",
    "empty.mp4": "is empty (0 bytes)",
    "text.mp4": "neither an image nor a video",
    "no frames.mkv": "neither an image nor a video",
}
"""What is said about each file that cannot be read to its end."""


@dataclass(frozen=True)
class Heard:
    """What ffmpeg says about a file: seconds, each counted from the first picture."""

    pictures: list[float]
    white: list[float]
    tone: list[float]
    tracks: int
    text: str


def ffmpeg(*arguments: str | Path) -> str:
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-hide_banner", "-y"]
    done = subprocess.run([*command, *map(str, arguments)], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stderr.decode()


def heard(path: Path) -> Heard:
    look = ["-map", "0:v:0", "-vf", "blackdetect=d=0.05:pix_th=0.4,showinfo"]
    listen = ["-map", "0:a?", "-af", "silencedetect=n=-30dB:d=0.1"]
    text = ffmpeg("-i", path, *look, *listen, "-fps_mode", "passthrough", "-f", "null", "-")
    pictures = [float(t) for t in re.findall(r"pts_time:([\d.]+) .* iskey", text)]
    start = pictures[0]
    white, tone = (
        [float(t) - start for t in re.findall(rf"{what} ?([\d.]+)", text)]
        for what in ("black_end:", "silence_end:")
    )
    tracks = text.partition("Output #0")[0].count("Audio:")
    return Heard([t - start for t in pictures], white, tone, tracks, text)


def make_clips(folder: Path) -> None:
    """All clips from two sources, each decoded once."""
    scene = f"color=black:s=64x48:r={RATE},drawbox=c=white:t=fill:enable='gte(n,{FLASH})'"
    seconds = {"plain": FLASH / RATE, "variable": (5 + (FLASH - 5) * 3) / RATE}
    for kind, start in seconds.items():
        tone = f"aevalsrc='if(gte(t,{start}),sin({TONE}*2*PI*t),0)':s=44100"
        command = ["-f", "lavfi", "-t", str(FRAMES / RATE), "-i", scene]
        command += ["-f", "lavfi", "-t", str(FRAMES / RATE * (2 if kind == "variable" else 1))]
        command += ["-i", tone]
        for name, how in CLIPS.items():
            if name.startswith("variable") == (kind == "variable"):
                pixels = () if "-pix_fmt" in how or name == "gif.gif" else ("-pix_fmt", "yuv420p")
                command += [*how, *pixels, "-threads", "1", str(folder / name)]
        ffmpeg(*command)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The odd files."""
    place = tmp_path_factory.mktemp("odd") / "files"
    place.mkdir()
    make_clips(place)
    ffmpeg("-display_rotation", "90", "-i", place / "mp4.mp4", "-c", "copy", place / "turned.mp4")
    late = ["-itsoffset", "0.5", "-i", place / "mkv.mkv", "-i", place / "mkv.mkv"]
    ffmpeg(*late, "-map", "0:v", "-map", "1:a", "-c", "copy", place / "late.mkv")
    whole = (place / "whole.mp4").read_bytes()
    (place / "cut.mp4").write_bytes(whole[: -len(whole) // 4])
    content = bytearray((place / "whole.mkv").read_bytes())
    middle = len(content) // 2
    content[middle : middle + 600] = b"\xff" * 600
    (place / "broken.mkv").write_bytes(content)
    (place / "empty.mp4").touch()
    (place / "text.mp4").write_text("Not a video.\n" * 50)
    (place / "no frames.mkv").write_bytes((place / "whole.mkv").read_bytes()[:300])
    for name in ("whole.mp4", "whole.mkv"):
        (place / name).unlink()
    black, white = (Image.new("RGB", (64, 48), level) for level in ("black", "white"))
    frames = {"save_all": True, "append_images": [white], "duration": [700, 700]}
    black.save(place / "moving.webp", **frames)
    black.save(place / "moving.png", **frames)
    white.save(place / "still.png")
    (place / "broken.png").write_bytes((place / "still.png").read_bytes()[:60])
    return place


@pytest.fixture(scope="module")
def run(folder: Path, processes: Callable[..., Any]) -> Any:
    """One command on the whole folder."""
    command = ["predict", folder, "-m", "brightness", "--save", "overlay", "-o", "out"]
    return processes(command, folder=folder.parent)


@pytest.fixture(scope="module")
def movies(run: Any, folder: Path) -> dict[str, Path]:
    """The overlay of each clip that ended well, by the name of its file."""
    records = (folder.parent / "out").glob("*/salcli.json")
    sources = {Path(json.loads(path.read_text())["source"]).name: path for path in records}
    return {
        name: path.with_name("overlay.mp4")
        for name, path in sources.items()
        if name not in FAILING and name != folder.name
    }


def test_each_file_ends_as_it_deserves(run: Any, movies: dict[str, Path], folder: Path) -> None:
    assert run.codes == [1]
    assert "Traceback" not in run.errors[0]
    files = {path.name for path in folder.iterdir()}
    assert movies.keys() == files - FAILING.keys() - {"still.png", "broken.png"}
    said = re.sub(r"\s+", " ", run.errors[0])
    for name, reason in FAILING.items():
        assert re.search(rf"{re.escape(name)}'[^']*{re.escape(reason)}", said), name
    assert "broken.png' cannot be read as an image" in said
    assert (folder.parent / "out" / "files" / "still.overlay.png").is_file()


@pytest.mark.parametrize("name", [*WITH_SOUND, "turned.mp4", "late.mkv"])
def test_the_movie_plays_in_step_with_its_sound(
    movies: dict[str, Path], folder: Path, name: str
) -> None:
    source, movie = heard(folder / name), heard(movies[name])
    assert movie.pictures == pytest.approx(source.pictures, abs=0.001)
    assert movie.tracks == source.tracks >= 1
    if name != "one.mp4":
        assert movie.white == pytest.approx(source.white, abs=0.002)
        assert movie.tone == pytest.approx(source.tone, abs=0.04)
        assert len(movie.tone) == source.tracks


@pytest.mark.parametrize(
    ("name", "count", "white"),
    [
        ("gif.gif", FRAMES, FLASH / RATE),
        ("raw.h264", FRAMES, FLASH / RATE),
        ("moving.webp", 2, 0.7),
        ("moving.png", 2, 0.7),
    ],
)
def test_clips_without_sound_keep_their_pace(
    movies: dict[str, Path], name: str, count: int, white: float
) -> None:
    movie = heard(movies[name])
    assert (len(movie.pictures), movie.tracks) == (count, 0)
    assert movie.white == pytest.approx([white], abs=0.001)


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("turned.mp4", "48x64"),
        ("odd.mkv", "61x35"),
        ("anamorphic.mp4", r"64x48 \[SAR 4:3 DAR 16:9\]"),
        ("interlaced.ts", "64x48"),
    ],
)
def test_the_movie_has_the_shape_of_its_source(
    movies: dict[str, Path], name: str, shape: str
) -> None:
    assert re.search(rf"Video: h264.* progressive\), {shape}[, ]", heard(movies[name]).text)
