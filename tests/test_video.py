import gc
import subprocess
import threading
from fractions import Fraction
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest

from salcli.errors import InputError
from salcli.media.images import ahead
from salcli.media.video import Video, frame_rate, is_video

FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()
CODECS = {"webm": "libvpx", "3gp": "mpeg4", "flv": "flv1", "avi": "mpeg4", "mpg": "mpeg1video"}


def ffmpeg(*arguments: str | Path) -> None:
    command = [FFMPEG, "-v", "error", "-nostdin", "-y", *map(str, arguments)]
    subprocess.run(command, check=True, timeout=60)


def make(path: Path, *options: str, size: str = "64x48", rate: str = "25", frames: int = 7) -> Path:
    codec = CODECS.get(path.suffix[1:], "libx264")
    source = f"testsrc2=size={size}:rate={rate}"
    pixels = ("-pix_fmt", "yuv444p" if codec == "libx264" else "yuv420p")
    ffmpeg(
        *("-f", "lavfi", "-i", source, "-frames:v", str(frames), "-c:v", codec, *pixels),
        *("-threads", "1", *options, path),
    )
    return path


def reference(path: Path) -> list[bytes]:
    reader = imageio_ffmpeg.read_frames(
        str(path), pix_fmt="rgb24", output_params=["-fps_mode", "passthrough"]
    )
    next(reader)
    return list(reader)


