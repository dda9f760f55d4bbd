import re
import socket
import subprocess
import threading
from fractions import Fraction

import imageio_ffmpeg
import numpy as np
import pytest

from salcli.errors import OutputError
from salcli.output.movie import Movie
from salcli.types import Result

FLASHES = "color=gray:s=64x48:r=25:d=3"
BEEPS = "sine=f=1000:r=44100:d=5,volume='lt(mod(t,1),0.05)':eval=frame"
EACH_ONCE = ("-fps_mode", "passthrough", "-enc_time_base", "demux")
NO_MAP = np.zeros((2, 2), np.float32)


def ffmpeg(*arguments):
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-hide_banner", "-nostats", *arguments]
    return subprocess.run([str(a) for a in command], capture_output=True, check=False)


def described(path):
    return ffmpeg("-i", path).stderr.decode()


def decoded(path, height, width):
    done = ffmpeg("-v", "error", "-i", path, *EACH_ONCE, "-f", "rawvideo", "-pix_fmt", "rgb24", "-")
    assert done.returncode == 0
    assert not done.stderr
    return np.frombuffer(done.stdout, np.uint8).reshape(-1, height, width, 3)


def beeps(path):
    """Seconds at which the beeps of a file begin."""
    done = ffmpeg(
        "-i", path, "-map", "0:a:0", "-af", "silencedetect=n=-30dB:d=0.2", "-f", "null", "-"
    )
    return [float(t) for t in re.findall(r"silence_end: ([\d.]+)", done.stderr.decode())]


@pytest.fixture(scope="module")
def beeping(tmp_path_factory):
    """Gray pictures for 3 s; beeps for 5 s, one at each full second."""
    path = tmp_path_factory.mktemp("clips") / "beeping.mp4"
    done = ffmpeg("-f", "lavfi", "-i", FLASHES, "-f", "lavfi", "-i", BEEPS, "-c:a", "aac", path)
    assert done.returncode == 0
    return path


def times(path):
    """Seconds at which the pictures of a movie are shown, and at which the last one ends."""
    done = ffmpeg("-v", "error", "-i", path, "-map", "0:v", *EACH_ONCE, "-f", "framecrc", "-")
    unit = Fraction(re.search(rb"#tb 0: (\S+)", done.stdout)[1].decode())
    rows = [line.split(b",") for line in done.stdout.splitlines() if line.startswith(b"0,")]
    starts = [float(int(row[2]) * unit) for row in rows]
    return [*starts, starts[-1] + float(int(rows[-1][3]) * unit)]


def make(path, *, size=(48, 64), count=10, fps=25.0, source=None, stamps=None, **options):
    """A movie whose picture i has the grey level 10 i."""
    movie = Movie(
        path,
        shown=path,
        draw=lambda result: np.full((*size, 3), 10 * result.index % 250, np.uint8),
        fps=fps,
        source=source,
        **options,
    )
    for index, stamp in enumerate(stamps or [None] * count):
        movie.add(Result(index, f"{index + 1:04d}", stamp, NO_MAP))
    movie.finish()
    return path


@pytest.mark.parametrize("size", [(48, 64), (47, 64), (48, 65), (17, 13), (2, 2), (1, 1)])
def test_pictures_keep_their_number_size_order_and_colours(tmp_path, size):
    pictures = decoded(make(tmp_path / "a.mp4", size=size), *size)
    levels = pictures.mean(axis=(1, 2, 3))
    assert levels.tolist() == pytest.approx([10.0 * i for i in range(10)], abs=2)
    assert [p.name for p in tmp_path.iterdir()] == ["a.mp4"]


def test_colours_are_tagged_and_right(tmp_path):
    colour = np.array((32, 192, 64), np.uint8)
    path = tmp_path / "a.mp4"
    movie = Movie(
        path, shown=path, draw=lambda _: np.tile(colour, (48, 64, 1)), fps=25, source=None
    )
    movie.add(Result(0, "0001", None, NO_MAP))
    movie.finish()
    assert "yuv420p(tv, bt709" in described(path)
    assert np.abs(decoded(path, 48, 64)[0].astype(int) - colour).max() <= 3


