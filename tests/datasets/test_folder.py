"""The layout `folder`: what belongs together, what validates, what is refused."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from salcli.datasets.folder import FolderOptions, open_folder
from salcli.datasets.holdout import HoldOut
from salcli.errors import InputError, UsageError


def make(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def images(root: Path, count: int) -> Path:
    for number in range(count):
        make(root, f"images/{number}.jpg", f"maps/{number}.png")
    return root


def test_files_of_one_stem_belong_together(tmp_path: Path) -> None:
    root = make(
        tmp_path / "mine",
        *("images/a.jpg", "maps/a.png", "fixations/a.mat", "fixations/a.png"),
        *("images/b.PNG", "maps/b.png"),
        *("images/c.jpeg", "fixations/c.png"),
        *("images/._a.jpg", "images/notes.txt", "maps/stray.png"),
    )
    found = open_folder([root], FolderOptions("9:8")).recordings("train")
    assert [recording.name for recording in found] == ["mine/a", "mine/b", "mine/c"]
    first, second, third = (recording.annotations[0] for recording in found)
    assert first.density == root / "maps/a.png"
    assert first.fixations == root / "fixations/a.mat"
    assert (second.density, second.fixations) == (root / "maps/b.png", None)
    assert (third.density, third.fixations) == (None, root / "fixations/c.png")
    assert {recording.group for recording in found} == {"mine"}


def test_positions_count_in_natural_order_in_each_root(tmp_path: Path) -> None:
    roots = [images(tmp_path / "one", 12), images(tmp_path / "two", 5)]
    data = open_folder(roots, FolderOptions("4:2"))
    valid = [recording.name for recording in data.recordings("valid")]
    assert valid == ["one/2", "one/6", "one/10", "two/2"]
    assert len(data.recordings("train")) == 13
    assert data.recordings("train")[2].name == "one/3"


def test_roots_of_one_name_are_told_apart(tmp_path: Path) -> None:
    roots = [images(tmp_path / "x" / "data", 2), images(tmp_path / "y" / "data", 2)]
    data = open_folder([*roots, roots[0]], FolderOptions("2"))
    both = [*data.recordings("train"), *data.recordings("valid")]
    assert len({recording.name for recording in both}) == len(both) == 4
    assert {recording.group for recording in both} == {str(root) for root in roots}


def test_the_current_folder_has_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(images(tmp_path / "here", 2))
    assert open_folder([Path()], FolderOptions("2")).recordings("train")[0].group == "here"


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ((), "no folder 'images'"),
        (("images/notes.txt",), "holds no images"),
        (("images/a.jpg",), "a.jpg' has neither a map nor fixations"),
        (("images/a.jpg", "images/a.png", "maps/a.png"), r"'a\.png' would share one map"),
    ],
)
def test_incomplete_data_is_refused(tmp_path: Path, names: tuple[str, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        open_folder([make(tmp_path / "bad", *names)], FolderOptions("2")).recordings("all")


@given(st.integers(2, 50).flatmap(lambda e: st.tuples(st.just(e), st.integers(0, e - 1))))
def test_hold_out_keeps_one_of_so_many(rule: tuple[int, int]) -> None:
    every, first = rule
    parsed = HoldOut.parse(f"{every}:{first}")
    assert [i for i in range(3 * every) if parsed.holds(i)] == [first + k * every for k in range(3)]
    assert HoldOut.parse(str(every)) == HoldOut(every, 0)


@pytest.mark.parametrize("text", ["", "x", "1", "0", "-3", "4:4", "4:-1", "4:x", "4.5"])
def test_impossible_hold_out_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="hold-out"):
        HoldOut.parse(text)
