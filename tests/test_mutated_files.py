"""Files that salcli wrote and somebody changed: read as valid, or told as what they are."""

import copy
import json
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

import salcli
from salcli.areas import parse
from salcli.errors import SalcliError
from salcli.files import checkpoint
from salcli.models.loading import _trained_on
from salcli.prediction.manifest import OutputPaths
from salcli.scoring import write
from salcli.scoring.origin import origin_of
from salcli.specs import ModelSpec, Weights
from salcli.weights.ranges import PartialDownload, note_path, was_continued
from salcli.weights.verify import Receipt, expected_hash

FEW = settings(
    max_examples=60,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

DEEP = "[" * 100_000 + "]" * 100_000
DEEP_MARK = "deep"

VALUES = st.one_of(
    st.none() | st.booleans() | st.integers(-2, 9) | st.text(max_size=3),
    st.sampled_from([10**400, -1, 1e308, float("nan"), float("inf"), "\ud800", "../x", [[[]]], {}]),
    st.just(DEEP_MARK),
    st.lists(st.integers(0, 3) | st.text(max_size=2), max_size=3),
    st.dictionaries(st.text(max_size=2), st.none() | st.integers(0, 3), max_size=2),
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a document."""
    found = [path]
    if isinstance(value, dict):
        found += [place for key in value for place in places(value[key], (*path, key))]
    elif isinstance(value, list):
        found += [place for n, each in enumerate(value) for place in places(each, (*path, n))]
    return found


@st.composite
def mutated(draw: st.DrawFn, document: Any) -> str:
    """The text of a document in which a few places were changed or removed, or the text was."""
    changed = copy.deepcopy(document)
    for _ in range(draw(st.integers(1, 3))):
        *way, last = draw(st.sampled_from(places(changed)[1:] or [("x",)]))
        holder = changed
        for key in way:
            holder = holder[key]
        if draw(st.booleans()) or isinstance(holder, list):
            holder[last] = draw(VALUES)
        else:
            holder.pop(last, None)
    text = json.dumps(changed).replace(f'"{DEEP_MARK}"', DEEP)
    if draw(st.integers(0, 4)) == 0:
        text = text[: draw(st.integers(0, len(text)))]
    return text


def document() -> dict[str, Any]:
    """A short `scores.json`."""
    interval = {"mean": 0.5, "low": 0.4, "high": 0.6}
    metric = {"images": interval, "undefined": 0, "higher is better": True}
    dataset = {
        **{"name": "osie", "edition": "", "split": "all", "recordings": 2, "frames": 2},
        **{"recordings scored": 2, "frames chosen": 2, "frames scored": 2, "problems": []},
        "sha256 of the names of the frames chosen": "ab",
    }
    protocol = {
        **{"name": "mit", "version": "1", "summary": "", "source": "", "averaging": ["frames"]},
        **{"limit": None, "preparation": {}, "negatives": None, "seed": 0, "left out": {}},
        "metrics": {"CC": {"random": False}},
    }
    video = {"group": "", "frames": 1, "means": {"CC": 0.5}, "defined": {"CC": 1}}
    return {
        **{"format": "salcli-scores", "version": 1, "name": "a", "dataset": dataset},
        "predictions": {"kind": "model", "model": "a"},
        "ground truth": {
            **{"density": {"read from files": 2}, "kernel": {"name": "mit"}},
            **{"fixations outside their frame": 0, "information gain against": None},
        },
        "protocol": protocol,
        "bootstrap": {"level": 0.95, "draws": 2000, "over": "images", "seed": 0},
        "scores": {"CC": metric},
        **{"groups": {}, "baselines": {}, "skipped": [], "notes": [], "versions": {}, "seconds": 1},
        "videos": [{"name": "a", **video}, {"name": "b", **video}],
    }


@FEW
@given(text=mutated(document()))
def test_scores(tmp_path: Path, text: str) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for folder, content in ((first, json.dumps(document())), (second, text)):
        folder.mkdir(exist_ok=True)
        (folder / "scores.json").write_text(content)

    with suppress(SalcliError):
        for each in salcli.compare([first, second], fail_below=["-0.1"]):
            json.dumps(each.document())
    with suppress(SalcliError):
        write.check_free(second, {"dataset": "osie"})


def test_scores_that_are_whole_are_compared(tmp_path: Path) -> None:
    (tmp_path / "scores.json").write_text(json.dumps(document()))

    (found,) = salcli.compare([tmp_path, tmp_path])

    assert found.over == "2 images"


RECORD = {
    "settings": {"model": "centre"},
    **{"model": "centre", "rounding": "nearest", "formats": ["png"], "kind": "stills"},
    **{"frames": 1, "labels": ["a"], "extras": [], "problems": [], "single": False},
    "files": {"a.png": 3},
    "trained_on": [{"data": "osie", "splits": ["train"]}],
}


@FEW
@given(text=mutated(RECORD))
def test_records(tmp_path: Path, text: str) -> None:
    place = OutputPaths(tmp_path, "maps")
    place.folder.mkdir(exist_ok=True)
    place.record_file(single=False).write_text(text)

    origin_of(place.folder)
    record = place.read(single=False)
    assert not record or all(file.parent == place.folder for file in place.files(record))


def test_records_that_are_whole_are_read(tmp_path: Path) -> None:
    OutputPaths(tmp_path, "maps").write(RECORD)

    assert OutputPaths(tmp_path, "maps").read(single=False) == RECORD


AREAS = {
    "areas": [{"name": "a", "box": [1, 2, 3, 4]}, {"name": "b", "frames": {"1": [1, 2, 3, 4]}}]
}
COCO = {
    "images": [{"id": 1, "file_name": "a1.png"}, {"id": 2, "file_name": "a2.png"}],
    "categories": [{"id": 7, "name": "button"}],
    "annotations": [
        {"id": 3, "image_id": 1, "category_id": 7, "bbox": [1, 2, 3, 4]},
        {"id": 4, "image_id": 2, "category_id": 7, "segmentation": [[1, 1, 5, 1, 5, 5]]},
    ],
}


@FEW
@given(text=mutated(AREAS) | mutated(COCO))
def test_areas(tmp_path: Path, text: str) -> None:
    path = tmp_path / "areas.json"
    path.write_text(text)

    with suppress(SalcliError):
        assert parse.read(path)


ROW = Weights("t", urls=("https://x/w.pth",), filename="w.pth")
NOTE = {"link": "https://x/w.pth", "validator": '"tag"', "total": 10, "continued": True}


@FEW
@given(text=mutated({"hash": "sha256:00", "size": 3, "mtime_ns": 5}), note=mutated(NOTE))
def test_receipts_and_notes_of_downloads(tmp_path: Path, text: str, note: str) -> None:
    path = tmp_path / "w.pth"
    path.write_bytes(b"abc")
    Receipt.path(path).write_text(text)
    note_path(path).write_text(note)

    receipt = Receipt.read(path)
    if receipt:
        receipt.fits(path)
    expected_hash(path, ROW)
    was_continued(path)
    begun = PartialDownload.read(path, "https://x/w.pth")
    assert all(value.isascii() for value in begun.headers().values())
    assert begun == replace(begun, offset=3) or not begun.offset


METADATA = {
    "options": {"gain": 1.0},
    "start": "w.pth",
    "data": {"layout": ["osie"], "edition": [""], "roots": [""], "options": []},
}
SPEC = ModelSpec("m", "", "m:M", weights=(ROW,))


@FEW
@given(text=mutated(METADATA))
def test_metadata_of_weights(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.safetensors"
    save_file({"a": torch.zeros(1)}, path, {"salcli": text})

    with suppress(SalcliError):
        saved = checkpoint.read(path)
        dict(saved.options)
        _trained_on(SPEC, saved)


def test_what_is_nested_too_deeply_is_told(tmp_path: Path) -> None:
    (tmp_path / "scores.json").write_text(DEEP)

    with pytest.raises(salcli.InputError, match="nested too deeply"):
        salcli.compare([tmp_path, tmp_path])
