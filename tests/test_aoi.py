"""`salcli aoi` as a user runs it: documents, tables, pictures, comparisons, limits."""

from __future__ import annotations

import csv
import json
import subprocess
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import jsonschema
import numpy as np
import pytest
from PIL import Image

Run = Callable[..., subprocess.CompletedProcess[str]]
FAKE = ("-m", "brightness")
HALVES = ("--area", "left=0,0,50%,100%", "--area", "right=50%,0,50%,100%")


def save(
    path: Path, *, bright: tuple[int, int, int, int], size: tuple[int, int] = (80, 60)
) -> Path:
    """A black picture with a white box x, y, w, h; white is salient for the fake model."""
    picture = Image.new("RGB", size)
    x, y, width, height = bright
    picture.paste((255, 255, 255), (x, y, x + width, y + height))
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path)
    return path


def clip(path: Path, boxes: list[tuple[int, int, int, int]], *, fps: int = 4) -> Path:
    """A lossless video of pictures like those of `save`."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-f", "rawvideo", "-s", "80x60"]
    command += ["-pix_fmt", "rgb24", "-r", str(fps), "-i", "-", "-c:v", "libx264rgb", "-crf", "0"]
    content = b""
    for x, y, width, height in boxes:
        frame = np.zeros((60, 80, 3), np.uint8)
        frame[y : y + height, x : x + width] = 255
        content += frame.tobytes()
    subprocess.run([*command, str(path)], input=content, check=True)
    return path


def files(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.rglob("*") if p.is_file())


@pytest.fixture(scope="module")
def valid() -> Callable[[Any], Any]:
    """Check a document against the schema that ships, and give it back."""
    text = (resources.files("salcli") / "schemas/aoi-1.schema.json").read_text("utf-8")
    schema = json.loads(text)
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)

    def check(document: Any) -> Any:
        validator.validate(document)
        return document

    return check


def test_a_still(salcli: Run, tmp_path: Path, valid: Callable[[Any], Any]) -> None:
    save(tmp_path / "page.png", bright=(10, 10, 20, 10))

    run = salcli("aoi", "page.png", *FAKE, *HALVES, "--area", "edge=25,0,5,60")

    assert run.returncode == 0, run.stderr
    assert files(tmp_path / "aoi") == ["page.aoi.csv", "page.aoi.json", "page.aoi.png"]
    document = valid(json.loads((tmp_path / "aoi/page.aoi.json").read_text()))
    left, right, edge = document["input"]["areas"]
    assert (left["share"], right["share"], edge["share"]) == (1, 0, 0.25)
    assert (left["lift"], edge["lift"]) == (2, 4)
    assert [area["rank"] for area in (left, right, edge)] == [1, 3, 2]
    assert left["first_maximum"]["label"] == "page"
    assert left["share_per_second"] is left["seconds_on_screen"] is None
    assert document["tool"]["model"] == "brightness"
    with Image.open(tmp_path / "aoi/page.aoi.png") as picture:
        assert picture.size == (80, 60)
    lines = run.stdout.splitlines()
    assert lines[0].split()[:3] == ["input", "area", "share"]
    assert lines[1].split()[:3] == ["page.png", "left", "100.00%"]


def test_a_clip_over_time(salcli: Run, tmp_path: Path, valid: Callable[[Any], Any]) -> None:
    clip(tmp_path / "spot.mp4", [(5, 5, 10, 10)] * 4 + [(60, 5, 10, 10)] * 4)
    rows = "frame,name,x,y,w,h\n" + "".join(f"{n},face,0,0,20,20\n" for n in (3, 4, 5))
    (tmp_path / "boxes.csv").write_text(rows)
    arguments = ("aoi", "spot.mp4", *FAKE, *HALVES, "--areas", "boxes.csv")

    run = salcli(*arguments, "--json")

    assert run.returncode == 0, run.stderr
    listed = valid(json.loads(run.stdout))
    document = valid(json.loads((tmp_path / "aoi/spot.aoi.json").read_text()))
    assert listed["inputs"] == [document["input"]]
    face, left, right = document["input"]["areas"]
    assert (face["frames_on_screen"], face["seconds_on_screen"]) == (3, 0.75)
    assert face["share"] == pytest.approx(2 / 8, abs=1e-4)
    assert face["first_maximum"] == {"frame": 3, "label": "0003", "time_s": 0.5}
    assert left["share_per_second"] == pytest.approx([1, 0], abs=1e-3)
    assert right["first_maximum"]["time_s"] == 1.0
    assert left["share"] + right["share"] == pytest.approx(1, abs=1e-6)
    with (tmp_path / "aoi/spot.aoi.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert len(table) == 8 * 3
    assert [row["area_share"] for row in table if row["area"] == "face"][:2] == ["0.0", "0.0"]
    with Image.open(tmp_path / "aoi/spot.aoi.png") as plot:
        assert plot.size == (1350, 675)
        assert len(plot.convert("RGB").getcolors(1 << 20)) > 50
    before = {name: (tmp_path / "aoi" / name).read_bytes() for name in files(tmp_path / "aoi")}
    assert salcli(*arguments).returncode == 0
    assert {name: (tmp_path / "aoi" / name).read_bytes() for name in before} == before


def test_the_table_of_a_clip_and_a_still(salcli: Run, tmp_path: Path) -> None:
    clip(tmp_path / "spot.mp4", [(5, 5, 10, 10)] * 4)
    save(tmp_path / "page.png", bright=(10, 10, 20, 10))

    run = salcli("aoi", "spot.mp4", "page.png", *FAKE, "--area", "left=0,0,50%,100%")

    titles, of_clip, of_still = run.stdout.splitlines()
    assert titles.split("  ")[-2:] == ["on screen", "first peak"]
    assert of_clip.split()[-4:] == ["1.00", "s", "0.00", "s"]
    assert of_still.split()[-1] == "1"  # its rank: a still has no times


def test_the_real_model_looks_at_the_object(salcli: Run, tmp_path: Path) -> None:
    save(tmp_path / "page.png", bright=(150, 60, 40, 40), size=(240, 160))

    run = salcli("aoi", "page.png", "--area", "box=150,60,40,40", "--fail-below", "box=20%")

    assert run.returncode == 0, run.stderr
    assert "model unisal:open" in run.stderr


def test_two_designs(salcli: Run, tmp_path: Path, valid: Callable[[Any], Any]) -> None:
    save(tmp_path / "old.png", bright=(10, 10, 20, 10))
    save(tmp_path / "new.png", bright=(25, 10, 20, 10))
    arguments = ("aoi", "new.png", "--against", "old.png", *FAKE, *HALVES)

    run = salcli(*arguments)

    assert run.returncode == 0, run.stderr
    assert files(tmp_path / "aoi") == [
        f"new-against-old.aoi.{end}" for end in ("csv", "json", "png")
    ]
    document = valid(json.loads((tmp_path / "aoi/new-against-old.aoi.json").read_text()))
    left, right = document["areas"]
    assert (left["share"], left["share_against"], left["change"]) == (0.75, 1, -0.25)
    assert right["change"] == 0.25
    assert run.stdout.splitlines()[1].split()[:4] == ["left", "75.00%", "100.00%", "-25.00%"]
    with Image.open(tmp_path / "aoi/new-against-old.aoi.png") as picture:
        moved = np.asarray(picture.convert("RGB")).astype(int)
    blue, red = (moved[..., 2] - moved[..., 0] > 60), (moved[..., 0] - moved[..., 2] > 60)
    third = moved.shape[1] * 2 // 3
    lost, gained = (np.nonzero(mask[:-40, third:])[1].mean() for mask in (blue, red))
    assert lost < gained


@pytest.mark.parametrize(
    ("limits", "code", "lines"),
    [
        (["left=0.7", "-0.3"], 0, []),
        (["left=80%"], 1, ["left: share 75.00% is below 80.00%"]),
        (["-0.2"], 1, ["left: change -25.00% is below -20.00%"]),
        (["left=.8", "right=.5"], 1, ["left: share", "right: share 25.00% is below 50.00%"]),
    ],
)
def test_limits_of_a_comparison(
    salcli: Run, tmp_path: Path, limits: list[str], code: int, lines: list[str]
) -> None:
    save(tmp_path / "old.png", bright=(10, 10, 20, 10))
    save(tmp_path / "new.png", bright=(25, 10, 20, 10))
    flags = [word for limit in limits for word in ("--fail-below", limit)]

    run = salcli("aoi", "new.png", "--against", "old.png", *FAKE, *HALVES, *flags, "--json")

    assert run.returncode == code, run.stderr
    shown = [line for line in run.stderr.splitlines() if "below the limit" in line]
    assert len(shown) == len(lines)
    assert all(line in text for line, text in zip(lines, shown, strict=True))
    assert json.loads(run.stdout)["kind"] == "comparison"
    assert len(files(tmp_path / "aoi")) == 3  # the result is there to be looked at


def test_two_cuts_and_areas_that_moved(salcli: Run, tmp_path: Path) -> None:
    clip(tmp_path / "one.mp4", [(5, 5, 10, 10)] * 4)
    clip(tmp_path / "two.mp4", [(60, 5, 10, 10)] * 6)
    areas = {"areas": [{"name": "logo", "box": [0, 0, 20, 20]}]}
    (tmp_path / "here.json").write_text(json.dumps(areas))
    areas["areas"][0]["box"] = [55, 0, 20, 20]
    (tmp_path / "there.json").write_text(json.dumps(areas))

    run = salcli(
        *("aoi", "one.mp4", "--against", "two.mp4", *FAKE, "--areas", "here.json"),
        *("--against-areas", "there.json", "--fail-below", "-1%"),
    )

    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines()[1].split()[1:4] == ["100.00%", "100.00%", "+0.00%"]


def test_bad_inputs_do_not_stop_the_rest(
    salcli: Run, tmp_path: Path, valid: Callable[[Any], Any]
) -> None:
    save(tmp_path / "small.png", bright=(0, 0, 5, 5), size=(20, 20))
    save(tmp_path / "page.png", bright=(10, 10, 20, 10))
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8 no picture")
    inputs = ("small.png", "broken.jpg", "missing.png", "page.png")

    run = salcli("aoi", *inputs, *FAKE, "--area", "button=40,30,10,10", "--json")

    assert run.returncode == 1
    errors = [line for line in run.stderr.splitlines() if line.startswith("salcli: error: ")]
    assert len(errors) == 3
    assert "area 'button' covers nothing of a frame of 20x20" in errors[0]
    assert files(tmp_path / "aoi") == ["page.aoi.csv", "page.aoi.json", "page.aoi.png"]
    assert "page.png: 1 area in aoi/page.aoi.json" in run.stderr.splitlines()
    document = valid(json.loads(run.stdout))
    assert [entry["source"] for entry in document["inputs"]] == ["page.png"]
    assert [entry["source"] for entry in document["failed"]] == list(inputs[:3])


def test_an_area_that_is_on_no_frame(salcli: Run, tmp_path: Path) -> None:
    save(tmp_path / "page.png", bright=(10, 10, 20, 10))
    (tmp_path / "boxes.csv").write_text("frame,name,x,y,w,h\nother,face,0,0,20,20\n")

    run = salcli("aoi", "page.png", *FAKE, "--areas", "boxes.csv")

    assert run.returncode == 1
    assert "area 'face' is on no frame of 'page.png'; check which frames it names" in run.stderr
    assert files(tmp_path / "aoi") == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "there are no areas; use --areas FILE or --area NAME=X,Y,W,H"),
        (("--area", "a=1,2"), "a box is four numbers"),
        (("--areas", "none.json"), "'none.json' cannot be read: No such file"),
        ((*HALVES, "--fail-below", "lift=0.1"), "no area named 'lift'; did you mean left"),
        ((*HALVES, "--fail-below", "left=much"), "the limit 'left=much' must be AREA=NUMBER"),
        ((*HALVES, "--fail-below", "0.1"), "a change needs --against"),
        ((*HALVES, "--against-areas", "x.json"), "'x.json' cannot be read"),
        ((*HALVES, "--against-areas", "boxes.csv"), "--against-areas needs --against"),
        (
            (*HALVES, "--against", "other.png", "--against-areas", "boxes.csv"),
            "areas of the same names; these are left, right and face",
        ),
        ((*HALVES, "--against", "*.png"), "--against compares one input with one, not 1 with 2"),
    ],
)
def test_wrong_usage(salcli: Run, tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    for name in ("page.png", "other.png"):
        save(tmp_path / name, bright=(10, 10, 20, 10))
    (tmp_path / "boxes.csv").write_text("frame,name,x,y,w,h\n1,face,0,0,20,20\n")
    run = salcli("aoi", "page.png", *FAKE, *arguments)
    assert run.returncode == 2
    assert message in run.stderr
    assert not (tmp_path / "aoi").exists()


def test_areas_that_nobody_drew(salcli: Run, tmp_path: Path, valid: Callable[[Any], Any]) -> None:
    save(tmp_path / "page.png", bright=(10, 10, 20, 10))
    run = salcli("aoi", "page.png", *FAKE, "--areas", "auto", "--json")
    assert run.returncode == 0, run.stderr
    (measured,) = valid(json.loads(run.stdout))["inputs"]
    shares = {area["name"]: area["share"] for area in measured["areas"]}
    assert shares["top left"] == pytest.approx(0.8, abs=0.01)  # four fifths of what is bright
    assert shares["region 1"] == pytest.approx(1, abs=0.001)
    assert len(shares) == 10
    file = tmp_path / "aoi/page.areas.json"  # to be corrected by hand, and given again
    again = salcli("aoi", "page.png", *FAKE, "--areas", file, "-o", "again", "--json")
    assert again.stdout == run.stdout
    refused = salcli("aoi", "page.png", *FAKE, "--areas", "auto", "--area", "a=0,0,9,9")
    assert (refused.returncode, "finds all areas itself" in refused.stderr) == (2, True)
    limited = salcli("aoi", "page.png", *FAKE, "--areas", "auto", "--fail-below", "a=5%")
    assert (limited.returncode, "known names" in limited.stderr) == (2, True)


def test_areas_of_another_size_are_found_once_for_both(salcli: Run, tmp_path: Path) -> None:
    save(tmp_path / "new.png", bright=(10, 10, 20, 10))
    save(tmp_path / "old.png", bright=(20, 20, 40, 20), size=(160, 120))
    run = salcli("aoi", "new.png", "--against", "old.png", *FAKE, "--areas", "auto", "--json")
    assert run.returncode == 0, run.stderr
    changes = {area["name"]: area["change"] for area in json.loads(run.stdout)["areas"]}
    assert changes["region 1"] == pytest.approx(0, abs=1e-3)


def test_a_folder_of_several_pictures_has_no_areas_of_its_own(salcli: Run, tmp_path: Path) -> None:
    for name in ("a", "b"):
        save(tmp_path / "photos" / f"{name}.png", bright=(10, 10, 20, 10))
    run = salcli("aoi", "photos", *FAKE, "--areas", "auto")
    assert (run.returncode, "name them one by one" in run.stderr) == (1, True)
