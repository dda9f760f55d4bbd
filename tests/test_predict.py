"""`salcli predict` as a user runs it: results, records, skipping, continuing, failing."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

Run = Callable[..., subprocess.CompletedProcess[str]]
Commands = Callable[..., Any]
SLOWLY = ("-O", "delay=0.3", "--batch-size", "1")
FAKE = ("-m", "brightness")


def picture(path: Path, *, size: tuple[int, int] = (20, 12), level: int = 100) -> Path:
    """An image of one grey level, width x height."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (level, level, level)).save(path)
    return path


def size_of(path: Path) -> tuple[int, int]:
    with Image.open(path) as image:
        return image.size


def names(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def contents(folder: Path) -> dict[str, bytes]:
    return {n: (folder / n).read_bytes() for n in names(folder) if not n.endswith("salcli.json")}


def test_a_video_gives_one_map_per_frame_and_a_record(
    salcli: Run, clip_file: Path, tmp_path: Path
) -> None:
    run = salcli("predict", clip_file, *FAKE, "--save", "png", "--save", "npy", "-o", "out")

    assert run.returncode == 0, run.stderr
    folder = tmp_path / "out/clip"
    maps = [f"{n:04d}.{format_}" for n in range(1, 13) for format_ in ("npy", "png")]
    assert names(folder) == [*maps, "salcli.json"]
    assert size_of(folder / "0012.png") == (64, 48)
    assert np.load(folder / "0001.npy").dtype == np.float32
    record = json.loads((folder / "salcli.json").read_text())
    assert record["model"] == "brightness"
    assert (record["kind"], record["fps"], record["frames"]) == ("clip", 8.0, 12)
    assert (record["width"], record["height"]) == (64, 48)
    assert record["formats"] == ["npy", "png"]
    assert record["versions"]["salcli-fake"] == "1.5"
    assert record["source"] == str(clip_file)
    assert run.stdout == ""
    loading, model, done, last = run.stderr.splitlines()
    assert loading == "loading brightness ..."
    assert model == "model brightness on cpu, float32"
    assert "12 maps in out/clip" in done
    assert last == "to look at: out/clip/0001.png"


def test_a_second_run_does_nothing(salcli: Run, clip_file: Path, tmp_path: Path) -> None:
    arguments = ("predict", clip_file, *FAKE, "-o", "out")
    salcli(*arguments)
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "out").rglob("*")}

    run = salcli(*arguments)

    assert run.returncode == 0
    assert "already done, 12 maps in out/clip" in run.stderr
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "out").rglob("*")} == before


def test_overwrite_does_it_again(salcli: Run, clip_file: Path, tmp_path: Path) -> None:
    arguments = ("predict", clip_file, *FAKE, "-o", "out")
    salcli(*arguments)
    before = (tmp_path / "out/clip/salcli.json").stat().st_mtime_ns

    assert salcli(*arguments, "--overwrite").returncode == 0
    assert (tmp_path / "out/clip/salcli.json").stat().st_mtime_ns > before


def test_another_format_is_added(salcli: Run, clip_file: Path, tmp_path: Path) -> None:
    arguments = ("predict", clip_file, *FAKE, "-o", "out")
    salcli(*arguments, "--save", "png")
    salcli(*arguments, "--save", "npy")

    folder = tmp_path / "out/clip"
    assert len(list(folder.glob("*.png"))) == len(list(folder.glob("*.npy"))) == 12
    assert json.loads((folder / "salcli.json").read_text())["formats"] == ["npy", "png"]
    run = salcli(*arguments, "--save", "npy", "--save", "png")
    assert "already done" in run.stderr


def test_other_settings_replace_the_results(salcli: Run, clip_file: Path, tmp_path: Path) -> None:
    arguments = ("predict", clip_file, *FAKE, "-o", "out")
    salcli(*arguments, "--save", "npy", "--save", "csv", "--extras")

    run = salcli(*arguments, "-O", "mode=inverted", "--size", "30x20", "--save", "png")

    assert run.returncode == 0
    assert "other settings" in run.stderr
    pngs = [f"{n:04d}.png" for n in range(1, 13)]
    assert names(tmp_path / "out/clip") == [*pngs, "salcli.json"]
    assert size_of(tmp_path / "out/clip/0001.png") == (30, 20)


