"""The run itself: what is in memory, and in which order things come."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from salcli.baselines import CentreOptions
from salcli.datasets.open import open_dataset
from salcli.gaze import kernels
from salcli.protocols import protocol
from salcli.protocols.scorer import Scorer
from salcli.scoring import evaluate
from salcli.scoring.incidents import Problems
from salcli.scoring.results import Results
from salcli.scoring.selection import Selection, draw_up
from salcli.scoring.sources import FrameMap
from salcli.scoring.truths import GroundTruthReader, sigma_of

Miniature = Callable[[str], Path]


class Counting:
    """Noise for each frame; counts how many were taken."""

    label, rounding, is_float = "noise", "nearest", True

    def __init__(self) -> None:
        self.taken, self.notes = 0, Problems()

    def files(self, agenda: Selection) -> Iterator[Path]:
        return iter(())

    def maps(self, agenda: Selection, start: int = 0) -> Iterator[FrameMap]:
        random = np.random.default_rng(0)
        for spot in agenda.spots:
            self.taken += 1
            yield FrameMap(spot, random.random((36, 48), np.float32))

    def statement(self) -> dict[str, Any]:
        return {"kind": "noise"}


def test_only_a_few_maps_are_taken_ahead_and_rows_come_in_order(
    miniature: Miniature, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda process: {0, 1}, raising=False)
    dataset = open_dataset("dhf1k", [miniature("dhf1k")])
    agenda = draw_up(dataset, "train", limit=None, seed=0)
    scorer = Scorer(protocol("dhf1k"), ["CC", "s-AUC"])
    source, ahead, spots = Counting(), [], []

    def done(row: evaluate.FrameScores) -> None:
        spots.append(row.spot)
        ahead.append(source.taken - len(spots))

    outcome = evaluate.score(
        source, agenda, GroundTruthReader(agenda, scorer, CentreOptions()), scorer, done=done
    )
    assert spots == list(agenda.spots)
    assert len(spots) == 12 + 10 + 9
    assert max(ahead) <= 2 * evaluate.AHEAD + 1
    assert outcome.ledger.frames == 31
    assert not outcome.skipped.frames


def test_frames_drawn_under_a_limit_belong_to_their_clips(miniature: Miniature) -> None:
    dataset = open_dataset("dhf1k", [miniature("dhf1k")])
    agenda = draw_up(dataset, "train", limit=7, seed=3)
    assert agenda.total == 7
    for indices, count in zip(agenda.chosen, agenda.counts, strict=True):
        assert list(indices) == sorted(set(indices))
        assert all(0 <= index < count for index in indices)
    assert agenda.digest() == draw_up(dataset, "train", limit=7, seed=3).digest()
    assert agenda.digest() != draw_up(dataset, "train", limit=7, seed=4).digest()
    counts = [12, 10, 9]
    flat = [(number, index) for number, n in enumerate(counts) for index in range(n)]
    assert [agenda.place(position) for position in range(31)] == flat


def test_what_is_missing_of_a_split_is_told_with_it(miniature: Miniature, tmp_path: Path) -> None:
    """An archive that was unpacked half."""
    root = tmp_path / "data"
    shutil.copytree(miniature("dhf1k"), root)
    shutil.rmtree(root / "annotation" / "0602" / "images")
    for file in (root / "annotation" / "0601" / "maps").iterdir():
        file.unlink()
    agenda = draw_up(open_dataset("dhf1k", [root]), "valid", limit=None, seed=0)
    assert [recording.name for recording in agenda.recordings] == ["valid/0601"]
    (missing,) = agenda.missing
    assert missing.startswith("valid: missing: '0602'")
    scorer = Scorer(protocol("dhf1k"), ["CC"])
    truths = GroundTruthReader(agenda, scorer, CentreOptions())
    outcome = evaluate.score(Counting(), agenda, truths, scorer)
    assert outcome.ledger.frames == 8  # densities are made of the fixations that are left
    assert outcome.densities == {"made of fixations": 8}


def test_infinite_values_count_as_undefined_and_are_not_averaged() -> None:
    ledger = Results(["IG"])
    for index, value in enumerate((1.0, float("-inf"), 3.0, float("nan"))):
        ledger.add(0, index, {"IG": value})
    ledger.add(0, 4, {})
    sums, counts = ledger.sums()
    assert (sums.item(), counts.item(), ledger.undefined("IG")) == (4.0, 2.0, 2)
    assert ledger.frames == 5


def test_the_sigma_of_a_low_pass_is_that_of_its_gaussian() -> None:
    assert sigma_of(kernels.find("mit"), (768, 1024)) == pytest.approx(23.99, abs=0.005)
    assert sigma_of(kernels.find("dhf1k"), (360, 640)) == 12.74
    assert sigma_of(kernels.find("default"), (600, 800)) == pytest.approx(24)
