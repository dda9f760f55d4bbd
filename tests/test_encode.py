"""Encodes with regions of interest: fewer bytes for the same quality where people look."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest

import salcli as library
from salcli.encoding import codecs
from salcli.encoding.codecs import CODECS, Codec
from salcli.encoding.job import EncodeJob
from salcli.encoding.offsets import Grid, offsets, rectangles
from salcli.encoding.quality import errors, psnr
from salcli.encoding.segments import Encoding, Segment, segments
from salcli.errors import UnknownName, UsageError
from salcli.media.video import Video
from salcli.scoring.replay import StoredStream

Run = Callable[..., subprocess.CompletedProcess[str]]

HEIGHT, WIDTH, FRAMES, CUT = 64, 256, 36, 20
SVT = Codec("libsvtav1", ("-preset", "10", "-crf", "{quality}"), 40)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Moving noise, bright on the left; after the cut, and a pause, on the right. With sound."""
    path = tmp_path_factory.mktemp("media") / "noise.mp4"
    random = np.random.default_rng(0)
    blobs = random.integers(-20, 21, (2, HEIGHT // 4, (WIDTH + FRAMES) // 4))
    blobs = blobs.repeat(4, axis=1).repeat(4, axis=2)
    frames = []
    for index in range(FRAMES):
        frame = 35 + blobs[int(index >= CUT), :, index : index + WIDTH]
        frame = frame + random.integers(-8, 9, frame.shape)
        side = slice(0, WIDTH // 2) if index < CUT else slice(WIDTH // 2, WIDTH)
        frame[:, side] += 170
        frames.append(np.repeat(frame[..., None], 3, axis=2).astype(np.uint8).tobytes())
    command = [
        *(imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-f", "rawvideo", "-pix_fmt", "rgb24"),
        *("-s", f"{WIDTH}x{HEIGHT}", "-r", "12", "-i", "pipe:0"),
        *("-f", "lavfi", "-i", "sine=d=3", "-vf", f"setpts=PTS+gte(N\\,{CUT})*0.5/TB"),
        *("-fps_mode", "passthrough", "-c:v", "libx264", "-qp", "0", "-pix_fmt", "yuv420p", path),
    ]
    subprocess.run(list(map(str, command)), input=b"".join(frames), check=True)
    return path


@pytest.mark.parametrize(
    "name",
    [
        *("libx264", "libkvazaar"),
        pytest.param("libvpx-vp9", marks=pytest.mark.endurance),
        pytest.param("libx265", marks=pytest.mark.endurance),
    ],
)
def test_equal_quality_where_people_look_takes_fewer_bytes(
    salcli: Run, tmp_path: Path, clip: Path, name: str
) -> None:
    vmaf = "--vmaf" if name == "libx264" else "--no-vmaf"
    options = ("--encoder", name, vmaf, "--quality", "22")
    done = salcli("encode", clip, "-m", "brightness", *options, "--json")
    assert done.returncode == 0, done.stderr
    (one,) = json.loads(done.stdout)["inputs"]
    plain, regions = one["plain"], one["regions"]
    assert regions["bytes"] < plain["bytes"]
    assert regions["weighted_psnr"] > plain["weighted_psnr"] - 0.05
    # what should be better is better, the rest is worse
    assert regions["attended_psnr"] > plain["attended_psnr"] + 0.1
    assert regions["rest_psnr"] < plain["rest_psnr"] - 0.1
    gap = plain["attended_psnr"] - plain["rest_psnr"]
    assert regions["attended_psnr"] - regions["rest_psnr"] > gap + 0.5
    assert (plain["vmaf"] is not None) == (name == "libx264")
    path = tmp_path / "encoded" / "noise" / f"{name}.mp4"
    source, made = Video(clip), Video(path)
    pairs = list(zip(source, made, strict=True))
    assert made.times == pytest.approx(source.times, abs=1e-4)
    assert all(np.abs(a.astype(int) - b).mean() < 25 for a, b in pairs)
    described = subprocess.run(
        [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-i", str(path)],
        capture_output=True,
        check=False,
    )
    assert b"Audio" in described.stderr
    assert "already done" in salcli("encode", clip, "-m", "brightness", *options).stderr


@pytest.mark.endurance
def test_the_size_of_a_plain_encode_gives_a_better_quality(
    fakes: None, tmp_path: Path, clip: Path
) -> None:
    wanted = {"model": "brightness", "vmaf": False, "output": tmp_path / "out"}
    (one,) = library.encode(clip, match="size", **wanted)
    assert one.regions.bytes == pytest.approx(one.plain.bytes, rel=0.1)
    assert one.regions.weighted_psnr > one.plain.weighted_psnr + 0.2
    (other,) = library.encode(clip, match="none", **wanted)
    assert other.regions.quality == other.plain.quality


def test_encoders_that_ignore_regions_are_refused(
    salcli: Run, tmp_path: Path, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = salcli("encode", clip, "-m", "brightness", "--encoder", "libsvtav1")
    assert done.returncode == 2
    assert "no encoder that heeds regions of interest named 'libsvtav1'" in done.stderr
    with pytest.raises(UnknownName):
        codecs.codec("libaom-av1")
    program = imageio_ffmpeg.get_ffmpeg_exe()
    listed = subprocess.run([program, "-encoders"], capture_output=True, check=True).stdout
    assert b"libsvtav1" in listed  # it works, and ignores regions
    assert not codecs.heeds_regions(SVT)
    with pytest.raises(UsageError, match="ignores regions"):
        EncodeJob(StoredStream(tmp_path), SVT)
    monkeypatch.setitem(CODECS, "libsvtav1", SVT)  # were it listed, its trial would show it
    done = salcli("encode", clip, "-m", "brightness", "--encoder", "libsvtav1")
    assert done.returncode == 2
    assert "is missing or ignores regions of interest" in done.stderr
    assert not (tmp_path / "encoded").exists()
    deaf = Codec("libx264", ("-crf", "{quality}", "-aq-mode", "0"), 26)
    assert not codecs.heeds_regions(deaf)
    for wrong in ({"quality": 60.0}, {"strength": 0.0}, {"formats": ("gif",)}):
        with pytest.raises(UsageError):
            EncodeJob(StoredStream(tmp_path), CODECS["libx264"], **wrong)


def test_offsets_for_other_encoders_agree(salcli: Run, tmp_path: Path, clip: Path) -> None:
    saved = ("--save", "kvazaar,ctu,csv,npy,grey")
    done = salcli("encode", clip, "-m", "brightness", *saved)
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "encoded" / "noise"
    blocks = np.load(folder / "qp.npy")
    assert blocks.shape == (FRAMES, HEIGHT // 16, WIDTH // 16)
    assert blocks[0, 2, 1] < 0 < blocks[0, 2, 8]
    assert blocks[-1, 2, 1] > 0 > blocks[-1, 2, 8]
    rows = np.loadtxt(folder / "qp.csv", delimiter=",", dtype=int)
    assert np.array_equal(rows[:, 2:].reshape(blocks.shape), blocks)
    assert rows[-1, :2].tolist() == [FRAMES, HEIGHT // 16 - 1]
    numbers = np.array((folder / "roi.txt").read_text().split(), int).reshape(FRAMES, -1)
    assert numbers[0, :2].tolist() == [WIDTH // 16, HEIGHT // 16]
    assert np.array_equal(numbers[:, 2:].reshape(blocks.shape), blocks)
    lines = (folder / "ctu.csv").read_text().splitlines()
    assert len(lines) == FRAMES
    assert lines[0].endswith(",")
    assert lines[0].count(",") == 2
    grey = [picture[HEIGHT // 2] for picture in Video(folder / "attention.mp4")]
    assert len(grey) == FRAMES
    assert grey[0][10].mean() > 200 > 100 > grey[0][-10].mean()
    assert grey[-1][-10].mean() > 200
    assert not (folder / ".salcli-parts").exists()


def test_a_stopped_run_goes_on_to_the_same_bytes(
    salcli: Run, tmp_path: Path, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ("encode", clip, "-m", "brightness", "--match", "none", "--no-vmaf", "-q", "-o")
    assert salcli(*command, "whole").returncode == 0
    encode, made = Encoding.encode, []

    def counted(self: Encoding, path: Path, *arguments: object) -> None:
        made.append(path.name)
        if len(made) == 3:  # the plain encode, the first segment, and now the second one
            raise OSError("no more")
        encode(self, path, *arguments)

    monkeypatch.setattr(Encoding, "encode", counted)
    assert salcli(*command, "parted").returncode != 0
    assert not (tmp_path / "parted" / "noise" / "libx264.mp4").exists()
    assert salcli(*command, "parted").returncode == 0
    assert len(made) == 4
    files = [tmp_path / name / "noise" / "libx264.mp4" for name in ("whole", "parted")]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_stills_are_refused(salcli: Run, tmp_path: Path) -> None:
    from PIL import Image

    Image.new("RGB", (64, 48)).save(tmp_path / "photo.png")
    done = salcli("encode", "photo.png", "-m", "brightness")
    assert done.returncode == 1
    assert "is not a video file" in done.stderr


# ---- offsets, segments, errors ----------------------------------------------------------------


def test_offsets_follow_the_weights() -> None:
    found = offsets(np.array([1, 2, 0.5, 64, 0], np.float32), 10)
    assert found.tolist() == [0, -3, 3, -5, 10]


def test_cells_hold_the_means_of_a_map() -> None:
    grid = Grid((90, 250))
    assert (grid.cell, grid.shape) == (16, (6, 16))
    saliency = np.random.default_rng(1).random((45, 125), np.float32)
    cells = grid.reduce(saliency)
    assert float((cells * grid.areas).sum()) == pytest.approx(1, abs=1e-5)
    assert cells[2, 3] == pytest.approx(saliency[16:24, 24:32].mean() / saliency.mean(), rel=1e-4)
    assert grid.reduce(np.zeros((9, 25), np.float32)) == pytest.approx(np.ones((6, 16)))
    assert Grid((2160, 3840)).cell == 64


def test_rectangles_cover_their_cells() -> None:
    grid = Grid((90, 250))
    cells = np.random.default_rng(2).integers(-1, 2, grid.shape).astype(np.int8)
    drawn = np.zeros(grid.frame, int)
    for x, y, width, height, offset in rectangles(cells, grid):
        assert not drawn[y : y + height, x : x + width].any()
        drawn[y : y + height, x : x + width] = offset
    assert np.array_equal(drawn, grid.pixels(cells.astype(np.float32)))


def test_long_shots_are_cut_into_segments() -> None:
    times = np.arange(300) / 25
    assert segments([range(100), range(100, 110), range(110, 300)], times, per_frame=False) == [
        *(Segment(0, 100), Segment(100, 110), Segment(110, 205), Segment(205, 300))
    ]
    assert segments([range(300)], times, per_frame=True) == [Segment(0, 250), Segment(250, 300)]


def test_errors_are_weighted_by_attention() -> None:
    grid = Grid((32, 32))
    one = bytes(32 * 32 * 3 // 2)
    picture = np.zeros((32, 32), np.uint8)
    picture[:16, :16] = 10  # wrong where all attention is
    other = picture.tobytes() + bytes(32 * 32 // 2)
    attention = np.array([[[4, 0], [0, 0]]], np.float16)
    (found,) = errors([(one, other)], attention, grid)
    assert found.tolist() == pytest.approx([25, 100, 100, 0])
    assert psnr(100) == pytest.approx(28.13, abs=0.01)
