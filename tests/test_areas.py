"""Areas of interest: exact coverage, and every way to write them down."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from salcli.areas import parse
from salcli.areas.geometry import Area, Length, box, coverage
from salcli.areas.measure import shares
from salcli.errors import UsageError

SIZE = (37, 53)
HEIGHT, WIDTH = SIZE


def polygon(*corners: tuple[float, float]) -> tuple[tuple[Length, Length], ...]:
    return tuple((Length(x), Length(y)) for x, y in corners)


def rectangle(x: float, y: float, width: float, height: float) -> np.ndarray:
    return coverage([box(*map(Length, (x, y, width, height)))], SIZE)


def test_fractional_edges_cover_parts_of_pixels() -> None:
    covered = rectangle(1.25, 0.5, 2.5, 1.25)
    assert covered[:2, 1:4].tolist() == [[0.375, 0.5, 0.375], [0.5625, 0.75, 0.5625]]
    assert covered.sum() == pytest.approx(2.5 * 1.25)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.floats(0.01, WIDTH - 0.01), max_size=4),
    st.lists(st.floats(0.01, HEIGHT - 0.01), max_size=4),
    st.integers(0, 2**32 - 1),
)
def test_shares_of_a_grid_of_boxes_sum_to_one(xs: list[float], ys: list[float], seed: int) -> None:
    saliency = np.random.default_rng(seed).random(SIZE).astype(np.float32) ** 8
    across, down = ([0.0, *sorted(set(cuts)), end] for cuts, end in ((xs, WIDTH), (ys, HEIGHT)))
    covers = {
        f"{i} {j}": rectangle(left, top, right - left, bottom - top)
        for i, (left, right) in enumerate(pairwise(across))
        for j, (top, bottom) in enumerate(pairwise(down))
    }
    found = shares(saliency, covers).values()
    assert sum(share.share for share in found) == pytest.approx(1, abs=1e-6)
    assert sum(share.area_share for share in found) == pytest.approx(1, abs=1e-6)


@settings(max_examples=50, deadline=None)
@given(st.floats(0.5, WIDTH - 0.5), st.floats(0.5, HEIGHT - 0.5))
def test_triangles_around_a_point_make_up_the_frame(x: float, y: float) -> None:
    corners = [(0, 0), (WIDTH, 0), (WIDTH, HEIGHT), (0, HEIGHT)]
    fan = zip(corners, [*corners[1:], corners[0]], strict=True)
    parts = [coverage([polygon((x, y), a, b)], SIZE) for a, b in fan]
    assert np.abs(sum(parts) - 1).max() < 1e-9
    assert min(part.min() for part in parts) >= 0


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.floats(-30, 90), st.floats(-30, 70)), min_size=3, max_size=3))
@example([(0.0, 0.0), (1.0, 2.225073858507e-311), (0.0, 1.0)])
def test_a_triangle_covers_its_area_however_it_is_written(
    corners: list[tuple[float, float]],
) -> None:
    inside = [(min(max(x, 0.0), WIDTH), min(max(y, 0.0), HEIGHT)) for x, y in corners]
    (ax, ay), (bx, by), (cx, cy) = inside
    exact = abs((bx - ax) * (cy - ay) - (cx - ax) * (by - ay)) / 2
    covered = coverage([polygon(*inside)], SIZE)
    assert covered.sum() == pytest.approx(exact, abs=1e-6)
    assert np.allclose(covered, coverage([polygon(*inside[::-1])], SIZE))


def test_what_lies_outside_does_not_count() -> None:
    assert rectangle(-10, -10, 12, 13).sum() == pytest.approx(2 * 3)
    assert not rectangle(WIDTH, 0, 5, 5).any()


def test_percent_follows_the_frame() -> None:
    (shape,) = parse.parse("half=50%,0,50%,100%").always
    assert coverage([shape], (10, 20)).sum() == 100
    assert coverage([shape], (4, 7)).sum() == 14


def test_a_hole_free_concave_polygon() -> None:
    shape = polygon((0, 0), (10, 0), (10, 10), (5, 5), (0, 10))
    assert coverage([shape], (12, 12)).sum() == pytest.approx(75)


def test_shares_rank_lift_and_peak() -> None:
    saliency = np.zeros((10, 10), np.float32)
    saliency[2, 3], saliency[8, 8] = 3, 1
    covers = {
        "top": coverage([box(*map(Length, (0, 0, 10, 5)))], (10, 10)),
        "corner": coverage([box(*map(Length, (8, 8, 1, 1)))], (10, 10)),
        "gone": np.zeros((10, 10)),
    }
    found = shares(saliency, covers)
    assert [found[name].share for name in covers] == [0.75, 0.25, 0]
    assert [found[name].rank for name in covers] == [1, 2, 3]
    assert found["corner"].lift == pytest.approx(25)
    assert found["corner"].peak == pytest.approx(1 / 3)
    assert (found["top"].peak_x, found["top"].peak_y) == (3, 2)
    assert found["top"].holds_maximum
    assert not found["corner"].holds_maximum
    assert found["gone"].lift is None


def write(path: Path, content: object) -> Path:
    text = content if isinstance(content, str) else json.dumps(content)
    path.write_text(text, "utf-8")
    return path


def test_own_json(tmp_path: Path) -> None:
    entries = [
        {"name": "logo", "box": [1, 2, "30%", 4.5]},
        {"name": "logo", "polygon": [[0, 0], [5, 0], ["10%", 5]]},
        {"name": "face", "frames": {"1": [0, 0, 5, 5], "0002": [5, 0, 5, 5]}},
    ]
    logo, face = parse.read(write(tmp_path / "areas.json", {"areas": entries}))
    assert (logo.name, len(logo.always)) == ("logo", 2)
    assert logo.always[0][1][0] == Length(1, 30)
    assert face.on(0, "0001")
    assert face.on(1, "0002")
    assert not face.on(2, "0003")


def test_csv_boxes_of_frames_by_number_or_label(tmp_path: Path) -> None:
    text = "name,frame,x,y,w,h,score\ncar,1,0,0,5,5,.9\ncar,1,20,0,5,5,.8\nbus,b,0,0,50%,5,\n"
    car, bus = parse.read(write(tmp_path / "boxes.csv", text))
    assert coverage(car.on(0, "0001"), SIZE).sum() == 50
    assert coverage(car.on(0, "photo"), SIZE).sum() == 50
    assert not car.on(1, "0002")
    assert bus.on(7, "b")


def test_coco_categories_are_areas(tmp_path: Path) -> None:
    document = {
        "categories": [{"id": 1, "name": "person"}, {"id": 2, "name": "ball"}],
        "images": [{"id": 7, "file_name": "clip/frame_0001.jpg"}, {"id": 8, "file_name": "x2.jpg"}],
        "annotations": [
            {"image_id": 7, "category_id": 1, "bbox": [0, 0, 10, 10]},
            {"image_id": 7, "category_id": 1, "bbox": [20, 0, 10, 10]},
            {"image_id": 8, "category_id": 2, "segmentation": [[0, 0, 10, 0, 0, 10]]},
        ],
    }
    person, ball = parse.read(write(tmp_path / "coco.json", document))
    assert coverage(person.on(0, "0001"), SIZE).sum() == 200
    assert not person.on(1, "0002")
    assert coverage(ball.on(1, "0002"), SIZE).sum() == pytest.approx(50)
    assert ball.on(4, "x2")
    alone = document | {
        "images": document["images"][:1],
        "annotations": document["annotations"][:1],
    }
    (person,) = parse.read(write(tmp_path / "one.json", alone))
    assert person == Area("person", person.always)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.json", "{", "not JSON: Expecting property name"),
        ("a.json", "[]", "neither a list 'areas' nor COCO's 'annotations'"),
        ("a.json", {"areas": []}, "has no areas"),
        ("a.json", {"areas": [{"box": [1, 2, 3, 4]}]}, "area 1: an area needs a name"),
        ("a.json", {"areas": [{"name": "x"}]}, "one of box, polygon, frames"),
        ("a.json", {"areas": [{"name": "x", "box": [1, 2, 3]}]}, "a box is four numbers"),
        ("a.json", {"areas": [{"name": "x", "box": [1, 2, 0, 4]}]}, "must be above 0"),
        ("a.json", {"areas": [{"name": "x", "box": [1, 2, 3, "wide"]}]}, "'wide' is neither"),
        ("a.json", {"areas": [{"name": "x", "box": [1, 2, 3, 1e999]}]}, "not a finite number"),
        ("a.json", {"areas": [{"name": "x", "polygon": [[1, 2], [3, 4]]}]}, "three corners"),
        ("a.json", {"areas": [{"name": "x", "bix": [1, 2, 3, 4]}]}, "and nothing else"),
        ("a.json", {"areas": ["x"]}, "area 1: must be an object"),
        ("a.json", {"annotations": [{}]}, "not COCO's format"),
        ("a.csv", "frame,name,x,y,width,height\n", "no column w, h"),
        ("a.csv", "", "no column frame, name, x, y, w, h"),
        ("a.csv", "frame,name,x,y,w,h\n1,a,0,0,,5\n", "line 2: '' is neither a number"),
        ("a.csv", "frame,name,x,y,w,h\n,a,0,0,5,5\n", "line 2: a frame must be its number"),
        ("a.csv", "frame,name,x,y,w,h\n", "has no areas"),
        ("a.json", b"\xff\xfe\x00", "is not UTF-8 text"),
    ],
)
def test_wrong_files_say_what_is_wrong(
    tmp_path: Path, name: str, content: object, message: str
) -> None:
    path = tmp_path / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        write(path, content)
    with pytest.raises(UsageError) as error:
        parse.read(path)
    assert message in str(error.value)
    assert name in str(error.value)


def test_run_length_masks_are_refused(tmp_path: Path) -> None:
    document = {
        "categories": [{"id": 1, "name": "person"}],
        "images": [{"id": 7, "file_name": "a.jpg"}],
        "annotations": [{"image_id": 7, "category_id": 1, "segmentation": {"counts": "x"}}],
    }
    with pytest.raises(UsageError, match="run-length masks are not supported; use polygons"):
        parse.read(write(tmp_path / "coco.json", document))


@pytest.mark.parametrize("text", ["1,2,3,4", "=1,2,3,4", "a=1,2,3", "a=1,2,3,x", "a=1,2,-3,4"])
def test_wrong_texts(text: str) -> None:
    with pytest.raises(UsageError, match="write NAME=X,Y,W,H"):
        parse.parse(text)