@pytest.mark.parametrize(
    "change",
    [
        {"files": {"../../precious/thesis.png": 13}},
        {"labels": ["../../precious/thesis"]},
        {"labels": None, "extras": ["/../../../precious/x"], "frames": 1},
        {"formats": ["../precious/thesis"]},
        {"labels": [["a"]]},
        {"frames": 10**12, "labels": None},
        {"frames": "12"},
        {"problems": [7]},
    ],
)
def test_a_foreign_record_removes_nothing_outside(
    salcli: Run, clip_file: Path, tmp_path: Path, change: dict[str, Any]
) -> None:
    arguments = ("predict", clip_file, *FAKE, "-o", "out")
    salcli(*arguments)
    precious = tmp_path / "precious/thesis.png"
    precious.parent.mkdir()
    precious.write_bytes(b"years of work")
    record = tmp_path / "out/clip/salcli.json"
    record.write_text(json.dumps(json.loads(record.read_text()) | change))

    run = salcli(*arguments, "-O", "mode=inverted")

    assert run.returncode == 0, run.stderr
    assert precious.exists()
    assert json.loads(record.read_text())["frames"] == 12


@pytest.mark.parametrize("folder", [True, False])
def test_no_two_results_have_one_name(salcli: Run, tmp_path: Path, folder: bool) -> None:
    stems = ("a", "a.overlay", "b.heatmap", "b")
    paths = [picture(tmp_path / "in" / f"{stem}.png", level=10 * n) for n, stem in enumerate(stems)]
    inputs = [tmp_path / "in"] if folder else paths
    formats = ("--save", "png", "--save", "overlay", "--save", "heatmap")

    run = salcli("predict", *inputs, *FAKE, "-o", "out", *formats)

    assert run.returncode == 0, run.stderr
    results = list((tmp_path / "out").rglob("*.png"))
    assert len(results) == len(stems) * 3


def test_an_address_is_no_output_folder(salcli: Run, clip_file: Path, tmp_path: Path) -> None:
    run = salcli("predict", clip_file, *FAKE, "-o", "ftp://example.org/maps")

    assert run.returncode == 2
    assert "is an address" in run.stderr
    assert not (tmp_path / "ftp:").exists()


def test_a_missing_map_is_made_again(salcli: Run, clip_file: Path, tmp_path: Path) -> None:
    arguments = ("predict", clip_file, *FAKE, "-o", "out")
    salcli(*arguments)
    (tmp_path / "out/clip/0003.png").unlink()

    assert salcli(*arguments).returncode == 0
    assert (tmp_path / "out/clip/0003.png").exists()


def test_a_changed_source_is_done_again(salcli: Run, tmp_path: Path) -> None:
    arguments = ("predict", picture(tmp_path / "a.png", level=10), *FAKE, "-o", "out")
    salcli(*arguments)
    picture(tmp_path / "a.png", level=200)
    salcli(*arguments)

    with Image.open(tmp_path / "out/a.png") as image:
        assert np.asarray(image).max() == 200


def test_a_lone_image_goes_beside_others(salcli: Run, tmp_path: Path) -> None:
    paths = [picture(tmp_path / name) for name in ("in/a.png", "in/a.bmp", "in/b.png")]

    run = salcli("predict", *paths, *FAKE, "-o", "out", "--save", "png", "--save", "csv")

    assert run.returncode == 0, run.stderr
    stems = ("a", "a.bmp", "b")
    expected = [f"{s}.{e}" for s in stems for e in ("csv", "png", "salcli.json")]
    assert names(tmp_path / "out") == sorted(expected)
    again = salcli("predict", *paths, *FAKE, "-o", "out", "--save", "png")
    assert again.stderr.count("already done, ") == 3


def test_a_photo_and_a_film_of_one_name_do_not_disturb_each_other(
    salcli: Run, clip_file: Path, tmp_path: Path
) -> None:
    photo = picture(tmp_path / "clip.png")
    for _ in range(2):
        last = [salcli("predict", source, *FAKE, "-o", "out") for source in (photo, clip_file)]

    assert all("already done" in run.stderr for run in last)
    assert (tmp_path / "out/clip.png").exists()
    assert (tmp_path / "out/clip/0012.png").exists()


def test_sizes_scales_extras_and_json(salcli: Run, tmp_path: Path) -> None:
    image = picture(tmp_path / "a.png", size=(21, 13))
    common = ("predict", image, "-m", "brightness", "-O", "rows=5", "--save", "npy", "--json")

    run = salcli(*common, "-o", "published", "--size", "published", "--extras")
    salcli(*common, "-o", "density", "--scale", "density")
    salcli(*common, "-o", "max", "--scale", "max", "--size", "6x4")

    document = json.loads(run.stdout)
    assert document["model"] == "brightness"
    assert [i["status"] for i in document["inputs"]] == ["done"]
    assert np.load(tmp_path / "published/a.npy").shape == (5, 21)
    assert np.load(tmp_path / "published/a.red.npy").shape == (13, 21)
    density = np.load(tmp_path / "density/a.npy")
    assert density.shape == (13, 21)
    assert density.sum() == pytest.approx(1, abs=1e-4)
    peaked = np.load(tmp_path / "max/a.npy")
    assert peaked.shape == (4, 6)
    assert peaked.max() == 1


