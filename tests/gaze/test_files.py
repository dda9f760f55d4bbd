"""Files of fixations: damaged ones, other layouts, positions outside."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import savemat

from salcli.errors import InputError
from salcli.gaze import groundtruth
from salcli.gaze.files import count_frames, read_matrix
from salcli.types import Annotation

SIZE = (30, 40)


def read(path: Path, index: int | None = None) -> groundtruth.Fixations:
    return groundtruth.read_fixations(Annotation("a", fixations=path, index=index), SIZE)


def test_positions_outside_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "fixations.json"
    path.write_text(json.dumps([[[0, 0], [29, 39], [30, 5], [5, 40], [-1, 2]], []]))
    found = read(path, 0)
    assert found.points.tolist() == [[0.5, 0.5], [39.5, 29.5]]
    assert found.observers.tolist() == [-1, -1]
    assert found.outside == 3
    assert len(read(path, 1).points) == 0
    assert count_frames(path) == 2


def test_a_frame_beyond_the_end_is_told(tmp_path: Path) -> None:
    path = tmp_path / "fixations.json"
    path.write_text("[[]]")
    with pytest.raises(InputError, match=r"has 1 frames, none at position 1"):
        read(path, 1)
    with pytest.raises(InputError, match="none at position None"):
        read(path)


@pytest.mark.parametrize("text", ["", "{", '{"a": 1}', "[1, 2]", "[[[1, 2, 3]]]", '[["a", "b"]]'])
def test_damaged_json_is_told(tmp_path: Path, text: str) -> None:
    path = tmp_path / "fixations.json"
    path.write_text(text)
    with pytest.raises(InputError, match=r"fixations\.json' is not a list of the fixations"):
        read(path, 0)


TABLE = """onset	duration	y	x	observer	frame
0.1	0.2	3.5	2	anna	1
0.4	0.2	40	2	ben	1

0.7	0.1	7	8.25	ben	3
0.9	0.1	1	1	anna	3
"""


@pytest.mark.parametrize("separator", ["\t", ",", ";"])
def test_a_table_has_the_fixations_of_each_frame(tmp_path: Path, separator: str) -> None:
    path = tmp_path / "clip.csv"
    path.write_text("\ufeff" + TABLE.replace("\t", separator), "utf-8")

    first = read(path, 0)
    assert first.points.tolist() == [[2.0, 3.5]]
    assert (first.observers.tolist(), first.outside) == ([0], 1)
    assert len(read(path, 1).points) == 0
    assert read(path, 2).points.tolist() == [[8.25, 7.0], [1.0, 1.0]]
    assert read(path, 2).observers.tolist() == [1, 0]
    assert len(read(path, 99).points) == 0
    assert len(read(path).points) == 3  # of a still all


def test_a_table_without_observers_and_frames_is_of_a_still(tmp_path: Path) -> None:
    path = tmp_path / "still.tsv"
    path.write_text("X\tY\n1\t2\n")

    assert read(path).points.tolist() == [[1.0, 2.0]]
    assert read(path).observers.tolist() == [-1]
    with pytest.raises(InputError, match="a clip's table needs the column 'frame'"):
        read(path, 0)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no column x, y; the first line names onset"),
        ("x,z\n1,2\n", "no column y"),
        ("x,y\n1\n", "line 2 has 1 columns, not 2"),
        ("x,y\n1,right\n", "could not convert"),
        ("x,y\n1,nan\n", "not a finite number"),
        ("x,y,frame\n1,2,0\n", "frames are whole numbers from 1"),
        ("x,y,frame\n1,2,inf\n", "frames are whole numbers from 1"),
        ("x,y\n\udce9,1\n", "can't decode"),
    ],
)
def test_what_is_no_table_of_fixations_is_told(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(InputError, match=words):
        read(path, 0)


def events(tmp_path: Path, *texts: str, name: str = "clip_40x30") -> Path:
    folder = tmp_path / name / "event_data"
    folder.mkdir(parents=True)
    for number, text in enumerate(texts):
        (folder / f"{number}.txt").write_text(text)
    return folder


def test_events_without_a_position_are_no_fixations(tmp_path: Path) -> None:
    rows = ["1 640 480 9 1 640 480 9 1", "2 NaN NaN 0 1 NaN NaN 0 1", "3 640 480 9 0 640 480 9 1"]
    folder = events(tmp_path, "\n".join(rows))
    assert [len(read(folder, i).points) for i in range(3)] == [1, 0, 0]
    assert read(folder, 0).points.tolist() == [[20, 15]]  # the middle of the display and the video


@pytest.mark.parametrize(
    ("texts", "name", "message"),
    [
        ((), "clip_40x30", "holds no event files"),
        (("1 2 3\n",), "clip_40x30", "has 3 columns"),
        (("one two\n",), "clip_40x30", "is not a table of gaze events"),
        (("1 2 3 4 1 6 7 8 1\n1 2\n",), "clip_40x30", "is not a table of gaze events"),
        (("1 2 3 4 1 6 7 8 1\n",), "clip", "does not end in the size"),
    ],
)
def test_damaged_events_are_told(
    tmp_path: Path, texts: tuple[str, ...], name: str, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        read(events(tmp_path, *texts, name=name), 0)


def test_a_matrix_is_a_binary_map(tmp_path: Path) -> None:
    marked = np.zeros((60, 80), np.uint8)
    marked[10, 20] = marked[59, 79] = 1
    savemat(tmp_path / "a.mat", {"I": marked})
    assert read(tmp_path / "a.mat").points.tolist() == [[10.25, 5.25], [39.75, 29.75]]
    assert read_matrix(tmp_path / "a.mat").sum() == 2


@pytest.mark.parametrize("content", [{}, {"I": np.eye(3), "J": np.eye(3)}, {"name": "I"}])
def test_other_matrices_are_refused(tmp_path: Path, content: dict[str, Any]) -> None:
    savemat(tmp_path / "a.mat", content)
    with pytest.raises(InputError, match=r"a\.mat"):
        read(tmp_path / "a.mat")
    with pytest.raises(InputError, match=r"a\.mat' holds \d matrices"):
        read_matrix(tmp_path / "a.mat")
