"""Styles, the layout of panels, and text."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from salcli.errors import UnknownName
from salcli.panels.board import ComparedFrame, PanelBoard, ScoredMap, open_panels
from salcli.plugins import registry
from salcli.render import colormaps, legend, lettering, styles
from salcli.render.styles import Look, MapStyle
from salcli.specs import resolve

STYLES = ["heat", "contour", "fog", "peaks"]
SCORES = {"CC": 0.83, "SIM": 0.65, "KLD": 12.4, "NSS": float("nan"), "AUC-Judd": 0.91}


def style(name: str) -> MapStyle:
    found: MapStyle = resolve(registry.style(name).factory)(Look())
    return found


def blob(height: int, width: int, *, at: tuple[float, float] = (0.5, 0.5)) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    square = (y - at[0] * height) ** 2 + (x - at[1] * width) ** 2
    return np.exp(-square / (2 * (0.1 * width) ** 2)).astype(np.float32)


def picture(height: int, width: int) -> np.ndarray:
    random = np.random.default_rng(0).integers(60, 200, (height, width, 3))
    return random.astype(np.uint8)


def difference(first: np.ndarray, second: np.ndarray) -> int:
    return int(np.abs(first.astype(int) - second).max())


def test_a_plugin_brings_styles_and_panels(
    make_site: Callable[..., Path], install_plugins: Callable[..., None]
) -> None:
    install_plugins(make_site("salcli_style"))
    assert registry.styles()["negative"].summary == "the picture inverted"
    bright = np.ones((30, 40), np.float32)
    compared = ComparedFrame("x", picture(30, 40), maps=[ScoredMap("m", bright)])

    board = open_panels("negative", Look(labels=False)).draw(compared)
    stack = open_panels("stack", Look(alpha=0.2)).draw(compared)

    assert (board[:30, -40:] == 255 - picture(30, 40)).all()
    assert (stack == np.concatenate([picture(30, 40), np.full((30, 40, 3), 51)])).all()


def test_a_style_that_does_not_exist() -> None:
    with pytest.raises(UnknownName, match=r"no style named 'countour'; did you mean contour"):
        open_panels("countour", Look())


def test_own_colours_grow_lighter_or_part_from_white() -> None:
    def lightness(name: str) -> np.ndarray:
        return np.cbrt((colormaps.table(name) / 255.0) ** 2.2 @ (0.2126, 0.7152, 0.0722))

    assert np.diff(lightness("salcli")).min() > -0.01
    diverging = lightness("salcli-diverging")
    assert np.diff(diverging[:128]).min() > -0.01
    assert np.diff(diverging[128:]).max() < 0.01


def test_a_colour_map_that_does_not_exist() -> None:
    with pytest.raises(UnknownName, match=r"no colour map named 'magmma'; did you mean magma"):
        colormaps.table("magmma")


@pytest.mark.parametrize("name", STYLES)
@pytest.mark.parametrize("size", [(48, 64), (31, 17)])
@pytest.mark.parametrize("value", [0.0, 0.4])
def test_styles_take_maps_that_prefer_no_place(
    name: str, size: tuple[int, int], value: float
) -> None:
    drawn = style(name).draw(picture(*size), np.full(size, value, np.float32))
    assert drawn.shape == (*size, 3)
    assert drawn.dtype == np.uint8


@pytest.mark.parametrize("name", STYLES)
def test_styles_do_not_depend_on_the_scale_of_the_values(name: str) -> None:
    drawer = style(name)
    first = drawer.draw(picture(60, 80), blob(60, 80))
    second = drawer.draw(picture(60, 80), np.float32(0.01) * blob(60, 80))
    assert np.abs(first.astype(int) - second).mean() < 1.5


def test_fog_hides_what_is_not_looked_at_and_only_that() -> None:
    frame, saliency = picture(60, 80), blob(60, 80)
    drawn = style("fog").draw(frame, saliency)
    assert difference(drawn[28:32, 38:42], frame[28:32, 38:42]) <= 1
    assert drawn[:6].astype(int).mean() > frame[:6].astype(int).mean() + 40


def test_lines_enclose_the_parts_that_they_say() -> None:
    saliency = blob(90, 120)
    for level, part in zip(styles.isolines(saliency), styles.ENCLOSED, strict=True):
        assert saliency[saliency >= level].sum() / saliency.sum() == pytest.approx(part, abs=0.01)


def test_peaks_are_found_once_and_in_order() -> None:
    saliency = blob(90, 120, at=(0.3, 0.25)) + 0.6 * blob(90, 120, at=(0.7, 0.8))
    found = list(styles.peaks(saliency.astype(np.float32)))
    assert [(p.x, p.y) for p in found] == [(30, 27), (96, 63)]
    assert found[1].height == pytest.approx(0.6, abs=0.01)


def board(height: int, width: int, **options: object) -> np.ndarray:
    extras = {f"slice {n}": blob(height, width) for n in range(1, 6)}
    maps = [
        ScoredMap("first", blob(height, width), extras, SCORES),
        ScoredMap("a model with a file of a very long name.safetensors", blob(24, 32), {}, SCORES),
    ]
    compared = ComparedFrame(
        "frame 0001   0.04 s", picture(height, width), blob(height, width), True, "", maps
    )
    return PanelBoard(styles.Heat(Look()), **options).draw(compared)


@pytest.mark.parametrize("size", [(36, 64), (240, 320), (480, 160), (601, 799)])
@pytest.mark.parametrize("columns", [None, 1, 4])
def test_nothing_is_cut_off_at_the_margins(size: tuple[int, int], columns: int | None) -> None:
    drawn = board(*size, columns=columns)
    assert drawn.shape[0] % 2 == drawn.shape[1] % 2 == 0
    margin = 4
    for edge in (drawn[:margin], drawn[-margin:], drawn[:, :margin], drawn[:, -margin:]):
        assert (edge == 255).all()


def test_without_labels_there_are_only_pictures() -> None:
    drawn = PanelBoard(styles.Heat(Look()), labels=False).draw(
        ComparedFrame("x", picture(60, 80), maps=[ScoredMap("m", blob(60, 80), {}, SCORES)])
    )
    assert drawn.shape[0] == 60
    assert (drawn[:, :80] == picture(60, 80)).all()


def test_a_board_stays_within_the_largest_size_and_keeps_it() -> None:
    compared = ComparedFrame(
        "x", picture(300, 500), maps=[ScoredMap("m", blob(300, 500), {}, SCORES)]
    )
    one = PanelBoard(styles.Heat(Look()), largest=(200, 400))
    sizes = {one.draw(compared).shape for _ in range(2)}
    (size,) = sizes
    assert size[0] <= 200
    assert 300 <= size[1] <= 400


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=60), st.integers(8, 40), st.integers(0, 300))
def test_a_fitted_text_fits(text: str, size: int, room: int) -> None:
    text = text.replace("\n", " ").replace("\r", " ")
    shown = lettering.fitted(text, size, room)
    assert lettering.width(shown, size) <= max(room, 0) or not shown
    if lettering.width(text, size) <= room:
        assert shown == text


@pytest.mark.parametrize("name", STYLES)
@pytest.mark.parametrize("room", [120, 700])
def test_a_legend_fits_its_room(name: str, room: int) -> None:
    drawer = style(name)
    drawn = legend.draw(drawer.swatch(14), drawer.meaning, size=14, room=room)
    assert drawn.shape[1] == room
    assert (drawn != 255).any()
    lines = list(legend.wrapped(drawer.meaning, 14, room))
    assert all(lettering.width(line, 14) <= room for line in lines)
    assert " ".join(lines) == drawer.meaning
