"""Crops keep what people look at: paths within limits, shots, stills, files, resuming."""

from __future__ import annotations

import csv
import json
import subprocess
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
from PIL import Image

import salcli as library
from salcli.cropping import clips, measured, paths
from salcli.cropping.paths import Limits, Motion, Shot
from salcli.cropping.plan import CropSettings, plan
from salcli.cropping.shots import shots
from salcli.cropping.windows import BINS, cumulated, enclosed, fit, profiles, shape, sized
from salcli.errors import InputError, UsageError
from salcli.media.video import Video
from salcli.output import segments
from salcli.types import Frame

Run = Callable[..., subprocess.CompletedProcess[str]]

WIDTH, HEIGHT, FPS, TARGET = 192, 108, 12.5, 10
FIRST, SECOND = 75, 50
"""Frames of the two shots."""


def centre(index: int) -> tuple[float, float]:
    """Column and row of the target's middle: it swings, and after the cut walks to the right."""
    if index < FIRST:
        return WIDTH * (0.5 + 0.4 * np.sin(2 * np.pi * index / FPS / 5)), HEIGHT * 0.5
    return WIDTH * (0.1 + 0.75 * (index - FIRST) / SECOND), HEIGHT * 0.6


def drawn(index: int) -> Frame:
    frame = np.full((HEIGHT, WIDTH, 3), 0 if index < FIRST else 45, np.uint8)
    x, y = centre(index)
    left, top = round(x - TARGET / 2), round(y - TARGET / 2)
    frame[top : top + TARGET, left : left + TARGET] = 255
    return frame