leaving_pipes_open = pytest.mark.filterwarnings(  # as read_frames does
    "ignore:unclosed file:ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)


@pytest.mark.parametrize(
    "suffix", ["mp4", "mkv", "webm", "ts", "avi", "mov", "m4v", "flv", "3gp", "mpg"]
)
def test_every_container_gives_every_frame_once(tmp_path: Path, suffix: str) -> None:
    path = make(tmp_path / f"clip.{suffix}")
    video = Video(path)
    frames = list(video)
    assert len(frames) == 7
    assert video.size == (48, 64)
    assert video.fps == 25
    assert len(video.times) == 7
    assert video.times == sorted(set(video.times))
    # mpg states the time of some frames only
    np.testing.assert_allclose(np.diff(video.times), 0.04, atol=0.0011)
    assert all(frame.dtype == np.uint8 and frame.shape == (48, 64, 3) for frame in frames)


@leaving_pipes_open
def test_pixels_are_those_of_imageio_ffmpeg(tmp_path: Path) -> None:
    for name, size in (("even.mp4", "64x48"), ("odd.mkv", "61x35"), ("lossy.webm", "64x48")):
        path = make(tmp_path / name, size=size)
        assert [frame.tobytes() for frame in Video(path)] == reference(path)
    gc.collect()


def test_a_file_name_says_nothing(tmp_path: Path) -> None:
    path = make(tmp_path / "clip.mp4").rename(tmp_path / "-a: b%04d [x]")
    assert len(list(Video(path))) == 7
    assert is_video(path)


def test_variable_rate_keeps_frames_and_times(tmp_path: Path) -> None:
    shown = "setpts='if(lt(N,4),N,4+(N-4)*3)*0.1/TB'"
    path = make(tmp_path / "phone.mkv", "-vf", shown, "-fps_mode", "passthrough", rate="10")
    video = Video(path)
    assert len(list(video)) == 7
    np.testing.assert_allclose(video.times, [0, 0.1, 0.2, 0.3, 0.4, 0.7, 1.0], atol=1e-9)
    assert 5 < video.fps <= 10  # muxers disagree on how long the last frame is shown


def test_ntsc_rates_are_exact(tmp_path: Path) -> None:
    assert Video(make(tmp_path / "a.mp4", rate="30000/1001")).fps == pytest.approx(30000 / 1001)
    assert Video(make(tmp_path / "b.mkv", rate="24000/1001")).fps == pytest.approx(24000 / 1001)


@pytest.mark.parametrize(
    ("stated", "timed", "expected"),
    [
        ("24.5 fps", True, 24.5),
        ("29.97 fps", True, 30000 / 1001),
        ("1k fps", True, 1000),
        ("24.5 fps", False, 30),
        ("30 tbr", True, 30),
    ],
)
def test_a_variable_rate_is_the_average(stated: str, timed: bool, expected: float) -> None:
    log = f"Stream #0:0: Video: h264 (High), yuv420p, 64x48, 9 kb/s, {stated}, 90k tbn"
    assert frame_rate(log, 30, timed=timed) == pytest.approx(expected, rel=1e-12)


def test_times_start_as_in_the_file(tmp_path: Path) -> None:
    video = Video(make(tmp_path / "late.ts", "-output_ts_offset", "10"))
    list(video)
    assert video.times[0] > 10


def test_rotation_and_edit_list_are_honoured(tmp_path: Path) -> None:
    path = make(tmp_path / "clip.mp4", "-bf", "0", frames=20)
    ffmpeg("-display_rotation", "90", "-i", path, "-c", "copy", tmp_path / "turned.mp4")
    turned = Video(tmp_path / "turned.mp4")
    assert turned.size == (64, 48)
    upright = np.rot90(next(iter(Video(path))))
    difference = np.abs(next(iter(turned)).astype(int) - upright)
    assert difference.max() <= 2  # rounding of chroma
    ffmpeg("-ss", "0.2", "-i", path, "-c", "copy", tmp_path / "cut.mp4")
    cut = list(Video(tmp_path / "cut.mp4"))
    assert len(cut) == 15
    assert (cut[0] == list(Video(path))[5]).all()


def test_the_aspect_of_pixels_is_known_even_after_rotation(tmp_path: Path) -> None:
    path = make(tmp_path / "clip.mp4", "-vf", "setsar=4/3")
    assert (Video(path).pixel_aspect, Video(path).size) == (Fraction(4, 3), (48, 64))
    ffmpeg("-display_rotation", "90", "-i", path, "-c", "copy", tmp_path / "turned.mp4")
    assert Video(tmp_path / "turned.mp4").pixel_aspect == Fraction(3, 4)
    assert Video(make(tmp_path / "square.mkv")).pixel_aspect == 1


@leaving_pipes_open
def test_interlaced_video_is_deinterlaced(tmp_path: Path) -> None:
    moving = ("-vf", "scroll=h=0.1,tinterlace=interleave_top,setfield=tff")
    interlaced = ("-flags", "+ilme+ildct", "-c:v", "mpeg2video", "-q:v", "1", "-g", "4")
    path = make(tmp_path / "tv.ts", *moving, *interlaced, "-pix_fmt", "yuv420p", rate="50")
    video = Video(path)
    pictures = list(video)
    assert len(pictures) == len(reference(path)) == 7
    np.testing.assert_allclose(np.diff(video.times), 0.04, atol=0.0011)

    def combed(frames: list[np.ndarray]) -> float:
        """How much neighbouring rows differ beyond those of the same field."""
        grey = np.stack(frames).astype(float).mean(-1)
        near = np.abs(grey[:, 1:-1] - (grey[:, :-2] + grey[:, 2:]) / 2).mean()
        return float(near / np.abs(grey[:, 2:] - grey[:, :-2]).mean())

    stored = [np.frombuffer(frame, np.uint8).reshape(48, 64, 3) for frame in reference(path)]
    assert combed(pictures) < 0.8 * combed(stored)
    assert (video.excerpt(range(2, 7, 2))[1] == pictures[4]).all()
    progressive = Video(make(tmp_path / "film.ts", "-c:v", "mpeg2video"))
    assert [frame.tobytes() for frame in progressive] == reference(tmp_path / "film.ts")
    gc.collect()


def test_iterating_again_starts_again(tmp_path: Path) -> None:
    video = Video(make(tmp_path / "clip.mp4"))
    first = [frame.sum() for frame in video]
    times = list(video.times)
    assert [frame.sum() for frame in video] == first
    assert video.times == times


def test_times_are_there_when_the_frame_is(tmp_path: Path) -> None:
    video = Video(make(tmp_path / "clip.mp4"))
    assert all(len(video.times) > index for index, _ in enumerate(video))


def test_stopping_early_ends_the_thread_and_ffmpeg(tmp_path: Path) -> None:
    def children() -> set[str]:
        files = Path("/proc/self/task").glob("*/children")
        return {child for file in files for child in file.read_text().split()}

    path = make(tmp_path / "clip.mp4", frames=200)
    threads, processes = threading.active_count(), children()
    frames = iter(Video(path))
    next(frames)
    assert threading.active_count() == threads + 1
    del frames
    gc.collect()
    assert threading.active_count() == threads
    assert children() <= processes


def test_decoding_does_not_run_away(tmp_path: Path) -> None:
    video = Video(make(tmp_path / "clip.mp4", frames=100))
    frames = iter(video)
    next(frames)
    threading.Event().wait(0.3)
    assert len(video.times) <= 1 + 4  # `DECODED_AHEAD` frames wait
    frames.close()  # type: ignore[attr-defined]


def test_hdr_is_tone_mapped(tmp_path: Path) -> None:
    tags = "setparams=color_primaries=bt2020:color_trc=smpte2084:colorspace=bt2020nc"
    means = []
    for code in (327, 940):  # PQ 0.3, about 10 cd/m2, and the brightest, 10,000 cd/m2
        fill = f"format=yuv420p10le,lutyuv=y={code}:u=512:v=512,{tags}"
        path = make(tmp_path / f"{code}.mp4", "-pix_fmt", "yuv420p10le", "-vf", fill, frames=2)
        means.append(float(next(iter(Video(path))).mean()))
    assert means[0] == pytest.approx(66, abs=2)  # 77 without tone mapping
    assert means[1] > 240


@pytest.mark.parametrize("name", ["cut.mp4", "cut.mkv", "cut.flv", "cut.avi", "cut.webm"])
def test_what_decodes_of_a_cut_file_comes_before_the_error(tmp_path: Path, name: str) -> None:
    start = ["-movflags", "faststart"] if name == "cut.mp4" else []
    path = make(tmp_path / name, "-g", "6", *start, frames=60)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    video = Video(path)
    decoded: list[np.ndarray] = []
    with pytest.raises(InputError, match=rf"{name}' is damaged or cut short: after \d+ frames"):
        decoded.extend(video)
    assert 10 < len(video.times) < 60
    assert len(decoded) == len(video.times)


def test_damage_in_the_middle_is_an_error(tmp_path: Path) -> None:
    path = make(tmp_path / "clip.mp4", "-g", "5", "-movflags", "faststart", frames=60)
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 400] = b"\xff" * 400
    path.write_bytes(content)
    with pytest.raises(InputError, match="damaged"):
        list(Video(path))


