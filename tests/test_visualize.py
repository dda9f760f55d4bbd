"""`salcli visualize` as a user runs it: panels, movies, sheets, scores, and what is missing."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

Run = Callable[..., subprocess.CompletedProcess[str]]
FAKE = ("-m", "brightness")
SIZE = (240, 160)


def ffmpeg(*arguments: str | Path) -> subprocess.CompletedProcess[bytes]:
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-hide_banner", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, check=False)


def disc(x: float, y: float, *, size: tuple[int, int] = SIZE, radius: float = 24) -> np.ndarray:
    """A bright disc on a dark ground with a pattern, `[H, W, 3]`."""
    rows, columns = np.mgrid[: size[1], : size[0]]
    picture = np.stack([30 + columns % 17, 40 + rows % 13, 50 + (rows + columns) % 11], axis=2)
    picture[(columns - x) ** 2 + (rows - y) ** 2 < radius**2] = (110, 250, 120)
    return picture.astype(np.uint8)


def density(x: float, y: float, *, size: tuple[int, int] = SIZE) -> Image.Image:
    rows, columns = np.mgrid[: size[1], : size[0]]
    blob = np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * 20**2))
    return Image.fromarray((255 * blob).astype(np.uint8))


def save(path: Path, picture: np.ndarray | Image.Image) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    (Image.fromarray(picture) if isinstance(picture, np.ndarray) else picture).save(path)
    return path


def dataset(root: Path, names: list[str], *, maps: list[str] | None = None) -> Path:
    """`images/` and `maps/`, the disc where people look."""
    for number, name in enumerate(names):
        place = 60 + 20 * number, 60 + 10 * number
        save(root / "images" / f"{name}.png", disc(*place))
        if maps is None or name in maps:
            save(root / "maps" / f"{name}.png", density(*place))
    return root


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def files(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def nearest(whole: np.ndarray, part: np.ndarray) -> float:
    """How far `part` is from what is most like it near the top left of `whole`, in grey levels."""
    height, width = part.shape[:2]
    return min(
        float(np.abs(whole[y : y + height, x : x + width].astype(int) - part).mean())
        for y in range(60)
        for x in range(24)
        if whole[y, x].tolist() != [255, 255, 255]
    )


@pytest.fixture(scope="module")
def loud_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A second of video, 160 x 90, 10 frames per second, with a tone."""
    path = tmp_path_factory.mktemp("clips") / "loud.mp4"
    done = ffmpeg(
        *("-v", "error", "-f", "lavfi", "-i", "testsrc2=size=160x90:rate=10:duration=1"),
        *("-f", "lavfi", "-i", "sine=f=440:duration=1", "-pix_fmt", "yuv420p", "-c:a", "aac", path),
    )
    assert done.returncode == 0, done.stderr
    return path


def test_a_folder_with_maps_gives_panels_and_scores(salcli: Run, tmp_path: Path) -> None:
    root = dataset(tmp_path / "set", ["a", "b", "c"])

    run = salcli("visualize", root, *FAKE)

    assert run.returncode == 0, run.stderr
    out = tmp_path / "viz_out"
    assert files(out) == ["set/a_viz.jpg", "set/b_viz.jpg", "set/c_viz.jpg"]
    board = pixels(out / "set/a_viz.jpg")
    assert board.shape[0] % 2 == board.shape[1] % 2 == 0
    # the original is there, untouched
    assert nearest(board, pixels(root / "images/a.png")) < 3
    lines = run.stdout.splitlines()
    assert lines[0].split() == ["frame", "model", "CC", "SIM", "KLD", "NSS", "AUC-Judd"]
    frame, model, cc, _, _, nss, _ = lines[1].split()
    assert (frame, model) == ("a", "brightness")
    assert float(cc) > 0.7
    assert nss == "-"  # there are no fixations
    with Image.open(out / "set/a_viz.jpg") as image:
        assert f"brightness, CC {cc}" in image.info["comment"].decode()


