"""UNISAL's panels against pictures of the original program."""

from pathlib import Path

import numpy as np
import pytest
from salcli_unisal.panels import UnisalPanels

from salcli.authoring import ComparedFrame, Look, ScoredMap, open_panels

GOLDEN = np.load(Path(__file__).parent / "goldens" / "panels.npz")
PICTURE = GOLDEN["image"]
DENSITY = GOLDEN["gt_map"].astype(np.float32)
MAPS = [
    ScoredMap("ours", GOLDEN["prediction"].astype(np.float32)),
    ScoredMap("theirs", GOLDEN["pretrained_prediction"].astype(np.float32)),
]


def difference(first: np.ndarray, second: np.ndarray) -> int:
    return int(np.abs(first.astype(int) - second).max())


def test_panels_are_those_of_the_original() -> None:
    panels = UnisalPanels(Look(labels=False))

    four = panels.draw(ComparedFrame("x", PICTURE, density=DENSITY, maps=MAPS))
    three = panels.draw(ComparedFrame("x", PICTURE, maps=MAPS[:1]))

    assert difference(four, GOLDEN["canvas4_nolabels"]) <= 2
    assert difference(three, GOLDEN["canvas3_nogt_nolabels"]) <= 2


def test_titles_say_whether_there_is_a_ground_truth() -> None:
    panels = UnisalPanels(Look())
    with_truth = ComparedFrame("x", PICTURE, density=DENSITY, maps=MAPS)
    titles = [title for title, _ in panels.panels(with_truth)]
    assert titles == ["Original", "GT Map", "Pred + GT", "theirs + GT"]
    titles = [title for title, _ in panels.panels(ComparedFrame("x", PICTURE, maps=MAPS))]
    assert titles == ["Original", "No GT", "Prediction", "theirs"]


@pytest.mark.parametrize("density", [DENSITY, None])
def test_the_style_unisal_draws_three_panels_and_titles(density: np.ndarray | None) -> None:
    compared = ComparedFrame("x", PICTURE, density=density, maps=MAPS[:1])
    drawn = open_panels("unisal", Look()).draw(compared)
    height, width = PICTURE.shape[:2]
    whole = 3 * width + 24
    assert drawn.shape == (height + 50 + height % 2, whole + whole % 2, 3)