def write_clip(path: Path, frames: list[Frame], *, sound: bool = False) -> Path:
    height, width = frames[0].shape[:2]
    tone = ("-f", "lavfi", "-i", f"sine=duration={len(frames) / FPS}") if sound else ()
    command = [
        *(imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", "-f", "rawvideo"),
        *("-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", str(FPS), "-i", "pipe:0", *tone),
        *("-c:v", "libx264", "-preset", "ultrafast", "-qp", "0", "-pix_fmt", "yuv420p", str(path)),
    ]
    subprocess.run(command, input=b"".join(map(np.ndarray.tobytes, frames)), check=True)
    return path


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("media") / "target.mp4"
    return write_clip(path, [drawn(index) for index in range(FIRST + SECOND)], sound=True)


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def crop(salcli: Run, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    done = salcli("crop", *arguments, "-m", "brightness", "-q")
    assert done.returncode == 0, done.stderr
    return done


def test_a_moving_target_stays_in_a_window_that_moves_within_limits(
    salcli: Run, tmp_path: Path, clip: Path
) -> None:
    done = salcli("crop", clip, "-m", "brightness", "--save", "crop,csv,preview", "-o", "out")
    assert done.returncode == 0, done.stderr
    rows = table(tmp_path / "out" / "target" / "9x16.csv")
    assert len(rows) == FIRST + SECOND
    left = np.array([int(row["x"]) for row in rows])
    width = int(rows[0]["width"])
    x = np.array([centre(index)[0] for index in range(len(rows))])
    inside = (left <= x - TARGET / 2) & (x + TARGET / 2 <= left + width)
    assert inside.mean() >= 0.99
    for part in (left[:FIRST], left[FIRST:]):  # a pixel of rounding each
        assert np.abs(np.diff(part)).max() <= 0.4 * WIDTH / FPS + 1
        assert np.abs(np.diff(part, n=2)).max() <= 0.8 * WIDTH / FPS**2 + 2
    assert abs(left[FIRST] - left[FIRST - 1]) > 20  # at the cut
    assert [row["shot"] for row in rows] == ["1"] * FIRST + ["2"] * SECOND

    document = json.loads((tmp_path / "out" / "target" / "crop.json").read_text("utf-8"))
    (one,) = document["crops"]
    assert [shot["first"] for shot in one["shots"]] == [0, FIRST]
    for shot in one["shots"]:
        assert shot["share"] > shot["centre_share"]
        assert f"{shot['share']:.2%}" in done.stdout
        assert f"{shot['centre_share']:.2%}" in done.stdout
    kept = [float(row["share"]) for row in rows[:FIRST]]
    assert one["shots"][0]["share"] == pytest.approx(np.mean(kept), abs=0.002)

    movie = Video(tmp_path / "out" / "target" / "9x16.mp4")
    pictures = list(movie)
    assert len(pictures) == len(rows)
    assert movie.times == pytest.approx([index / FPS for index in range(len(rows))], abs=1e-4)
    for index in (0, 20, 60, FIRST, 110):
        expected = drawn(index)[:, left[index] : left[index] + width]
        assert np.abs(pictures[index].astype(int) - expected).mean() < 3
    assert "Audio" in described(tmp_path / "out" / "target" / "9x16.mp4")
    preview = next(iter(Video(tmp_path / "out" / "target" / "9x16.preview.mp4")))
    assert preview.shape == (HEIGHT, WIDTH, 3)
    assert preview[4, left[0]].argmin() == 2  # the border is yellow
    assert not (tmp_path / "out" / "target" / ".salcli-parts").exists()


def described(path: Path) -> str:
    done = subprocess.run(
        [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-i", str(path)],
        capture_output=True,
        check=False,
    )
    return done.stderr.decode()


def test_the_commands_for_ffmpeg_make_the_same_crop(
    salcli: Run, tmp_path: Path, clip: Path
) -> None:
    crop(salcli, clip, "--save", "ffmpeg,csv,json", "-o", "out", "--min-share", "0.5")
    folder = tmp_path / "out" / "target"
    assert {file.name for file in folder.iterdir()} == {
        *("9x16.csv", "9x16.json", "9x16.ffmpeg.txt", "crop.json")
    }
    rows = table(folder / "9x16.csv")
    assert {row["motion"] for row in rows[FIRST:]} == {"padded"}  # most attention is elsewhere
    path = json.loads((folder / "9x16.json").read_text("utf-8"))
    assert [row[path["columns"].index("x")] for row in path["frames"]] == [
        int(row["x"]) for row in rows
    ]
    commands = folder / "9x16.ffmpeg.txt"
    words = commands.read_text("utf-8").splitlines()[0].removeprefix("# ffmpeg ").split()
    words = [{"INPUT": str(clip), "OUTPUT": "by-hand.mp4"}.get(word, word) for word in words]
    words[-1:] = ["-qp", "0", words[-1]]
    program = imageio_ffmpeg.get_ffmpeg_exe()
    subprocess.run([program, "-v", "error", "-y", *words], check=True, cwd=folder)
    pictures = list(Video(folder / "by-hand.mp4"))
    assert len(pictures) == len(rows)
    for index in range(0, FIRST, 5):
        left, width = int(rows[index]["x"]), int(rows[index]["width"])
        expected = drawn(index)[:, left : left + width]
        assert np.abs(pictures[index].astype(int) - expected).mean() < 2, index
    odd = next(index for index in range(FIRST) if int(rows[index]["x"]) % 2)
    left = int(rows[odd]["x"])  # not rounded to an even column
    found = pictures[odd].astype(int)
    wrong = [
        np.abs(found - drawn(odd)[:, x : x + width]).mean() for x in (left - 1, left, left + 1)
    ]
    assert wrong[1] == min(wrong)
    whole = pictures[FIRST + 25].astype(int)
    assert whole.shape == pictures[0].shape
    assert whole[: whole.shape[0] // 4].max() < 40  # padding above the whole frame
    assert whole[whole.shape[0] // 2, 5].mean() == pytest.approx(45, abs=6)


def test_a_shot_that_loses_too_much_is_shown_whole(salcli: Run, tmp_path: Path, clip: Path) -> None:
    plain = ("--min-share", "0.5", "--padding", "black", "--size", "54x96")
    crop(salcli, clip, *plain, "--start", "7", "--duration", "0.4", "-o", "out")
    crop(salcli, clip, "--min-share", "0.5", "--start", "7", "--duration", "0.4", "-o", "blurred")
    (padded,) = json.loads((tmp_path / "out" / "target" / "crop.json").read_text())["crops"]
    assert [(shot["motion"], shot["share"]) for shot in padded["shots"]] == [("padded", 1.0)]
    picture = next(iter(Video(tmp_path / "out" / "target" / "54x96px.mp4"))).astype(int)
    assert picture.shape == (96, 54, 3)
    assert picture[:24].max() < 16
    assert picture[48, 5].mean() == pytest.approx(45, abs=6)
    blurred = next(iter(Video(tmp_path / "blurred" / "target" / "9x16.mp4"))).astype(int)
    assert blurred.shape == (108, 60, 3)
    assert 16 < blurred[12].mean() < 60


@pytest.mark.parametrize("motion", ["still", "pan"])
def test_a_window_rests_or_makes_one_straight_move(
    salcli: Run, tmp_path: Path, clip: Path, motion: str
) -> None:
    crop(salcli, clip, "--motion", motion, "--save", "csv", "-o", "out")
    left = np.array([int(row["x"]) for row in table(tmp_path / "out" / "target" / "9x16.csv")])
    steps = np.diff(left[FIRST:])
    if motion == "still":
        assert not steps.any()
        assert not np.diff(left[:FIRST]).any()
    else:
        assert steps.max() - steps.min() <= 1  # of pixels
        assert left[-1] - left[FIRST] > 0.5 * WIDTH


def test_several_shapes_and_pictures_of_one_clip(salcli: Run, tmp_path: Path, clip: Path) -> None:
    ratios = ("--ratio", "9:16", "--ratio", "1:1", "--ratio", "4:1")
    document = json.loads(crop(salcli, clip, *ratios, "--key-frames", "2", "--json").stdout)
    (one,) = document["inputs"]
    assert [(each["width"], each["height"]) for each in one["crops"]] == [
        *((60, 108), (108, 108), (192, 48))
    ]
    pictures = sorted(name for name in one["files"] if name.endswith(".png"))
    assert len(pictures) == 6
    with Image.open(tmp_path / "crops" / "target" / pictures[0]) as picture:
        assert np.asarray(picture).max() == 255
    again = salcli("crop", clip, *ratios, "--key-frames", "2", "-m", "brightness")
    assert "already done" in again.stderr
    assert f"{one['crops'][0]['share']:.2%}" in again.stdout


def test_stored_maps_give_the_same_crops(salcli: Run, tmp_path: Path, clip: Path) -> None:
    part = ("--duration", "1")
    crop(salcli, clip, *part, "--save", "csv", "-o", "here")
    assert salcli("predict", clip, *part, "-m", "brightness", "-o", "maps").returncode == 0
    saved = ("--save", "csv", "--predictions", "maps")
    done = salcli("crop", clip, *part, *saved, "-o", "there")
    assert done.returncode == 0, done.stderr
    rows = [table(tmp_path / name / "target" / "9x16.csv") for name in ("here", "there")]
    assert [row["x"] for row in rows[0]] == [row["x"] for row in rows[1]]
    (tmp_path / "maps" / "target" / "0007.png").unlink()
    done = salcli("crop", clip, *part, *saved, "-o", "there", "--overwrite")
    assert done.returncode == 1
    assert "no map of frame 0007" in done.stderr


def test_a_run_that_is_stopped_twice_goes_on_to_the_same_bytes(
    salcli: Run, tmp_path: Path, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segments, "LENGTH", 20)
    monkeypatch.setattr(clips, "LENGTH", 20)
    crop(salcli, clip, "-o", "whole")
    frames, expected = FIRST + SECOND, []
    for holder, name, done in ((measured, "thumbnail", 69), (clips.draw, "crop", 60)):
        taken = []
        work = getattr(holder, name)

        def counted(
            *arguments: object, taken: list[int] = taken, work: Callable[..., object] = work
        ) -> object:
            taken.append(1)
            if len(taken) == 70:
                raise OSError("no more")
            return work(*arguments)

        monkeypatch.setattr(holder, name, counted)
        assert salcli("crop", clip, "-m", "brightness", "-q", "-o", "parted").returncode != 0
        assert not (tmp_path / "parted" / "target" / "9x16.mp4").exists()
        expected.append((taken, frames - done + 70))
    crop(salcli, clip, "-o", "parted")
    # what was done is not done again: neither records nor whole segments of movies
    for taken, count in expected:
        assert len(taken) == count
    whole = tmp_path / "whole" / "target" / "9x16.mp4"
    assert (tmp_path / "parted" / "target" / "9x16.mp4").read_bytes() == whole.read_bytes()


def test_stills_are_cropped_where_they_are_looked_at(salcli: Run, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for name, index in (("left", FIRST + 5), ("right", FIRST + 47)):
        Image.fromarray(drawn(index)).save(folder / f"{name}.png")
    shapes = ("--size", "64x64", "--ratio", "9:16")
    done = crop(salcli, folder, *shapes, "--save", "crop,preview", "--json")
    (one,) = json.loads(done.stdout)["inputs"]
    tall, square = one["crops"]
    assert [still["label"] for still in square["stills"]] == ["left", "right"]
    assert square["stills"][0]["x"] < 10
    assert all(still["share"] > still["centre_share"] for still in tall["stills"])
    with Image.open(tmp_path / "crops" / "photos" / "left.64x64px.png") as picture:
        assert picture.size == (64, 64)
        assert np.asarray(picture).max() == 255
    still = tall["stills"][1]
    box = drawn(FIRST + 47)[:, still["x"] : still["x"] + still["width"]]
    with Image.open(tmp_path / "crops" / "photos" / "right.9x16.png") as picture:
        assert np.array_equal(np.asarray(picture), box)
    alone = library.crop(folder / "left.png", ["1:1"], model="brightness", output="alone")
    assert (tmp_path / "alone" / "left.1x1.png").is_file()
    assert alone[0].crops[0].share == pytest.approx(
        box_share(drawn(FIRST + 5), alone[0].crops[0].stills[0].x, HEIGHT), abs=0.01
    )


def box_share(frame: np.ndarray, left: int, width: int) -> float:
    return float(frame[:, left : left + width].mean() * width / frame.mean() / frame.shape[1])


def test_what_cannot_be_cropped_is_refused(salcli: Run, tmp_path: Path, clip: Path) -> None:
    for wrong, words in (
        (("--ratio", "9/16"), "is not a ratio"),
        (("--ratio", "1:1", "--ratio", "1:1"), "each once"),
        (("--save", "gif"), "format named 'gif'"),
    ):
        done = salcli("crop", clip, "-m", "brightness", *wrong)
        assert done.returncode == 2, wrong
        assert words in done.stderr
    done = salcli("crop", clip, "--predictions", "nowhere")
    assert done.returncode == 1
    assert "no predictions at" in done.stderr
    assert not (tmp_path / "crops").exists()


# ---- paths, windows, shots --------------------------------------------------------------------


def shot_of(places: np.ndarray, *, width: float = 0.02) -> Shot:
    """A shot of 25 frames per second with a narrow target at these places in [0, 1]."""
    bins = (np.arange(BINS) + 0.5) / BINS
    profile = np.exp(-0.5 * ((bins - places[:, None]) / width) ** 2) + 1e-4
    window = fit(shape("9:16"), (1080, 1920), even=True)
    times = np.arange(len(places)) / FPS
    return Shot(times, np.full(len(places), 1 / FPS), lambda a, b: profile[a:b], window)


@pytest.mark.parametrize("seed", range(4))
def test_a_path_keeps_its_limits_whatever_the_target_does(seed: int) -> None:
    random = np.random.default_rng(seed)
    places = random.uniform(0, 1, 40).repeat(random.integers(5, 40, 40))
    for limits in (Limits(), Limits(0.15, 0.2), Limits(1.0, 3.0)):
        path = paths.follow(shot_of(places), limits).astype(float)
        assert path.min() >= 0
        assert path.max() <= 1 - 606 / 1920
        assert np.abs(np.diff(path)).max() * FPS <= limits.speed + 1e-4
        assert np.abs(np.diff(path, n=2)).max() * FPS**2 <= limits.acceleration + 2e-3


def test_a_path_rests_while_that_costs_nothing() -> None:
    random = np.random.default_rng(0)
    shot = shot_of(0.5 + 0.01 * random.standard_normal(300))
    assert np.ptp(paths.follow(shot, Limits())) < 0.01


@pytest.mark.parametrize("motion", ["still", "pan", "follow"])
def test_no_path_keeps_less_than_a_crop_of_the_centre(motion: Motion) -> None:
    random = np.random.default_rng(3)
    places = np.arange(BINS) * 128 / BINS
    window = fit(shape("9:16"), (108, 192), even=True)
    wanted = CropSettings((shape("9:16"),), motion)
    strictly = 0
    for trial in range(12):
        profile = np.exp(-0.5 * ((places - random.uniform(40, 88)) / random.uniform(8, 40)) ** 2)
        profile = profile + random.random(BINS) * random.uniform(0, 1)
        if trial == 1:
            profile = np.ones(BINS)  # nothing is preferred
        records = records_of(np.tile(profile, (60, 1)))
        (shot,) = plan(records, [range(60)], window, wanted).shots
        assert shot.share >= shot.centre_share
        strictly += shot.share > shot.centre_share
        if trial == 1:
            assert shot.boxes[0].x == (192 - window.size[1]) // 2
    assert strictly >= 8


def test_a_window_rests_where_most_is_enclosed_not_where_its_middle_has_most() -> None:
    window = fit(shape("9:16"), (144, 256), even=True)
    profile = np.full(128, 0.001)
    profile[[45, 82, 84]] = 1, 0.2, 0.1  # a crop of the centre has the parts 44 to 83
    records = records_of(np.tile(profile.repeat(BINS // 128), (20, 1)))
    (shot,) = plan(records, [range(20)], window, CropSettings((shape("9:16"),))).shots
    whole = profile.sum()
    assert shot.centre_share == pytest.approx(profile[44:84].sum() / whole, abs=1e-3)
    assert shot.share == pytest.approx(profile[45:85].sum() / whole, abs=1e-3)


@pytest.mark.parametrize("offset", [-3, -1, 1, 2, 5])
@pytest.mark.parametrize("motion", ["still", "pan", "follow"])
def test_a_window_rests_on_the_best_pixel_however_little_that_gains(
    motion: Motion, offset: int
) -> None:
    columns = np.arange(960) + 0.5
    saliency = np.exp(-0.5 * ((columns - 480 - offset) / 60) ** 2)[None].astype(np.float32)
    records = records_of(profiles(saliency)[1][None].repeat(30, axis=0))
    window = fit(shape("9:16"), (540, 960), even=True)
    (shot,) = plan(records, [range(30)], window, CropSettings((window.shape,), motion)).shots
    (box,) = shot.boxes
    assert abs(box.x - 328 - offset) <= 1
    assert 0 < shot.share - shot.centre_share < 1e-3
    for share, left in ((shot.share, box.x), (shot.centre_share, 328)):
        assert share == pytest.approx(box_share(saliency, left, 304), abs=1e-4)


def test_a_window_that_may_follow_makes_one_straight_move_where_that_keeps_as_much() -> None:
    middles = np.linspace(0.25, 0.75, 60)[:, None]
    places = (np.arange(BINS) + 0.5) / BINS
    records = records_of(np.exp(-0.5 * ((places - middles) / 0.12) ** 2))
    window = fit(shape("9:16"), (108, 192), even=True)
    found = plan(records, [range(60)], window, CropSettings((window.shape,)))
    assert [shot.motion for shot in found.shots] == ["pan"]
    steps = np.diff([found.box(index, whole=False)[0] for index in range(60)])
    assert steps.max() - steps.min() <= 1
    assert found.shots[0].share > found.shots[0].centre_share + 0.1


def records_of(profile: np.ndarray) -> np.ndarray:
    """What is kept of frames with this attention `[n, BINS]` along both sides."""
    records = np.zeros(len(profile), [("time", "f8"), ("attention", "f2", (2 * BINS,))])
    records["time"] = np.arange(len(profile)) / FPS
    records["attention"] = np.tile(profile / profile.mean(axis=1, keepdims=True), 2)
    return records


def test_a_long_shot_is_followed_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    places = 0.5 + 0.35 * np.sin(np.arange(3000) / FPS)
    whole = paths.follow(shot_of(places), Limits())
    monkeypatch.setattr(paths, "BLOCK", 128)
    monkeypatch.setattr(paths, "PIECE", 512)
    blocks = paths.follow(shot_of(places), Limits())
    assert np.abs(blocks - whole).max() < 0.02
    assert np.abs(np.diff(blocks)).max() * FPS <= Limits.speed + 1e-4


def test_shares_are_those_of_the_map() -> None:
    random = np.random.default_rng(1)
    saliency = random.random((45, 80), np.float32)
    sums = cumulated(profiles(saliency)[1][None])
    share = enclosed(sums, np.array([0.25], np.float32), 0.5)
    assert share[0] == pytest.approx(saliency[:, 20:60].sum() / saliency.sum(), abs=1e-3)
    assert profiles(np.zeros((4, 6), np.float32)) == pytest.approx(np.ones((2, BINS)))


def test_windows_are_the_largest_of_their_shape() -> None:
    assert fit(shape("9:16"), (1080, 1920), even=True).size == (1080, 608)
    assert fit(shape("16:9"), (1920, 1080), even=True).size == (608, 1080)
    assert fit(shape("1:1"), (901, 641), even=True).axis == 0
    assert fit(sized((400, 400)), (90, 160), even=False).output == (400, 400)
    # 720x576 with wide pixels is shown as 1024x576
    assert fit(shape("1:1"), (576, 720), pixel_aspect=Fraction(64, 45), even=True).size[1] == 404
    with pytest.raises(UsageError, match="too small"):
        fit(shape("1:100"), (60, 100), even=True)


def test_shots_begin_at_cuts_and_not_at_flashes_fades_or_motion() -> None:
    random = np.random.default_rng(2)
    one, two = random.integers(0, 256, (2, 256)).astype(np.uint8)
    still = np.repeat(one[None], 30, axis=0)
    cut = np.concatenate([still, np.repeat(two[None], 30, axis=0)])
    assert shots(cut) == [range(30), range(30, 60)]
    flash = np.repeat(one[None], 40, axis=0)
    flash[20:22] = 255
    assert shots(flash) == [range(40)]
    steps = np.linspace(0, 1, 12)[:, None]
    fade = np.concatenate([still, (one * (1 - steps) + two * steps).astype(np.uint8)])
    assert shots(fade) == [range(42)]
    moving = np.stack([np.roll(one, 3 * index) for index in range(30)])
    assert shots(moving) == [range(30)]


def test_maps_of_another_clip_are_refused(salcli: Run, tmp_path: Path, clip: Path) -> None:
    np.save(tmp_path / "0001.npy", np.full((4, 4), -1.0, np.float32))
    with pytest.raises(InputError, match="negative"):
        library.crop(clip, predictions=tmp_path)
