"""A scoring that is killed goes on after the last recording that it finished."""

from __future__ import annotations

import json
import math
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from salcli.datasets.open import open_dataset
from salcli.models.loading import Loaded, load_model
from salcli.scale.scoring import cut, score_part
from salcli.scoring import predicted
from salcli.scoring.evaluate import FrameScores
from salcli.scoring.finished import FinishedRecordings, digest
from salcli.scoring.predicted import PredictedMaps
from salcli.scoring.run import score_sources
from salcli.scoring.selection import Selection, select_frames
from salcli.scoring.session import open_session
from salcli.scoring.sources import MapSource
from salcli.scoring.stored import StoredMaps
from salcli.terminal.progress import Watcher
from salcli.types import Frame

Run = Callable[..., CompletedProcess[str]]
Miniature = Callable[[str], Path]


def contents(folder: Path) -> dict[str, Any]:
    """All files of a report; of its JSON what is not a time."""
    found: dict[str, Any] = {path.name: path.read_bytes() for path in folder.iterdir()}
    document = json.loads(found.pop("scores.json"))
    assert document.pop("seconds") > 0
    return {**found, "scores.json": json.dumps(document)}


@pytest.mark.endurance
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_what_was_scored_before_a_kill_is_not_scored_again(
    salcli: Run, miniature: Miniature, fake_site: Path, tmp_path: Path
) -> None:
    words = ["score", "--data", "dhf1k", "--root", str(miniature("dhf1k")), "--split", "train"]
    words += ["-m", "brightness", "-O", "delay=0.03", "--metrics", "CC", "--baselines", "none"]
    journal = tmp_path / "killed" / "brightness" / "scores.part.jsonl"
    process = subprocess.Popen(
        [sys.executable, "-m", "salcli", *words, "-o", "killed"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(fake_site), "OMP_NUM_THREADS": "1"},
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 120
    while not journal.exists() or journal.read_bytes().count(b"\n") < 2:
        assert process.poll() is None, "it ended by itself"
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (journal.parent / "scores.json").exists()
    done = salcli(*words, "-o", "killed")
    assert done.returncode == 0, done.stderr
    assert re.search("brightness: [12] of 3 recordings are scored already", done.stderr)
    assert salcli(*words, "-o", "calm").returncode == 0
    expected = contents(tmp_path / "calm" / "brightness")
    assert contents(tmp_path / "killed" / "brightness") == expected
    assert not any("part" in name for name in expected)


@pytest.mark.endurance
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_a_scoring_that_is_killed_often_ends_as_one_that_is_not(
    salcli: Run, miniature: Miniature, fake_site: Path, tmp_path: Path
) -> None:
    words = ["score", "--data", "dhf1k", "--root", str(miniature("dhf1k")), "--split", "train"]
    words += ["-m", "brightness", "-O", "delay=0.05", "--baselines", "none"]

    def start() -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "salcli", *words, "-o", "killed"],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(fake_site), "OMP_NUM_THREADS": "1"},
            stderr=subprocess.DEVNULL,
        )

    began = time.monotonic()
    assert salcli(*words, "-o", "calm").returncode == 0
    seconds, chance, kills = time.monotonic() - began + 5, random.Random(0), 0
    for _ in range(25):
        process = start()
        time.sleep(chance.uniform(0, seconds))
        kills += process.poll() is None
        process.kill()
        process.wait()
        assert not list((tmp_path / "killed").rglob("scores.json")) or process.returncode == 0
        if process.returncode == 0:
            break
    done = salcli(*words, "-o", "killed", "--overwrite")
    assert done.returncode == 0, done.stderr
    assert kills > 2
    expected = contents(tmp_path / "calm" / "brightness")
    assert contents(tmp_path / "killed" / "brightness") == expected


