"""`salcli.aoi`: what the command does, from Python."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import salcli as library
from salcli.errors import InputError, UsageError

Run = Callable[..., subprocess.CompletedProcess[str]]
BOXES = {"left": (0, 0, "50%", "100%"), "right": ("50%", 0, "50%", "100%")}
ARGUMENTS = ("-m", "brightness", "--area", "left=0,0,50%,100%", "--area", "right=50%,0,50%,100%")


def bright(left: int) -> np.ndarray:
    """A black frame with a white box 20 pixels wide; white is salient for the fake model."""
    frame = np.zeros((60, 80, 3), np.uint8)
    frame[10:20, left : left + 20] = 255
    return frame


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """A picture, its box right of the middle by a quarter; beside it an older one."""
    Image.fromarray(bright(10)).save(tmp_path / "old.png")
    Image.fromarray(bright(25)).save(tmp_path / "new.png")
    return tmp_path / "new.png"


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.usefixtures("page")
def test_python_does_what_the_command_does(salcli: Run, clip_file: Path, tmp_path: Path) -> None:
    assert salcli("aoi", "new.png", clip_file, *ARGUMENTS).returncode == 0
    assert salcli("aoi", "new.png", "--against", "old.png", *ARGUMENTS).returncode == 0

    for source in ("new.png", clip_file):
        library.aoi(source, BOXES, model="brightness", output="python")
    found = library.aoi("new.png", BOXES, against="old.png", model="brightness", output="python")

    assert len(contents(tmp_path / "aoi")) == 9
    assert contents(tmp_path / "python") == contents(tmp_path / "aoi")
    assert found.summary()["left"].share == pytest.approx(0.75)
    assert [change.change for change in found.changes()] == [-0.25, 0.25]
    written = (tmp_path / "python/new-against-old.aoi.json").read_text("utf-8")
    assert found.document() == json.loads(written)


@pytest.mark.usefixtures("fakes")
def test_areas_of_frames_in_memory(tmp_path: Path) -> None:
    (tmp_path / "areas.json").write_text('{"areas": [{"name": "edge", "box": [25, 0, 5, 60]}]}')
    found = library.aoi([bright(10)] * 8, tmp_path / "areas.json", model="brightness", fps=4)
    assert found.source == "frames"
    assert len(found.frames) == 8
    edge = found.summary()["edge"]
    assert (edge.share, edge.seconds) == (pytest.approx(0.25), 2)
    assert edge.per_second == pytest.approx([0.25, 0.25])


@pytest.mark.usefixtures("fakes")
def test_wrong_usage(page: Path) -> None:
    with pytest.raises(UsageError, match="a box is four numbers"):
        library.aoi(page, {"a": (1, 2)})
    with pytest.raises(UsageError, match="there are no areas"):
        library.aoi(page, {})
    with pytest.raises(UsageError, match="areas of the same names; these are a and b"):
        library.aoi(page, {"a": (1, 2, 3, 4)}, against=page, against_areas={"b": (1, 2, 3, 4)})
    with pytest.raises(InputError, match="area 'a' covers nothing of a frame of 80x60"):
        library.aoi(page, {"a": (100, 100, 3, 4)}, model="brightness")