def test_the_heat_is_where_the_object_is(salcli: Run, tmp_path: Path) -> None:
    save(tmp_path / "photo.png", disc(180, 100))

    run = salcli("visualize", "photo.png", "-m", "unisal:open", "--no-labels", "-o", "out")

    assert run.returncode == 0, run.stderr
    board = pixels(tmp_path / "out/photo_viz.jpg").astype(int)
    width, height = SIZE
    assert board.shape[0] == height
    original, overlaid = board[:, :width], board[:, -width:]
    assert np.abs(original - disc(180, 100)).mean() < 3
    changed = np.abs(overlaid - original).sum(axis=2) > 60
    rows, columns = np.nonzero(changed)
    assert changed.any()
    assert np.hypot(rows.mean() - 100, columns.mean() - 180) < 30
    assert not changed[:, : width // 4].any()


def test_mit_layout_with_maps_points_and_numbers(salcli: Run, tmp_path: Path) -> None:
    root = tmp_path / "mit"
    save(root / "ALLSTIMULI/i1.jpeg", disc(80, 60))
    save(root / "ALLFIXATIONMAPS/i1_fixMap.jpg", density(80, 60))
    points = np.zeros((SIZE[1], SIZE[0]), np.uint8)
    points[55:65:3, 75:85:3] = 255
    save(root / "ALLFIXATIONMAPS/i1_fixPts.jpg", Image.fromarray(points))
    save(root / "ALLSTIMULI/photo_007.jpeg", disc(120, 80))
    save(root / "ALLFIXATIONMAPS/map7.png", density(120, 80))

    run = salcli("visualize", root, *FAKE, "--json")

    assert run.returncode == 0, run.stderr
    (entry,) = json.loads(run.stdout)["inputs"]
    assert files(tmp_path / "viz_out") == ["mit/i1_viz.jpg", "mit/photo_007_viz.jpg"]
    first, second = entry["scores"]
    assert first["NSS"] > 1
    assert first["CC"] > 0.7
    assert second["CC"] > 0.7
    assert second["NSS"] is None
    assert entry["problems"] == []


def test_matlab_fixations_beside_images_count(salcli: Run, tmp_path: Path) -> None:
    root = tmp_path / "set"
    save(root / "images/x.png", disc(100, 70))
    gaze = np.zeros(1, dtype=[("fixations", object)])
    gaze[0]["fixations"] = np.array([[101.0, 71.0], [95.0, 66.0]])
    (root / "fixations").mkdir()
    savemat(root / "fixations/x.mat", {"gaze": gaze, "resolution": [[SIZE[1], SIZE[0]]]})

    run = salcli("visualize", root, *FAKE)

    assert run.returncode == 0, run.stderr
    cells = dict(zip(*(line.split() for line in run.stdout.splitlines()), strict=True))
    assert float(cells["NSS"]) > 1
    assert float(cells["AUC-Judd"]) > 0.8


def test_count_and_seed_choose(salcli: Run, tmp_path: Path) -> None:
    root = dataset(tmp_path / "set", [f"n{i}" for i in range(6)])

    def shown(*arguments: str) -> list[str]:
        out = tmp_path / f"out{len(list(tmp_path.iterdir()))}"
        run = salcli("visualize", root, *FAKE, "-n", "3", "-o", out, "--no-labels", *arguments)
        assert run.returncode == 0, run.stderr
        assert len(files(out)) == 3
        return files(out)

    assert shown() == shown("--seed", "0")
    assert len({tuple(shown("--seed", str(seed))) for seed in range(1, 3)}) == 2


def test_a_clip_becomes_a_movie_with_its_sound(
    salcli: Run, loud_clip: Path, tmp_path: Path
) -> None:
    arguments = ("visualize", loud_clip, *FAKE, "--gif", "--contact-sheet", "-n", "3", "-o", "out")

    run = salcli(*arguments)

    assert run.returncode == 0, run.stderr
    out = tmp_path / "out"
    assert files(out) == ["contact_sheet.jpg", "loud_viz.gif", "loud_viz.mp4"]
    described = ffmpeg("-i", out / "loud_viz.mp4").stderr.decode()
    assert "Audio: aac" in described
    assert "10 fps" in described
    assert re.search(r"Duration: 00:00:01\.0", described)
    width, height = map(int, re.search(r"Video: .*?, (\d+)x(\d+)", described).groups())
    assert width > 2 * 160
    decoded = ffmpeg(
        *("-v", "error", "-i", out / "loud_viz.mp4", "-f", "rawvideo", "-pix_fmt", "rgb24", "-")
    ).stdout
    frames = np.frombuffer(decoded, np.uint8).reshape(-1, height, width, 3)
    assert len(frames) == 10
    source = ffmpeg(
        "-v", "error", "-i", loud_clip, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"
    ).stdout
    fourth = np.frombuffer(source, np.uint8).reshape(10, 90, 160, 3)[3]
    assert nearest(frames[3], fourth) < 6
    with Image.open(out / "loud_viz.gif") as animation:
        assert animation.n_frames == 10
        assert abs(animation.size[0] / animation.size[1] - width / height) < 0.05
    with Image.open(out / "contact_sheet.jpg") as sheet:
        assert sheet.size[1] > 3 * 90
    before = {name: (out / name).read_bytes() for name in files(out)}
    assert salcli(*arguments).returncode == 0
    assert {name: (out / name).read_bytes() for name in files(out)} == before


def test_frames_of_a_clip_as_pictures(salcli: Run, tmp_path: Path) -> None:
    root = dataset(tmp_path / "clip", [f"{n:04d}" for n in range(1, 7)], maps=["0001", "0002"])

    run = salcli("visualize", root, *FAKE, "--frames", "-n", "2", "--as", "clip")

    assert run.returncode == 1
    assert "6 images, but ground truth for 2; none for images 0003, 0004, 0005, 0006" in run.stderr
    shown = files(tmp_path / "viz_out")
    assert len(shown) == 2
    assert all(re.fullmatch(r"clip/000\d_viz\.jpg", name) for name in shown)


def test_a_clip_of_frames_keeps_its_layout_where_maps_are_missing(
    salcli: Run, tmp_path: Path
) -> None:
    root = dataset(tmp_path / "clip", ["1", "2", "3"], maps=["2"])

    run = salcli("visualize", root, *FAKE, "--fps", "5")

    assert run.returncode == 1
    assert "none for images 1, 3" in run.stderr
    assert "5 fps" in ffmpeg("-i", tmp_path / "viz_out/clip_viz.mp4").stderr.decode()
    (row,) = run.stdout.splitlines()[1:]
    assert float(row.split()[2]) > 0.7  # of the frame that has a map


def test_maps_without_images_are_reported_and_harmless(salcli: Run, tmp_path: Path) -> None:
    root = dataset(tmp_path / "set", ["a"])
    save(root / "maps/z.png", density(5, 5))

    run = salcli("visualize", root, *FAKE)

    assert run.returncode == 0
    assert "no image for map z.png" in run.stderr


def test_several_models_and_their_further_maps(salcli: Run, tmp_path: Path) -> None:
    root = dataset(tmp_path / "set", ["a"])
    one = salcli("visualize", root, *FAKE, "-o", "one")
    two = salcli("visualize", root, *FAKE, "-m", "hungry", "--gif", "-o", "two")

    assert (one.returncode, two.returncode) == (0, 0), two.stderr
    assert [line.split()[1] for line in two.stdout.splitlines()[1:]] == ["brightness", "hungry"]
    with Image.open(tmp_path / "two/set/a_viz.gif") as animation:
        assert animation.n_frames == 1  # the fake gives one further map, "red"
    single, double = (pixels(tmp_path / f"{name}/set/a_viz.jpg") for name in ("one", "two"))
    assert double.shape[0] > single.shape[0]


@pytest.mark.parametrize("style", ["heat", "contour", "fog", "peaks"])
def test_every_style_changes_the_picture(salcli: Run, tmp_path: Path, style: str) -> None:
    save(tmp_path / "photo.png", disc(180, 100))
    run = salcli("visualize", "photo.png", *FAKE, "--style", style, "--no-labels")
    assert run.returncode == 0, run.stderr
    board = pixels(tmp_path / "viz_out/photo_viz.jpg").astype(int)
    width = SIZE[0]
    difference = np.abs(board[: SIZE[1], -width:] - board[: SIZE[1], :width])
    assert difference.max() > 30


def test_the_help_lists_the_styles_of_core_and_plugins(salcli: Run) -> None:
    shown = " ".join(salcli("visualize", "--help").stdout.replace("│", " ").split())
    assert "contour: lines that enclose" in shown
    assert "tempsal: the panels of TempSAL's project page" in shown


def test_colours_by_name(salcli: Run, tmp_path: Path) -> None:
    save(tmp_path / "photo.png", disc(180, 100))
    contents = set()
    for name in ("salcli", "jet", "viridis"):
        assert salcli("visualize", "photo.png", *FAKE, "--colormap", name).returncode == 0
        contents.add((tmp_path / "viz_out/photo_viz.jpg").read_bytes())
    assert len(contents) == 3
    run = salcli("visualize", "photo.png", *FAKE, "--colormap", "viridos")
    assert run.returncode == 2
    assert "no colour map named 'viridos'; did you mean viridis" in run.stderr


def test_what_cannot_be_shown_does_not_stop_the_rest(salcli: Run, tmp_path: Path) -> None:
    (tmp_path / "empty/images").mkdir(parents=True)
    (tmp_path / "broken.png").write_bytes(b"\x89PNG no picture")
    good = save(tmp_path / "good.png", disc(50, 50))

    run = salcli("visualize", "empty", "broken.png", good, "missing.mp4", *FAKE)

    assert run.returncode == 1
    errors = [line for line in run.stderr.splitlines() if line.startswith("salcli: error: ")]
    assert len(errors) == 3
    assert "'empty' holds no images" in errors[0]
    assert "broken.png" in errors[1]
    assert "'missing.mp4' does not exist" in errors[2]
    assert files(tmp_path / "viz_out") == ["good_viz.jpg"]


def test_a_model_that_fails_half_way_leaves_no_movie(
    salcli: Run, loud_clip: Path, tmp_path: Path
) -> None:
    run = salcli("visualize", loud_clip, "-m", "failing")

    assert run.returncode == 4
    assert "model 'failing' failed" in run.stderr
    assert files(tmp_path / "viz_out") == []


def test_an_unreadable_map_is_reported(salcli: Run, tmp_path: Path) -> None:
    root = dataset(tmp_path / "set", ["a", "b"])
    (root / "maps/b.png").write_bytes(b"no picture")

    run = salcli("visualize", root, *FAKE)

    assert run.returncode == 1
    assert "b.png' is not an image that can be read; shown without ground truth" in run.stderr
    assert len(files(tmp_path / "viz_out")) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--style", "countour"), "no style named 'countour'; did you mean contour"),
        (("--style", "glow"), "known: contour, fog, heat, peaks"),
        (("-m", "brightnes"), "no model named 'brightnes'; did you mean brightness"),
        (("-m", "hungry", "-O", "rows=2"), "--model names several"),
    ],
)
def test_wrong_usage(salcli: Run, tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    save(tmp_path / "photo.png", disc(50, 50))
    run = salcli("visualize", "photo.png", *FAKE, *arguments)
    assert run.returncode == 2
    assert message in run.stderr
    assert not (tmp_path / "viz_out").exists()
