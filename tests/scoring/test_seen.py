"""What makes scores better than they are: training data among the scored ones, and chance."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from dataclasses import asdict
from importlib import resources
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import jsonschema
import msgspec
import numpy as np
import pytest

from salcli.datasets.open import open_dataset
from salcli.files.checkpoint import Checkpoint
from salcli.models.loading import _trained_on
from salcli.plugins import registry
from salcli.scoring.seen import find_seen
from salcli.scoring.selection import select_frames
from salcli.scoring.shape import ScoresDocument
from salcli.specs import ModelSpec, TrainedOn, Weights, resolve

Run = Callable[..., CompletedProcess[str]]
Miniature = Callable[[str], Path]
Read = Callable[[Path], dict[str, Any]]
Table = Callable[[Path], list[dict[str, str]]]

OSIE = TrainedOn("osie", ("train",), ("valid",))
SCHEMA = "schemas/scores-1.schema.json"


@pytest.mark.parametrize(
    ("split", "trained_on", "expected"),
    [
        ("all", OSIE, (10, 1)),
        ("train", OSIE, (10, 0)),
        ("valid", OSIE, (0, 1)),
        ("test", OSIE, (0, 0)),
        ("test", TrainedOn("osie"), (None, None)),
        ("test", TrainedOn("osie", ("train",), edition="fold 0"), (None, None)),
        ("all", TrainedOn("osie", ("train",), groups=("mine",)), (0, 0)),
        ("all", TrainedOn("salicon"), (0, 0)),
    ],
)
def test_scored_recordings_are_compared_with_the_splits_of_the_training(
    osie: Path, split: str, trained_on: TrainedOn, expected: tuple[Any, Any]
) -> None:
    for path in [*osie.glob("*/1004.*")]:
        path.rename(path.with_stem("1008"))  # of the split `test`
    data = open_dataset("osie", [osie])
    seen = find_seen([trained_on], select_frames(data, split, limit=None, seed=0))

    assert (seen.trained, seen.chosen_by) == expected
    assert bool(seen.warnings("osie")) == (expected != (0, 0))


def test_only_recordings_that_are_scored_count(miniature: Miniature) -> None:
    data = open_dataset("osie", [miniature("osie")])
    seen = find_seen([OSIE], select_frames(data, "train", limit=3, seed=0))

    assert (seen.trained, seen.scored) == (3, 3)


def test_the_splits_in_rows_of_weights_are_those_of_their_datasets(tmp_path: Path) -> None:
    rows = [row for spec in registry.models().values() for row in spec.weights]
    known = [each for row in rows for each in row.trained_on if each.data in registry.datasets()]

    for each in known:
        spec = registry.dataset(each.data)
        options = resolve(spec.options)() if spec.options else None
        data = resolve(spec.factory)([tmp_path], options)
        assert {*each.splits, *each.chosen_by} <= {*data.splits}
        assert data.edition.startswith(each.edition)
    assert {"osie", "dhf1k", "salicon", "mit1003", "diem"} <= {each.data for each in known}


def test_weights_that_salcli_trained_say_on_what() -> None:
    before = Weights("old", filename="old.pth", trained_on=(TrainedOn("salicon"),))
    spec = ModelSpec("m", "", "m:M", weights=(before,))
    data = {"layout": ["folder"], "edition": [""], "roots": ["mine", ""], "options": []}

    def found(**metadata: Any) -> tuple[TrainedOn, ...]:
        return _trained_on(spec, Checkpoint({}, Path("a"), metadata))

    mine = TrainedOn("folder", ("train",), ("valid",), groups=("mine",))
    assert found(data=data, start=None) == (mine,)
    assert found(data=data, start="old.pth") == (TrainedOn("salicon"), mine)
    held = {**data, "options": ["hold_out=4"]}
    assert found(data=held) == (TrainedOn("folder", groups=("mine",)),)
    assert found(data={"layout": 3}) == found() == ()


def test_stored_maps_are_scored_by_what_the_record_beside_them_says(
    salcli: Run, osie: Path, tmp_path: Path, read: Read
) -> None:
    data = ("--data", "osie", "--root", osie, "--metrics", "CC", "--baselines", "none")
    done = salcli("predict", osie / "images", "-m", "centre", "-o", "maps", "--save", "npy")
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "maps" / "images"
    record = json.loads((folder / "salcli.json").read_text())
    assert (record["rounding"], record["trained_on"]) == ("nearest", [])
    done = salcli("score", *data, "--predictions", folder)
    assert "warning" not in done.stderr + done.stdout
    nearest = read(tmp_path / "scores" / "images")
    record |= {"model": "x:y", "rounding": "floor", "trained_on": [asdict(OSIE)]}
    (folder / "salcli.json").write_text(json.dumps(record))

    done = salcli("score", *data, "--predictions", folder, "--overwrite")

    assert done.returncode == 0, done.stderr
    floor = read(tmp_path / "scores" / "images")
    for line in floor["warnings"]:
        assert f"salcli: warning: images: {line}" in done.stderr
        assert f"warning: {line}" in (tmp_path / "scores" / "images" / "scores.md").read_text()
    assert re.search(r"trained on 10 of the 12 scored .*\(osie \(train", floor["warnings"][0])
    assert floor["training data"] == {
        "of the weights": [json.loads(json.dumps(asdict(OSIE)))],
        "recordings trained on": 10,
        "recordings that chose the epoch": 2,
    }
    assert floor["predictions"]["made by"] == ["x:y"]
    assert floor["predictions"]["rounding to 8 bit"]["rule"] == "floor"
    assert nearest["predictions"]["rounding to 8 bit"]["rule"] == "nearest"
    assert floor["scores"]["CC"] != nearest["scores"]["CC"]


def test_the_random_spread_is_that_of_two_draws(
    salcli: Run, miniature: Miniature, tmp_path: Path, read: Read, table: Table
) -> None:
    names = ["AUC-Judd", "AUC-Borji", "s-AUC"]
    data = ("--data", "osie", "--root", miniature("osie"), "--model", "brightness")
    rest = ("--baselines", "none", "--metrics", f"NSS,{','.join(names)}")
    for seed in ("0", "1"):
        done = salcli("score", *data, *rest, "--seed", seed, "-o", seed)
        assert done.returncode == 0, done.stderr

    found = read(tmp_path / "0" / "brightness")
    rows = [table(tmp_path / seed / "brightness" / "scores.csv") for seed in ("0", "1")]
    assert list(found["random spread"]) == names
    for name in names:
        pairs = [(float(a[name]), float(b[name])) for a, b in zip(*rows, strict=True) if a[name]]
        changes = np.diff(pairs, axis=1)
        spread = math.sqrt((changes**2).mean() / 2)
        assert found["random spread"][name]["of a frame"] == pytest.approx(spread, rel=1e-9)
        of_mean = spread / math.sqrt(len(pairs))
        assert found["random spread"][name]["of the mean"] == pytest.approx(of_mean, rel=1e-9)
    assert found["random spread"]["s-AUC"]["of a frame"] > 1e-3
    assert re.search(r"random numbers move the means by about: .*s-AUC \d", done.stdout)


def test_reports_follow_their_schema(
    salcli: Run, miniature: Miniature, tmp_path: Path, read: Read
) -> None:
    schema = json.loads((resources.files("salcli") / SCHEMA).read_text("utf-8"))
    generated = json.loads(json.dumps(msgspec.json.schema(ScoresDocument)))
    assert {key: schema[key] for key in generated} == generated, "write the schema anew"
    done = salcli("score", "--data", "dhf1k", "--root", miniature("dhf1k"), "--model", "brightness")
    assert done.returncode == 0, done.stderr

    document = read(tmp_path / "scores" / "brightness")

    jsonschema.validate(document, schema)
    assert document.keys() == ScoresDocument.__annotations__.keys()
    for key, wrong in (("scores", []), ("dataset", {}), ("warnings", [1])):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({**document, key: wrong}, schema)