def test_one_bad_input_does_not_stop_the_others(
    salcli: Run, clip_file: Path, tmp_path: Path
) -> None:
    good = picture(tmp_path / "good.png")
    fake = tmp_path / "text.mp4"
    fake.write_text("not a video")

    inputs = ("missing.mp4", fake, good)
    run = salcli("predict", *inputs, *FAKE, "-o", "out", "--save", "png", "--json")

    assert run.returncode == 1
    errors = [line for line in run.stderr.splitlines() if line.startswith("salcli: error: ")]
    assert len(errors) == 2
    assert "missing.mp4" in errors[0]
    assert "text.mp4" in errors[1]
    statuses = [entry["status"] for entry in json.loads(run.stdout)["inputs"]]
    assert statuses == ["failed", "failed", "done"]
    kept = ["good.png", "good.salcli.json", "text/salcli.failed.json"]
    assert names(tmp_path / "out") == kept


def test_stills_that_cannot_be_read_are_left_out_and_reported(salcli: Run, tmp_path: Path) -> None:
    for name in ("cat", "dog", "fox"):
        picture(tmp_path / f"in/{name}.png")
    (tmp_path / "in/dog.png").write_bytes(b"")
    arguments = ("predict", "in", *FAKE, "-o", "out", "--save", "png")

    for expected in ("left out: ", "already done"):
        run = salcli(*arguments)
        assert run.returncode == 1
        assert "dog.png" in run.stderr
        assert expected in run.stderr
    assert names(tmp_path / "out/in") == ["cat.png", "fox.png", "salcli.json"]


def test_quiet_says_nothing(salcli: Run, tmp_path: Path) -> None:
    run = salcli("predict", picture(tmp_path / "a.png"), *FAKE, "-q")

    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")
    assert (tmp_path / "saliency/a.png").exists()


def test_the_source_is_never_overwritten(salcli: Run, tmp_path: Path) -> None:
    image = picture(tmp_path / "a.png")
    before = image.read_bytes()
    picture(tmp_path / "cats/x.png")

    for source in ("a.png", "cats"):
        run = salcli("predict", source, *FAKE, "-o", ".")
        assert run.returncode == 1
        assert "would overwrite it" in run.stderr
    assert image.read_bytes() == before


def test_too_large_batches_are_halved_with_a_notice(salcli: Run, clip_file: Path) -> None:
    run = salcli("predict", clip_file, "-m", "hungry", "--batch-size", "8")

    assert run.returncode == 0
    notices = [line for line in run.stderr.splitlines() if "out of memory" in line]
    assert [line.split()[-1] for line in notices] == ["4", "2"]


def test_no_memory_at_all_is_one_clear_line(salcli: Run, clip_file: Path) -> None:
    run = salcli("predict", clip_file, "-m", "starving")

    assert run.returncode == 1
    errors = [line for line in run.stderr.splitlines() if "error" in line]
    assert len(errors) == 1
    assert "use the CPU" in errors[0]


def test_a_failing_plugin_is_named(salcli: Run, clip_file: Path) -> None:
    run = salcli("predict", clip_file, "-m", "failing")

    assert run.returncode == 4
    assert run.stderr.splitlines()[-1] == (
        "salcli: error: model 'failing' failed: KeyError: 'third frame'"
    )
    assert "Traceback" not in run.stderr
    assert "Traceback" in salcli("predict", clip_file, "-m", "failing", "-v").stderr