def test_files_without_a_picture(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("this is no video\n" * 100)
    (tmp_path / "art.txt").write_text("ffmpeg would draw this\n" * 100)
    (tmp_path / "noise.mkv").write_bytes(bytes(range(256)) * 20)
    sine = ("-f", "lavfi", "-i", "sine=duration=0.2")
    ffmpeg(*sine, tmp_path / "sound.mp4")
    ffmpeg("-f", "lavfi", "-i", "testsrc=size=32x32", "-frames:v", "1", tmp_path / "cover.png")
    cover = ("-map", "0", "-map", "1", "-c:v", "png", "-disposition:v", "attached_pic")
    ffmpeg(*sine, "-i", tmp_path / "cover.png", *cover, tmp_path / "song.mp3")
    moov_missing = make(tmp_path / "half.mp4")
    moov_missing.write_bytes(moov_missing.read_bytes()[:1500])
    for name, reason in (
        ("text.mp4", "Invalid data"),
        ("art.txt", "it is text"),
        ("noise.mkv", "nvalid"),
        ("sound.mp4", "no video stream"),
        ("song.mp3", "cover"),
        ("half.mp4", "Invalid data"),
    ):
        with pytest.raises(InputError, match=reason) as caught:
            Video(tmp_path / name)
        assert "\n" not in str(caught.value)
        assert name in str(caught.value)
        assert not is_video(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("drawing.png", '<svg xmlns="http://www.w3.org/2000/svg" width="64" height="48"/>', "SVG"),
        ("list.mp4", "ffconcat version 1.0\nfile clip.mp4\n", "list of other files"),
    ],
)
def test_no_drawings_and_no_lists(tmp_path: Path, name: str, content: str, reason: str) -> None:
    make(tmp_path / "clip.mp4")
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=rf"{name}' is neither .*{reason}"):
        Video(tmp_path / name)


@pytest.mark.parametrize("codec", ["libx264", "ffv1"])
def test_a_small_file_of_huge_pictures_is_refused(tmp_path: Path, codec: str) -> None:
    path = tmp_path / "huge.mkv"
    source = ("-f", "lavfi", "-i", "color=gray:size=16384x8192:rate=25", "-frames:v", "1")
    ffmpeg(*source, "-c:v", codec, "-preset", "ultrafast", "-pix_fmt", "yuv420p", path)

    with pytest.raises(InputError, match=r"16384x8192, more than 89,\d+,\d+ pixels"):
        Video(path)


def test_few_large_frames_wait() -> None:
    assert ahead((1080, 1920)) == ahead((2160, 3840)) == 4
    assert ahead((8192, 8192)) == 1


def test_length_hint_is_about_right(tmp_path: Path) -> None:
    assert 6 <= Video(make(tmp_path / "clip.mp4")).__length_hint__() <= 8
