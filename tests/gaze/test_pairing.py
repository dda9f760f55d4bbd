"""Which file belongs to which frame: one set of rules, for all that pairs by names."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from salcli.datasets.folder import FolderOptions, open_folder
from salcli.gaze.pairing import FileNames, annotate, pair

Run = Callable[..., CompletedProcess[str]]
Miniature = Callable[[str], Path]


def paired(frames: list[str], *files: str) -> dict[str, str]:
    return pair(frames, {file: file for file in files})


@pytest.mark.parametrize(
    ("frame", "file"),
    [
        ("im_1", "im_1"),
        ("im_1", "im_1_fixMap"),
        ("im_1", "im_1_FIXMAP"),
        ("im_1", "im_1_fixPts"),
        ("im_1", "im_1_fixation"),
        ("1", "0001"),
        ("0001", "1_fixMap"),
        ("img_00001", "eyeMap_00001"),
        ("photo_007", "map7"),
        ("scene", "scene"),
    ],
)
def test_names_that_belong_together(frame: str, file: str) -> None:
    assert paired([frame, "other"], file, "unrelated") == {frame: file}


@pytest.mark.parametrize("file", ["im_10", "im_1_smooth2", "im", "_fixMap", "Im_x"])
def test_names_that_do_not(file: str) -> None:
    assert paired(["im_1"], file) == {}


def test_the_nearer_name_counts() -> None:
    assert paired(["1"], "map_1", "0001", "1_fixMap", "1") == {"1": "1"}
    assert paired(["1"], "map_1", "0001", "1_fixMap") == {"1": "1_fixMap"}
    assert paired(["1"], "map_1", "0001") == {"1": "0001"}
    assert paired(["1"], "map_1") == {"1": "map_1"}


def test_numbers_decide_only_where_they_tell_files_and_frames_apart() -> None:
    assert paired(["a_1", "a_2"], "m_1", "m_2") == {"a_1": "m_1", "a_2": "m_2"}
    assert paired(["a_1", "b_1", "c_2"], "m_1", "m_2") == {"c_2": "m_2"}
    # what lies beside a map, such as its overlay, stands in for no map that is missing
    assert paired(["a_1", "a_2"], "a_1", "a_1_overlay", "a_2_overlay") == {"a_1": "a_1"}
    assert FileNames({"a2": 1, "b2": 2}).find("0002") is None


def test_files_that_stand_for_nothing_false_are_found() -> None:
    assert pair(["a", "b"], {"a": 0, "b": 1}) == {"a": 0, "b": 1}


@given(st.lists(st.text("ab_019", min_size=1), unique=True), st.data())
def test_order_and_strangers_make_no_difference(names: list[str], data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(names))
    assert paired(names, *shuffled, "stranger") == {name: name for name in names}


def test_fixations_among_the_maps_count_after_those_of_their_own() -> None:
    maps = {stem: Path(f"{stem}.jpg") for stem in ("a_fixMap", "a_fixPts", "b_fixMap", "b_fixPts")}
    found = annotate(["a", "b", "c"], maps=maps, fixations={"b": Path("b.mat")})
    assert (found["a"].density, found["a"].fixations) == (maps["a_fixMap"], maps["a_fixPts"])
    assert (found["b"].density, found["b"].fixations) == (maps["b_fixMap"], Path("b.mat"))
    assert (found["c"].density, found["c"].fixations, found["c"].label) == (None, None, "c")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Four images whose maps end in `_fixMap`, and whose fixations are numbered only."""
    random = np.random.default_rng(0)
    for number in range(1, 5):
        picture = random.integers(0, 256, (36, 48, 3), dtype=np.uint8)
        looked = (picture[..., 0] > 250).astype(np.uint8) * 255
        for name, content in (
            (f"images/im_{number}.png", picture),
            (f"maps/im_{number}_fixMap.png", picture.mean(axis=2).astype(np.uint8)),
            (f"fixations/{number:04d}.png", looked),
        ):
            path = tmp_path / "mine" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(content).save(path)
    return tmp_path / "mine"


def test_what_is_shown_is_scored_and_trained_on(salcli: Run, root: Path, tmp_path: Path) -> None:
    """One folder, three commands that pair its files alike."""
    shown = salcli("visualize", root, "-m", "brightness", "--json")
    assert shown.returncode == 0, shown.stderr
    (entry,) = json.loads(shown.stdout)["inputs"]
    assert entry["problems"] == []
    assert all(score["CC"] > 0.9 and score["NSS"] is not None for score in entry["scores"])

    data = ("--data", "folder", "--root", root)
    words = ("--metrics", "CC,NSS", "--baselines", "none")
    scored = salcli("score", *data, *words, "-m", "brightness")
    assert scored.returncode == 0, scored.stderr
    report = json.loads((tmp_path / "scores/brightness/scores.json").read_text())
    for metric in ("CC", "NSS"):
        mean = np.mean([score[metric] for score in entry["scores"]])
        assert report["scores"][metric]["images"]["mean"] == pytest.approx(mean, abs=0.02)

    split = open_folder([root], FolderOptions("4"))
    found = [r.annotations[0] for r in (*split.recordings("train"), *split.recordings("valid"))]
    assert len(found) == 4
    for annotation in found:
        number = int(annotation.label[-1])
        assert annotation.density == root / f"maps/im_{number}_fixMap.png"
        assert annotation.fixations == root / f"fixations/{number:04d}.png"


def test_clips_and_their_frames_are_paired_alike(tmp_path: Path) -> None:
    root = tmp_path / "clips"
    for path in ("images/7/img_1.png", "maps/0007/map_01.png", "fixation/7/0001_fixPts.png"):
        (root / path).parent.mkdir(parents=True)
        (root / path).touch()
    (recording,) = open_folder([root], FolderOptions("2")).recordings("all")
    (annotation,) = recording.annotations
    assert annotation.label == "img_1"
    assert annotation.density == root / "maps/0007/map_01.png"
    assert annotation.fixations == root / "fixation/7/0001_fixPts.png"


def test_predictions_are_found_by_the_same_rules_to_be_scored_and_packed(
    salcli: Run, miniature: Miniature, tmp_path: Path
) -> None:
    root = miniature("dhf1k")
    for video, count in (("0601", 8), ("0602", 7), ("0701", 6)):
        folder = tmp_path / "maps" / f"video_{int(video)}"
        folder.mkdir(parents=True)
        for frame in range(1, count + 1):
            source = root / "annotation" / video / "images" / f"{frame:04d}.png"
            Image.open(source).convert("L").save(folder / f"mine_{frame}.png")
    data = ("--root", root)
    words = ("--metrics", "CC", "--baselines", "none", "--predictions", "maps")
    done = salcli("score", "--data", "dhf1k", *data, *words)
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "scores/maps/scores.json").read_text())
    assert report["predictions"]["formats"] == {"png": 15}
    shutil.rmtree(tmp_path / "maps" / "video_601")
    done = salcli("datasets", "pack", "dhf1k", "maps", *data, "-o", "mine.zip")
    assert done.returncode == 0, done.stderr
