"""Learning curves: as a picture, and for TensorBoard where it is installed."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from salcli.training.curves import draw, points

from .conftest import log_of

Run = Callable[..., subprocess.CompletedProcess[str]]


def test_curves_are_drawn_from_the_log(tmp_path: Path) -> None:
    place = {"epoch": 1, "epochs": 2, "step": 5, "steps": 10, "rate": 0.1, "losses": {"kld": 2.0}}
    place["sources"] = {"salicon": {"kld": 2.0}}
    scored = {"epoch": 1, "epochs": 2, "validation": {"all": {"CC": 0.5}}, "best": True}
    assert [*points(place), *points(scored)] == [
        ("rate", 1.5, 0.1),
        ("training/kld", 1.5, 2.0),
        ("sources/salicon/kld", 1.5, 2.0),
        ("validation/all/CC", 2, 0.5),
    ]
    (tmp_path / "log.jsonl").write_text(json.dumps(place) + "\n" + json.dumps(scored) + "\n")
    draw(tmp_path)
    with Image.open(tmp_path / "curves.png") as picture:
        before = picture.size
    start = {"epoch": -1, "epochs": 2, "validation": {"all": {"CC": 0.4, "NSS": 1.0}}, "best": True}
    assert next(points(start)) == ("validation/all/CC", 0, 0.4)
    with (tmp_path / "log.jsonl").open("a") as log:
        log.write(json.dumps(start) + "\n")
    draw(tmp_path)
    with Image.open(tmp_path / "curves.png") as picture:
        assert picture.size == (before[0], before[1] + 200)  # a panel for NSS


@pytest.fixture
def trained(little: None, salcli: Run, stills: Path, tmp_path: Path) -> Callable[[], Path]:
    def train() -> Path:
        words = ("train", "--model", "tiny", "--root", stills, "--hold-out", "4", "--epochs", "2")
        done = salcli(*words, "--device", "cpu", "--workers", "0", "-o", tmp_path / "run")
        assert done.returncode == 0, done.stderr
        return tmp_path / "run"

    return train


def test_tensorboard_reads_what_the_log_says(trained: Callable[[], Path]) -> None:
    run = trained()
    events = EventAccumulator(str(run / "tensorboard")).Reload()
    expected: dict[str, list[tuple[int, float]]] = {}
    for line in log_of(run):
        for name, epochs, value in points(line):
            expected.setdefault(name, []).append((round(1000 * epochs), value))
    assert set(events.Tags()["scalars"]) == set(expected)
    assert {"rate", "training/kld", "validation/all/CC"} <= set(expected)
    for name, values in expected.items():
        found = [(event.step, event.value) for event in events.Scalars(name)]
        assert [step for step, _ in found] == [step for step, _ in values]
        assert [v for _, v in found] == pytest.approx([v for _, v in values], rel=1e-6)


def test_without_tensorboard_nothing_breaks(
    trained: Callable[[], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith("torch.utils.tensorboard")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "tensorboard", None)  # what import finds of it: nothing
    run = trained()
    assert (run / "curves.png").exists()
    assert not (run / "tensorboard").exists()