def test_a_model_of_clips_refuses_a_photo(salcli: Run, clip_file: Path, tmp_path: Path) -> None:
    run = salcli("predict", picture(tmp_path / "a.png"), clip_file, "-m", "trail", "-o", "out")

    assert run.returncode == 1
    assert "'a' is not a clip, and model 'trail' takes clips only" in run.stderr
    assert len(list((tmp_path / "out/clip").glob("*.png"))) == 12


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (("-m", "brihtness"), 2, "did you mean brightness?"),
        (("-m", "brightness:x"), 2, "no weights tag of model 'brightness' named 'x'"),
        ((*FAKE, "-O", "gian=2"), 2, "did you mean gain?"),
        ((*FAKE, "-O", "gain=much"), 2, "must be a number"),
        ((*FAKE, "--size", "big"), 2, "'--size': big is not WxH"),
        ((*FAKE, "--size", "0x5"), 2, "'--size': 0x5 is not WxH"),
        ((*FAKE, "--save", "gif"), 2, "'--save': gif is not one of png, png16"),
        ((*FAKE, "--scale", "density"), 2, "grey levels cannot hold"),
        ((*FAKE, "--as", "film"), 2, "'--as': 'film' is not one of 'auto', 'clip'"),
        ((*FAKE, "--batch-size", "0"), 2, "'--batch-size': 0 is neither auto nor"),
        ((*FAKE, "--device", "cuda:99"), 2, "no device 'cuda:99' on this machine"),
        (
            (*FAKE, "--precision", "int8"),
            2,
            "'--precision': 'int8' is not one of 'auto'",
        ),
        ((*FAKE, "--weights", "none.pth"), 3, "none.pth"),
        ((*FAKE, "--split", "train"), 2, "--split belong to a dataset; add --data NAME"),
    ],
)
def test_wrong_usage_is_one_clear_line_and_writes_nothing(
    salcli: Run, tmp_path: Path, arguments: tuple[str, ...], code: int, text: str
) -> None:
    run = salcli("predict", picture(tmp_path / "a.png"), "-o", "out", *arguments)

    assert run.returncode == code
    line = run.stderr.removeprefix("loading brightness ...\n")
    assert line.startswith("salcli: error: ")
    assert line.count("\n") == 1
    assert text in line
    assert not (tmp_path / "out").exists()


def test_an_empty_name_is_not_the_working_folder(salcli: Run, tmp_path: Path) -> None:
    picture(tmp_path / "a.png")

    for arguments in (("predict", "", *FAKE), ("aoi", "", *FAKE, "--area", "a=0,0,1,1")):
        run = salcli(*arguments)
        assert run.returncode == 2
        assert run.stderr.startswith("salcli: error: an input is empty; is a variable")


def test_a_name_that_leaves_no_room_for_endings_is_told(salcli: Run, tmp_path: Path) -> None:
    run = salcli("predict", picture(tmp_path / f"{'a' * 250}.png"), *FAKE)

    assert run.returncode == 1
    assert run.stderr.endswith("; give the input a shorter name\n")


def test_an_output_that_cannot_be_written_is_told_before_any_work(
    salcli: Run, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")

    run = salcli("predict", picture(tmp_path / "a.png"), *FAKE, "-o", "file/out")

    assert run.returncode == 1
    (line,) = run.stderr.splitlines()
    assert line.startswith("salcli: error: cannot write '")


def test_a_killed_clip_is_done_again_to_the_same_bytes(
    salcli: Run, clip_file: Path, processes: Commands, tmp_path: Path
) -> None:
    common = ["predict", str(clip_file), "-m", "trail", "--save", "png", "--save", "heatmap"]
    salcli(*common, "-o", "calm")
    slow = [*common, "-o", "killed", "--batch-size", "1"]
    assert processes(slow, folder=tmp_path, kill_at=3).codes == [-signal.SIGKILL]
    assert not (tmp_path / "killed/clip/salcli.json").exists()

    assert salcli(*slow).returncode == 0
    assert contents(tmp_path / "killed") == contents(tmp_path / "calm")


def test_killed_stills_go_on_behind_the_last_whole_batch(
    salcli: Run, processes: Commands, tmp_path: Path
) -> None:
    for number in range(9):
        size = (20, 12) if number != 5 else (12, 20)
        picture(tmp_path / f"in/p{number}.png", level=20 * number, size=size)
    common = ["predict", "in", *FAKE, "--batch-size", "2", "--save", "png"]
    salcli(*common, "-o", "calm")
    slow = [*common, "-o", "killed"]
    assert processes(slow, folder=tmp_path, kill_at=6).codes == [-signal.SIGKILL]
    before = (tmp_path / "killed/in/p3.png").stat().st_mtime_ns

    assert salcli(*slow).returncode == 0
    assert contents(tmp_path / "killed") == contents(tmp_path / "calm")
    assert (tmp_path / "killed/in/p3.png").stat().st_mtime_ns == before
    assert json.loads((tmp_path / "killed/in/salcli.json").read_text())["frames"] == 9


@pytest.mark.parametrize("pauses", [(0.0,), (0.0, 0.02)], ids=["once", "twice"])
def test_interrupting_ends_with_130(
    processes: Callable[..., Any], tmp_path: Path, pauses: tuple[float, ...]
) -> None:
    for number in range(100):  # far more than are done before the signal comes
        picture(tmp_path / f"clip/{number:04d}.png")
    first = tmp_path / "saliency/clip/0000.png"
    slow = ["predict", "clip", *FAKE, *SLOWLY, "--save", "png"]
    # the second time while it cleans up
    ended = processes(slow, folder=tmp_path, seen=first, after=pauses, number=signal.SIGINT)

    assert ended.codes == [130]
    assert "Traceback" not in ended.errors[0]
    assert not list((tmp_path / "saliency/clip").glob(".salcli-*"))
