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
from salcli.scoring.frametruth import GroundTruthReader, sigma_of
from salcli.scoring.results import Problems, Results
from salcli.scoring.selection import Selection, select_frames
from salcli.scoring.sources import FrameMap

Miniature = Callable[[str], Path]


class Counting:
    """Noise for each frame; counts how many were taken."""

    label, rounding, is_float = "noise", "nearest", True

    def __init__(self) -> None:
        self.taken, self.notes = 0, Problems()

    def files(self, selection: Selection) -> Iterator[Path]:
        return iter(())

    def maps(self, selection: Selection, start: int = 0) -> Iterator[FrameMap]:
        random = np.random.default_rng(0)
        for ref in selection.refs:
            self.taken += 1
            yield FrameMap(ref, random.random((36, 48), np.float32))

    def statement(self) -> dict[str, Any]:
        return {"kind": "noise"}


def test_only_a_few_maps_are_taken_ahead_and_rows_come_in_order(
    miniature: Miniature, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda process: {0, 1}, raising=False)
    dataset = open_dataset("dhf1k", [miniature("dhf1k")])
    selection = select_frames(dataset, "train", limit=None, seed=0)
    scorer = Scorer(protocol("dhf1k"), ["CC", "s-AUC"])
    source, ahead, refs = Counting(), [], []

    def done(row: evaluate.FrameScores) -> None:
        refs.append(row.ref)
        ahead.append(source.taken - len(refs))

    evaluation = evaluate.evaluate(
        source, selection, GroundTruthReader(selection, scorer, CentreOptions()), scorer, done=done
    )
    assert refs == list(selection.refs)
    assert len(refs) == 12 + 10 + 9
    assert max(ahead) <= 2 * evaluate.AHEAD + 1
    assert evaluation.results.frames == 31
    assert not evaluation.skipped.frames


def test_frames_drawn_under_a_limit_belong_to_their_clips(miniature: Miniature) -> None:
    dataset = open_dataset("dhf1k", [miniature("dhf1k")])
    selection = select_frames(dataset, "train", limit=7, seed=3)
    assert selection.total == 7
    for indices, count in zip(selection.chosen, selection.counts, strict=True):
        assert list(indices) == sorted(set(indices))
        assert all(0 <= index < count for index in indices)
    assert selection.digest() == select_frames(dataset, "train", limit=7, seed=3).digest()
    assert selection.digest() != select_frames(dataset, "train", limit=7, seed=4).digest()
    counts = [12, 10, 9]
    flat = [(number, index) for number, n in enumerate(counts) for index in range(n)]
    assert [selection.place(position) for position in range(31)] == flat


def test_what_is_missing_of_a_split_is_told_with_it(miniature: Miniature, tmp_path: Path) -> None:
    """An archive that was unpacked half."""
    root = tmp_path / "data"
    shutil.copytree(miniature("dhf1k"), root)
    shutil.rmtree(root / "annotation" / "0602" / "images")
    for file in (root / "annotation" / "0601" / "maps").iterdir():
        file.unlink()
    selection = select_frames(open_dataset("dhf1k", [root]), "valid", limit=None, seed=0)
    assert [recording.name for recording in selection.recordings] == ["valid/0601"]
    (missing,) = selection.missing
    assert missing.startswith("valid: missing: '0602'")
    scorer = Scorer(protocol("dhf1k"), ["CC"])
    reader = GroundTruthReader(selection, scorer, CentreOptions())
    evaluation = evaluate.evaluate(Counting(), selection, reader, scorer)
    assert evaluation.results.frames == 8  # densities are made of the fixations that are left
    assert evaluation.densities == {"made of fixations": 8}


def test_infinite_values_count_as_undefined_and_are_not_averaged() -> None:
    results = Results(["IG"])
    for index, value in enumerate((1.0, float("-inf"), 3.0, float("nan"))):
        results.add(0, index, {"IG": value})
    results.add(0, 4, {})
    sums, counts = results.sums()
    assert (sums.item(), counts.item(), results.undefined("IG")) == (4.0, 2.0, 2)
    assert results.frames == 5


def test_the_sigma_of_a_low_pass_is_that_of_its_gaussian() -> None:
    assert sigma_of(kernels.find("mit"), (768, 1024)) == pytest.approx(23.99, abs=0.005)
    assert sigma_of(kernels.find("dhf1k"), (360, 640)) == 12.74
    assert sigma_of(kernels.find("default"), (600, 800)) == pytest.approx(24)