@pytest.mark.parametrize(
    ("fps", "shown"),
    [(25.0, "25 fps"), (30000 / 1001, "29.97 fps"), (7.5, "7.50 fps"), (12.3456, "12.35 fps")],
)
def test_the_rate_is_that_of_the_source(tmp_path, fps, shown):
    path = make(tmp_path / "a.mp4", fps=fps, count=30)
    text = described(path)
    assert shown in text or shown.replace(".50", ".5") in text
    seconds = re.search(r"Duration: 00:00:([\d.]+)", text)[1]
    assert float(seconds) == pytest.approx(30 / fps, abs=0.02)


@pytest.mark.parametrize("fps", [25.0, 30000 / 1001, 24000 / 1001, 12.3456, 0.5])
def test_a_constant_rate_is_exactly_constant(tmp_path, fps):
    found = times(make(tmp_path / "a.mp4", fps=fps))
    assert found == pytest.approx([index / fps for index in range(11)], abs=1e-6)


def test_every_picture_is_shown_at_its_own_time(tmp_path, beeping):
    stamps = [10 + t for t in (0, 0.033, 0.067, 0.1, 0.55, 0.551, 0.9, 1.4, 1.402, 2.0)]
    wanted = [*(stamp - 10 for stamp in stamps), 2.0 + 1 / 22.86]
    for source in (None, beeping):
        path = make(tmp_path / "a.mp4", fps=22.86, stamps=stamps, source=source)
        assert times(path) == pytest.approx(wanted, abs=2e-5)
        assert len(decoded(path, 48, 64)) == 10
    assert beeps(path) == pytest.approx([1, 2], abs=0.04)


def test_a_single_picture_is_shown_for_one_period(tmp_path):
    assert times(make(tmp_path / "a.mp4", fps=4, stamps=[3.5])) == pytest.approx([0, 0.25])


def test_times_that_jump_back_go_on_after_the_picture_before(tmp_path):
    path = make(tmp_path / "a.mp4", stamps=[5.0, 5.04, 5.04, 5.08, 0.0, 0.04])
    assert times(path) == pytest.approx([0, 0.04, 0.04, 0.08, 0.12, 0.16, 0.2], abs=2e-5)
    path = make(tmp_path / "b.mp4", stamps=[5.0, 5.04, 1.0, 5.12, 5.16])
    assert times(path) == pytest.approx([0, 0.04, 0.08, 0.12, 0.16, 0.2], abs=2e-5)


def test_pixels_keep_their_aspect(tmp_path, beeping):
    for source in (None, beeping):
        path = make(tmp_path / "a.mp4", source=source, pixel_aspect=Fraction(16, 11))
        assert "[SAR 16:11 DAR 64:33]" in described(path)


@pytest.mark.parametrize(
    ("codec", "suffix", "kept"),
    [("aac", ".mp4", "aac"), ("libmp3lame", ".avi", "mp3"), ("ac3", ".mkv", "ac3")],
)
def test_sound_is_copied(tmp_path, beeping, codec, suffix, kept):
    source = tmp_path / f"source{suffix}"
    ffmpeg("-i", beeping, "-c:v", "copy", "-c:a", codec, source)
    path = make(tmp_path / "a.mp4", count=75, source=source)
    assert f"Audio: {kept}" in described(path)
    assert len(decoded(path, 48, 64)) == 75

    def stream(file):
        options = ["-map", "0:a", "-c", "copy", "-frames:a", "60", "-f", "streamhash", "-"]
        return ffmpeg("-v", "error", "-i", file, *options).stdout

    assert stream(path) == stream(source) != b""


def test_all_tracks_are_copied(tmp_path, beeping):
    source = tmp_path / "source.mkv"
    maps = ["-map", "0:v", "-map", "1:a", "-map", "0:a", "-c:v", "copy"]
    ffmpeg(
        "-i",
        beeping,
        "-f",
        "lavfi",
        "-i",
        "sine=d=3",
        *maps,
        "-c:a:0",
        "ac3",
        "-c:a:1",
        "mp2",
        source,
    )
    text = described(make(tmp_path / "a.mp4", count=75, source=source))
    assert re.findall(r"Audio: (\w+)", text) == ["ac3", "mp2"]


def test_sound_that_mp4_cannot_hold_is_converted(tmp_path, beeping):
    source = tmp_path / "source.wmv"
    ffmpeg("-i", beeping, "-c:v", "mpeg4", "-c:a", "wmav2", source)
    path = make(tmp_path / "a.mp4", count=75, source=source)
    assert "Audio: aac" in described(path)
    assert beeps(path)[:2] == pytest.approx([1, 2], abs=0.04)


