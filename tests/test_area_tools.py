"""Areas drawn with CVAT and Label Studio."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from salcli.areas import parse
from salcli.areas.geometry import Area, Length, coverage
from salcli.errors import UsageError

VIDEO = """<?xml version="1.0" encoding="utf-8"?>
<annotations>
  <version>1.1</version>
  <track id="0" label="car">
    <box frame="0" keyframe="1" outside="0" xtl="10" ytl="20" xbr="30" ybr="60"></box>
    <box frame="4" keyframe="1" outside="0" xtl="18" ytl="20" xbr="38" ybr="60"></box>
    <box frame="5" keyframe="1" outside="1" xtl="18" ytl="20" xbr="38" ybr="60"></box>
    <box frame="8" keyframe="1" outside="0" xtl="0" ytl="0" xbr="5" ybr="5"></box>
  </track>
  <track id="1" label="sign">
    <polygon frame="2" outside="0" points="0.0,0.0;10.0,0.0;0.0,10.0"></polygon>
  </track>
</annotations>
"""

IMAGES = """<annotations>
  <image id="0" name="shop/a.png" width="100" height="50">
    <box label="logo" xtl="1" ytl="2" xbr="3" ybr="5"/>
    <polyline label="line" points="1,2;3,4"/>
  </image>{more}
</annotations>
"""


def read(folder: Path, name: str, text: str) -> list[Area]:
    file = folder / name
    file.write_text(text)
    return parse.read(file)


def extent(area: Area, number: int, size: tuple[int, int] = (100, 200)) -> list[float]:
    """x, y, right and bottom of what an area covers on a frame, counted from 1."""
    covered = coverage(area.on(number - 1, f"{number:04d}"), size)
    rows, columns = covered.any(axis=1).nonzero()[0], covered.any(axis=0).nonzero()[0]
    return [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1] if rows.size else []


def test_tracks_of_cvat_move_evenly_between_key_frames(tmp_path: Path) -> None:
    car, sign = read(tmp_path, "tracks.xml", VIDEO)

    assert (car.name, sign.name) == ("car", "sign")
    assert extent(car, 1) == [10, 20, 30, 60]
    assert extent(car, 2) == [12, 20, 32, 60]
    assert extent(car, 5) == [18, 20, 38, 60]
    assert [extent(car, number) for number in (6, 7, 8, 10)] == [[]] * 4
    assert extent(car, 9) == [0, 0, 5, 5]
    assert list(sign.frames) == [3]
    assert sign.frames[3][0][1] == (Length(10.0), Length(0.0))


def test_one_image_of_cvat_is_every_frame_and_several_are_told_apart(tmp_path: Path) -> None:
    (logo,) = read(tmp_path, "one.xml", IMAGES.format(more=""))
    assert not logo.moves
    assert extent(logo, 1) == [1, 2, 3, 5]
    (logo,) = read(tmp_path, "two.xml", IMAGES.format(more='<image id="1" name="b.png"/>'))
    assert list(logo.frames) == ["a"]


def task(where: str, *results: dict[str, Any]) -> dict[str, Any]:
    return {"id": 1, "data": {"image": where}, "annotations": [{"result": list(results)}]}


RECTANGLE = {
    "type": "rectanglelabels",
    "value": {"x": 5, "y": 10, "width": 20, "height": 40, "rotation": 0, "rectanglelabels": ["ad"]},
}
POLYGON = {
    "type": "polygonlabels",
    "value": {"points": [[0, 0], [50, 0], [0, 50]], "polygonlabels": ["roof"]},
}
TRACKED = {
    "type": "videorectangle",
    "value": {
        "labels": ["ball"],
        "sequence": [
            {"frame": 1, "enabled": True, "x": 0, "y": 0, "width": 10, "height": 10, "rotation": 0},
            {"frame": 5, "enabled": False, "x": 20, "y": 0, "width": 10, "height": 10},
        ],
    },
}


def test_shapes_of_label_studio_are_in_percent(tmp_path: Path) -> None:
    found = [
        task(
            "/data/upload/1/0a1b2c3d-shop.jpg", RECTANGLE, POLYGON, {"type": "choices", "value": {}}
        )
    ]
    ad, roof = read(tmp_path, "a.json", json.dumps(found))

    assert extent(ad, 1) == [10, 10, 50, 50]
    assert roof.always[0][1] == (Length(percent=50.0), Length(percent=0.0))
    several = [*found, task("b.jpg", RECTANGLE)]
    ad, _ = read(tmp_path, "b.json", json.dumps(several))
    assert list(ad.frames) == ["shop", "b"]


def test_rectangles_in_videos_of_label_studio_move(tmp_path: Path) -> None:
    (ball,) = read(tmp_path, "a.json", json.dumps([task("clip.mp4", TRACKED)]))

    assert extent(ball, 1) == [0, 0, 20, 10]
    assert extent(ball, 3) == [20, 0, 40, 10]
    assert extent(ball, 5) == [40, 0, 60, 10]
    assert extent(ball, 6) == []


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.xml", "<annotations><track>", "not XML"),
        ("a.xml", "<!DOCTYPE x [<!ENTITY a 'b'>]><annotations/>", "define no entities"),
        ("a.xml", "<rss/>", "its root is <rss>"),
        ("a.xml", "<annotations><track><box frame='0'/></track></annotations>", "is missing"),
        ("a.xml", IMAGES.format(more="").replace('xtl="1"', 'xtl="one"'), "could not convert"),
        ("a.xml", "<annotations/>", "has no areas"),
        ("a.json", json.dumps([task("a", {**RECTANGLE, "value": {}})]), "missing or wrong"),
        (
            "a.json",
            json.dumps([task("a", {**RECTANGLE, "value": {**RECTANGLE["value"], "rotation": 5}})]),  # type: ignore[dict-item]
            "draw it as a polygon",
        ),
        (
            "a.xml",
            VIDEO.replace('frame="4"', 'frame="99999999"'),
            "frames lie between two key frames",
        ),
    ],
)
def test_what_is_wrong_is_told(tmp_path: Path, name: str, text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        read(tmp_path, name, text)
