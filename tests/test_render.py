import numpy as np
import pytest

import salcli
from salcli.errors import InputError, UnknownName, UsageError
from salcli.render import heatmap


def blob(height=60, width=80, *, spread=8.0):
    y, x = np.mgrid[:height, :width]
    square = (y - height / 2) ** 2 + (x - width / 2) ** 2
    return np.exp(-square / (2 * spread**2)).astype(np.float32)


def picture(height=60, width=80):
    return np.random.default_rng(0).integers(0, 256, (height, width, 3)).astype(np.uint8)


def lightness(colours):
    linear = (colours / 255.0) ** 2.2
    return np.cbrt(linear @ (0.2126, 0.7152, 0.0722))


def test_colours_of_a_heat_map_grow_lighter_with_saliency():
    ramp = np.linspace(0, 1, 256, dtype=np.float32)[None]
    steps = np.diff(lightness(heatmap.heatmap(ramp)[0]))
    assert steps.min() > -0.01  # 8 bit
    assert lightness(heatmap.heatmap(ramp)[0, ::15]).tolist() == sorted(
        lightness(heatmap.heatmap(ramp)[0, ::15])
    )


@pytest.mark.parametrize("factor", [1, 0.2, 1e-6])
def test_pictures_do_not_depend_on_the_scale_of_the_values(factor):
    scaled = blob() * np.float32(factor)
    assert np.abs(heatmap.heatmap(scaled).astype(int) - heatmap.heatmap(blob())).max() <= 8
    over = heatmap.overlay(picture(), scaled).astype(int)
    assert np.abs(over - heatmap.overlay(picture(), blob())).max() <= 8


def test_an_overlay_leaves_what_is_not_salient_untouched():
    drawn = heatmap.overlay(picture(), blob())
    assert (drawn[:8] == picture()[:8]).all()
    assert (drawn[30, 40] != picture()[30, 40]).any()


def test_the_picture_shines_through_everywhere():
    black, white = np.zeros((60, 80, 3), np.uint8), np.full((60, 80, 3), 255, np.uint8)
    difference = heatmap.overlay(white, blob()).astype(int) - heatmap.overlay(black, blob())
    assert difference.min() >= 60


@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
def test_a_map_that_prefers_no_place_leaves_the_picture_as_it_is(value):
    noise = np.random.default_rng(1).uniform(0, 1e-3, (60, 80)).astype(np.float32) * value
    drawn = heatmap.overlay(picture(), np.full((60, 80), value, np.float32) + noise)
    assert np.abs(drawn.astype(int) - picture()).max() <= 1


def test_noise_does_not_make_an_overlay_flicker():
    noise = np.random.default_rng(1).normal(0, 2e-3, (60, 80)).astype(np.float32)
    still = heatmap.overlay(picture(), blob()).astype(int)
    assert np.abs(still - heatmap.overlay(picture(), (blob() + noise).clip(0, 1))).max() <= 12


def test_a_small_map_is_brought_to_the_size_of_the_picture():
    drawn = heatmap.overlay(picture(61, 83), blob(24, 32, spread=4))
    assert drawn.shape == (61, 83, 3)
    assert drawn.dtype == np.uint8


def test_a_heat_map_of_zeros_is_dark():
    colours = heatmap.heatmap(np.zeros((4, 5), np.float32))
    assert colours.shape == (4, 5, 3)
    assert colours.max() < 40


def test_the_public_functions_are_these():
    over = salcli.overlay(picture(), blob(24, 32, spread=4), alpha=0.5, colour_map="jet")
    expected = heatmap.overlay(picture(), blob(24, 32, spread=4), alpha=0.5, colour_map="jet")
    assert (over == expected).all()
    colours = salcli.heatmap(blob().astype(np.float64), colour_map="hot")
    assert (colours == heatmap.heatmap(blob(), colour_map="hot")).all()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((picture().astype(float), blob()), InputError, "a frame must be an RGB uint8 array"),
        ((picture(), blob()[None]), InputError, r"must be an array \[H, W\], not \[1, 60, 80\]"),
        ((picture(), "map"), InputError, r"must be an array \[H, W\], not str"),
        ((picture(), -blob()), InputError, "finite and not negative"),
        ((picture(), blob() * np.nan), InputError, "finite and not negative"),
        ((picture(), blob(), 1.5), UsageError, r"alpha=1.5: must be in \[0, 1\]"),
        ((picture(), blob(), 0.5, "magmma"), UnknownName, "did you mean magma"),
    ],
)
def test_wrong_arguments_of_the_public_functions(arguments, error, message):
    frame, saliency, *more = arguments
    options = dict(zip(("alpha", "colour_map"), more, strict=False))
    with pytest.raises(error, match=message):
        salcli.overlay(frame, saliency, **options)