@pytest.mark.parametrize(
    ("late", "suffix", "wanted"),
    [
        ("neither", ".mp4", [1, 2]),
        ("pictures", ".mp4", [0.48, 1.48, 2.48]),
        ("pictures", ".mkv", [0.48, 1.48, 2.48]),
        ("pictures", ".ts", [0.48, 1.48, 2.48]),
        ("sound", ".mp4", [1.52, 2.52]),
    ],
)
def test_sound_stays_in_step_with_the_first_picture(tmp_path, beeping, late, suffix, wanted):
    source = tmp_path / f"source{suffix}"
    delay = ["-itsoffset", "0.52"]
    ffmpeg(
        *(delay if late == "pictures" else []),
        *("-i", beeping),
        *(delay if late == "sound" else []),
        *("-i", beeping, "-map", "0:v", "-map", "1:a", "-c", "copy", source),
    )
    path = make(tmp_path / "a.mp4", count=75, source=source)
    assert beeps(path)[: len(wanted)] == pytest.approx(wanted, abs=0.04)
    pictures = decoded(path, 48, 64)
    assert len(pictures) == 75
    assert pictures[0].mean() < 3


def test_the_sound_of_a_later_part_begins_with_its_first_picture(tmp_path, beeping):
    stamps = [1.52 + index / 25 for index in range(30)]
    path = make(tmp_path / "a.mp4", source=beeping, source_start=0.0, stamps=stamps)
    assert beeps(path)[:1] == pytest.approx([0.48], abs=0.04)
    assert times(path)[-1] == pytest.approx(1.2)


def test_the_movie_is_as_long_as_its_pictures(tmp_path, beeping):
    path = make(tmp_path / "short.mp4", count=20, source=beeping)
    assert re.search(r"Duration: 00:00:00\.8\d", described(path))
    path = make(tmp_path / "long.mp4", count=200, source=beeping)
    assert re.search(r"Duration: 00:00:08\.0\d", described(path))
    assert len(decoded(path, 48, 64)) == 200


def test_no_sound_from_a_silent_clip_or_a_folder(tmp_path, beeping):
    silent = tmp_path / "silent.mp4"
    ffmpeg("-i", beeping, "-an", "-c", "copy", silent)
    for source in (silent, tmp_path, None):
        assert "Audio" not in described(make(tmp_path / "a.mp4", source=source))


def test_awkward_names(tmp_path, beeping):
    folder = tmp_path / "10:30 -i %03d"
    folder.mkdir()
    source = folder / "concat:é'x.mp4"
    source.write_bytes(beeping.read_bytes())
    assert "Audio: aac" in described(f"file:{make(folder / '-y.mp4', source=source)}")


def test_equal_pictures_give_equal_bytes(tmp_path, beeping):
    first, second = (
        make(tmp_path / name, count=75, source=beeping).read_bytes() for name in ("a.mp4", "b.mp4")
    )
    assert first == second


def test_a_picture_of_another_size_is_refused(tmp_path):
    path = tmp_path / "a.mp4"
    movie = Movie(
        path,
        shown=path,
        draw=lambda result: np.zeros((48, 64 + result.index, 3), np.uint8),
        fps=25,
        source=None,
    )
    movie.add(Result(0, "0001", None, NO_MAP))
    with pytest.raises(OutputError, match=r"frame '0002' is 65x48, the first one 64x48"):
        movie.add(Result(1, "0002", None, NO_MAP))
    movie.discard()
    assert list(tmp_path.iterdir()) == []


def test_without_ffmpeg(tmp_path, monkeypatch):
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(tmp_path / "missing"))
    with pytest.raises(OutputError, match="ffmpeg"):
        make(tmp_path / "a.mp4")


def test_the_sound_of_a_playlist_brings_nothing_from_the_network(tmp_path):
    asked = []

    def listen(server):
        while not asked or asked[-1]:
            connection, _ = server.accept()
            with connection:
                asked.append(connection.recv(99))

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=listen, args=(server,), daemon=True)
        thread.start()
        address = f"http://127.0.0.1:{server.getsockname()[1]}/a.ts"
        source = tmp_path / "list.m3u8"
        head = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n"  # without it, it is no playlist for ffmpeg
        source.write_text(f"{head}#EXTINF:1,\n{address}\n#EXT-X-ENDLIST\n")
        movie = make(tmp_path / "movie.mp4", source=source)
        socket.create_connection(server.getsockname()).close()  # says nothing: it is the last
        thread.join()
    assert asked == [b""]
    assert movie.exists()
