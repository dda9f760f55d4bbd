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
    map_ = spotlight.peaked(MAP)
    assert difference(spotlight.hot(map_), GOLDEN["heat"]) <= 1
    assert difference(spotlight.spotlight(PICTURE, map_), GOLDEN["overlay"]) <= 1
    assert difference(spotlight.difference(map_, map_[::-1]), GOLDEN["diff"]) <= 1


@pytest.mark.parametrize(("density", "rows"), [(MAP.astype(np.float32), 3), (None, 2)])
def test_the_style_tempsal_draws_rows_of_two(density: np.ndarray | None, rows: int) -> None:
    maps = [ScoredMap("x", MAP.astype(np.float32))]
    drawn = open_panels("tempsal", Look()).draw(ComparedFrame("x", PICTURE, density, maps=maps))
    height, width = PICTURE.shape[:2]
    assert drawn.shape == (rows * height, 2 * width, 3)


def test_slices_of_an_animation_share_a_scale() -> None:
    """The ground truth's own, and the prediction's."""
    map_ = spotlight.peaked(MAP)
    first, second = spotlight.animation(
        PICTURE, np.stack([7 * map_, 3.5 * map_]), np.stack([map_ / 2, map_ / 4])
    )
    height, width = PICTURE.shape[:2]
    assert first.shape == (3 * height, 2 * width, 3)
    assert difference(first[:height, :width], GOLDEN["heat"]) <= 1
    assert (second[:height, :width] == spotlight.hot(map_ / 2)).all()
    assert (first[:height] == first[height : 2 * height]).all()
    assert (second[:height] == second[height : 2 * height]).all()
    same = spotlight.difference(map_, map_)
    assert (first[2 * height :] == np.concatenate([same, PICTURE], axis=1)).all()


@pytest.mark.parametrize("factor", [0.0, 0.01, 1.0])
def test_the_style_spotlight_has_panels_and_a_legend(factor: float) -> None:
    maps = [ScoredMap("x", (factor * MAP).astype(np.float32))]
    panels = open_panels("spotlight", Look(labels=False))
    drawn = panels.draw(ComparedFrame("x", PICTURE, maps=maps))
    map_ = spotlight.peaked((factor * MAP).astype(np.float32))
    expected = spotlight.spotlight(PICTURE, map_)
    assert (drawn[: len(PICTURE), -PICTURE.shape[1] :] == expected).all()
    with_legend = open_panels("spotlight", Look()).draw(ComparedFrame("x", PICTURE, maps=maps))
    assert with_legend.shape[0] > drawn.shape[0]
