"""TempSAL's pictures and panels against those of its project page."""

from pathlib import Path

import numpy as np
import pytest
from salcli_tempsal import spotlight

from salcli.authoring import ComparedFrame, Look, ScoredMap, open_panels

GOLDEN = np.load(Path(__file__).parent / "goldens" / "pictures.npz")
PICTURE, MAP = GOLDEN["image"], GOLDEN["map"]


def difference(first: np.ndarray, second: np.ndarray) -> int:
    return int(np.abs(first.astype(int) - second).max())


def test_pictures_are_those_of_the_authors() -> None:
    assert difference(spotlight.hot(MAP), GOLDEN["heat"]) <= 1
    assert difference(spotlight.spotlight(PICTURE, MAP), GOLDEN["overlay"]) <= 1
    assert difference(spotlight.difference(MAP, MAP[::-1]), GOLDEN["diff"]) <= 1


@pytest.mark.parametrize(("density", "rows"), [(MAP.astype(np.float32), 3), (None, 2)])
def test_the_style_tempsal_draws_rows_of_two(density: np.ndarray | None, rows: int) -> None:
    maps = [ScoredMap("x", MAP.astype(np.float32))]
    drawn = open_panels("tempsal", Look()).draw(ComparedFrame("x", PICTURE, density, maps=maps))
    height, width = PICTURE.shape[:2]
    assert drawn.shape == (rows * height, 2 * width, 3)


@pytest.mark.parametrize("factor", [0.0, 0.01, 1.0])
def test_the_style_spotlight_has_panels_and_a_legend(factor: float) -> None:
    maps = [ScoredMap("x", (factor * MAP).astype(np.float32))]
    panels = open_panels("spotlight", Look(labels=False))
    drawn = panels.draw(ComparedFrame("x", PICTURE, maps=maps))
    expected = spotlight.spotlight(PICTURE, (factor * MAP).astype(np.float32))
    assert (drawn[: len(PICTURE), -PICTURE.shape[1] :] == expected).all()
    with_legend = open_panels("spotlight", Look()).draw(ComparedFrame("x", PICTURE, maps=maps))
    assert with_legend.shape[0] > drawn.shape[0]