class Impatient(Watcher):
    """Presses Ctrl-C after some frames."""

    def __init__(self, frames: float = math.inf) -> None:
        self.left, self.notes = frames, list[str]()

    def step(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt

    def note(self, line: str) -> None:
        self.notes.append(line)


def stored(folder: Path, root: Path, *, lacking: Sequence[str] = ()) -> Path:
    """Noise as maps of DHF1K's training clips, and one of no frame."""
    random = np.random.default_rng(0)
    for frame in sorted(root.glob("annotation/000?/images/*.png")):
        name = f"{frame.parent.parent.name}/{frame.name}"
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        if name not in lacking:
            Image.fromarray(random.integers(0, 255, (36, 48), np.uint8)).save(folder / name)
    Image.new("L", (48, 36)).save(folder / "0001" / "0099.png")
    return folder


def placed() -> Loaded:
    """A model whose maps depend on the place in the batch, more than those of others do."""
    loaded = load_model("brightness", batch_size=4)
    preprocess = loaded.model.preprocess

    def darkened(frames: Sequence[Frame]) -> Tensor:
        places = torch.arange(1, len(frames) + 1).view(-1, 1, 1, 1)
        return (preprocess(frames) * places / 8).sqrt()

    vars(loaded.model)["preprocess"] = darkened
    return loaded


@pytest.mark.parametrize(
    ("name", "split", "kind", "after", "known"),
    [
        ("dhf1k", "train", "stored", 25, 2),
        ("osie", "all", "predicted", 5, 6),
        ("clips", "all", "predicted", 10, 3),
    ],
)
@pytest.mark.usefixtures("fakes")
def test_the_report_is_as_if_nothing_had_happened(
    miniature: Miniature,
    tmp_path: Path,
    name: str,
    split: str,
    kind: str,
    after: int,
    known: int,
) -> None:
    root = miniature(name)
    maps = stored(tmp_path / "maps", root, lacking=("0001/0003.png",)) if kind == "stored" else None
    data = open_dataset("folder" if name == "clips" else name, [root])
    words: dict[str, Any] = {"protocol": "dhf1k", "metrics": ["s-AUC"]}
    session = open_session(data, split=split, baselines="full", **words)

    def source(watcher: Watcher) -> MapSource:
        return StoredMaps(maps) if maps else PredictedMaps(placed(), watcher)

    session.run(source(Impatient()), tmp_path / "calm", Impatient())
    stopped = Impatient(after)
    with pytest.raises(KeyboardInterrupt):
        session.run(source(stopped), tmp_path / "stopped", stopped)
    assert [path.name for path in (tmp_path / "stopped").iterdir()] == ["scores.part.jsonl"]
    again = Impatient()
    session.run(source(again), tmp_path / "stopped", again)
    assert f"{known} of {len(session.selection.recordings)} recordings are scored" in again.notes[0]
    assert contents(tmp_path / "stopped") == contents(tmp_path / "calm")


@pytest.mark.parametrize(("name", "count"), [("osie", 3), ("clips", 4)])
@pytest.mark.usefixtures("fakes")
def test_parts_that_are_scored_apart_make_the_same_report(
    miniature: Miniature, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, count: int
) -> None:
    monkeypatch.setattr(predicted, "PART", 3)
    data = open_dataset("folder" if name == "clips" else name, [miniature(name)])
    session = open_session(data, split="all", metrics=["CC"], baselines="full")
    source = PredictedMaps(placed(), Watcher())
    session.run(source, tmp_path / "calm", Watcher())

    ((folder, parts),) = cut(session, [source], [tmp_path / "brightness"]).items()
    stopped = Impatient(5)
    for part, watcher in [(parts[1], stopped), *((part, Watcher()) for part in reversed(parts))]:
        with suppress(KeyboardInterrupt):
            score_part(session, [source], part, watcher)
    score_sources(
        *(session, [source], tmp_path), overwrite=False, watcher=Watcher(), parts={folder: parts}
    )

    assert len(parts) == count
    assert contents(folder) == contents(tmp_path / "calm")


def finished(
    folder: Path, selection: Selection, settings: dict[str, Any], maps: Sequence[Path]
) -> FinishedRecordings:
    return FinishedRecordings(folder, selection, digest(selection, settings, maps))


@pytest.fixture
def selection(miniature: Miniature) -> Selection:
    return select_frames(open_dataset("dhf1k", [miniature("dhf1k")]), "train", limit=12, seed=1)


def rows(selection: Selection) -> list[FrameScores]:
    values = {"CC": 0.1, "NSS": math.inf, "IG": -math.inf}
    references = {"centre": {"CC": 1 / 3}}
    return [
        FrameScores(
            ref, values, "", references, {"8-bit": "why"}, "8-bit 1x1", "made", 2, [("a", "b", "c")]
        )
        for ref in selection.refs
    ]


def test_rows_come_back_as_they_were_and_half_a_line_is_left_out(
    selection: Selection, tmp_path: Path
) -> None:
    journal = finished(tmp_path, selection, {"seed": 1}, ())
    assert (journal.done, journal.total) == (0, 3)
    for row in rows(selection)[:-1]:  # the last recording is not finished
        journal.add(row)
    path = tmp_path / "scores.part.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole + whole.splitlines()[1][:50])
    again = finished(tmp_path, selection, {"seed": 1}, ())
    assert again.start == 2
    first = rows(selection)[: sum(map(len, selection.chosen[:2]))]
    assert json.dumps([vars(row) for row in again.rows()]) == json.dumps([vars(r) for r in first])
    for row in rows(selection):
        again.add(row)
    assert path.read_bytes().startswith(whole)
    assert finished(tmp_path, selection, {"seed": 1}, ()).start == 3
    again.remove()
    assert finished(tmp_path, selection, {"seed": 1}, ()).start == 0


def test_other_settings_and_changed_files_start_anew(selection: Selection, tmp_path: Path) -> None:
    map_ = tmp_path / "map.png"
    map_.write_bytes(b"one")
    settings = {"seed": 1, "sha256": "0a"}
    journal = finished(tmp_path, selection, settings, [map_])
    for row in rows(selection):
        journal.add(row)
    assert finished(tmp_path, selection, settings, [map_]).start == 3
    assert finished(tmp_path, selection, {**settings, "sha256": "0b"}, [map_]).start == 0
    assert finished(tmp_path, selection, settings, []).start == 0
    map_.write_bytes(b"other")
    assert finished(tmp_path, selection, settings, [map_]).start == 0
