import csv

import numpy as np
import pytest

from salcli.output import frametable
from salcli.output.frametable import COLUMNS, Table
from salcli.types import Result


def cells(saliency, *, time=None):
    result = Result(0, "0001", time, np.asarray(saliency, np.float32))
    return dict(zip(COLUMNS, frametable.row(result), strict=True))


def test_one_salient_pixel():
    saliency = np.zeros((4, 6))
    saliency[1, 5] = 0.3
    row = cells(saliency, time=0.04)
    assert (row["peak_x"], row["peak_y"]) == ("5", "1")
    assert (float(row["centroid_x"]), float(row["centroid_y"])) == (5, 1)
    assert float(row["entropy_bits"]) == pytest.approx(0)
    assert row["time_s"] == "0.040000"


def test_a_map_that_prefers_no_place():
    row = cells(np.full((4, 8), 0.1))
    assert float(row["entropy_bits"]) == pytest.approx(5)
    assert (float(row["centroid_x"]), float(row["centroid_y"])) == (3.5, 1.5)
    assert row["time_s"] == ""


def test_a_map_of_zeros_has_no_numbers():
    row = cells(np.zeros((4, 8)))
    assert {row[c] for c in COLUMNS if c not in ("frame", "label")} == {""}


@pytest.mark.parametrize("total", [1e-6, 1.0, 1e4])
def test_entropy_is_that_of_the_map_normalised_to_sum_1(total):
    saliency = np.random.default_rng(0).random((40, 60)) ** 4
    density = saliency / saliency.sum()
    row = cells(density * total)
    assert float(row["entropy_bits"]) == pytest.approx(
        -(density * np.log2(density)).sum(), abs=1e-4
    )
    assert float(row["centroid_x"]) == pytest.approx(density.sum(axis=0) @ np.arange(60), abs=1e-3)
    assert float(row["centroid_y"]) == pytest.approx(density.sum(axis=1) @ np.arange(40), abs=1e-3)


def test_labels_are_quoted_where_needed(tmp_path):
    path = tmp_path / "part.csv"
    writing = Table(path, shown=path)
    for index, label in enumerate(["a,b", 'c"d']):
        writing.add(Result(index, label, None, np.ones((2, 2), np.float32)))
    writing.finish()
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS
    assert [(row["frame"], row["label"]) for row in rows] == [("1", "a,b"), ("2", 'c"d')]
