"""From fixations to density: each named kernel against its definition, written out."""

from __future__ import annotations

import math
from typing import get_args

import numpy as np
import pytest

from salcli.errors import UnknownName, UsageError
from salcli.gaze import kernels
from salcli.gaze.kernels import KERNELS, density
from salcli.types import KernelName

SIZE = (60, 80)
POINTS = np.array([[10.5, 8.5], [40.2, 30.9], [40.7, 30.1], [79.9, 59.9]])
"""The second and third lie in one pixel, the last in a corner."""

PIXELS = [(8, 10), (30, 40), (59, 79)]


def distances(row: int, column: int) -> np.ndarray:
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    return np.asarray((y - row) ** 2 + (x - column) ** 2, float)


def test_dhf1k_is_a_sum_of_gaussians_of_30_pixels_at_half_height() -> None:
    made = density(POINTS, SIZE, kernel=KERNELS["dhf1k"])
    sigma = 30 / (2 * math.sqrt(2 * math.log(2)))
    assert sigma == pytest.approx(12.74, abs=0.001)
    expected = sum(np.exp(-distances(*pixel) / (2 * 12.74**2)) for pixel in PIXELS)
    np.testing.assert_allclose(made / made.max(), expected / expected.max(), atol=1e-5)


def test_hollywood2_is_fspecial_and_imfilter() -> None:
    """MATLAB: `imfilter(map, fspecial('gaussian', 150, 20), 'replicate')`, in plain loops."""
    made = density(POINTS, SIZE, kernel=KERNELS["hollywood2"])
    taps = [math.exp(-((k - 74.5) ** 2) / 800) for k in range(150)]
    total = sum(taps)
    binary = np.zeros(SIZE)
    for row, column in PIXELS:
        binary[row, column] = 1
    for row, column in [(0, 0), (8, 10), (30, 40), (59, 79), (20, 70)]:
        value = 0.0
        for i in range(150):
            for j in range(150):
                y = min(max(row + i - 74, 0), SIZE[0] - 1)
                x = min(max(column + j - 74, 0), SIZE[1] - 1)
                value += taps[i] * taps[j] * binary[y, x]
        assert made[row, column] == pytest.approx(value / total**2, rel=1e-4)


def test_mit_halves_the_amplitude_at_8_cycles_per_image() -> None:
    made = density(POINTS[:1], (64, 64), kernel=KERNELS["mit"])
    impulse = np.zeros((64, 64))
    impulse[8, 10] = 1
    gain = np.abs(np.fft.fft2(made) / np.fft.fft2(impulse))
    assert gain[0, 0] == pytest.approx(1, abs=1e-4)
    assert gain[8, 0] == pytest.approx(0.5, abs=1e-4)
    assert gain[0, 8] == pytest.approx(0.5, abs=1e-4)


def test_mit_is_24_pixels_of_1024() -> None:
    """Its width in pixels: sigma = n sqrt(ln 2) / (sqrt(2) pi 8)."""
    size = (768, 1024)
    made = density(np.array([[512.5, 384.5]]), size, kernel=KERNELS["mit"])
    sigma = 1024 * math.sqrt(math.log(2)) / (math.sqrt(2) * math.pi * 8)
    assert sigma == pytest.approx(23.99, abs=0.01)
    assert made[384, 512 + 24] / made[384, 512] == pytest.approx(
        math.exp(-(24**2) / (2 * sigma**2)), rel=1e-3
    )


def test_the_command_offers_every_kernel() -> None:
    assert get_args(KernelName) == tuple(KERNELS)


@pytest.mark.parametrize(("name", "counts"), [("dhf1k", False), ("diem", True), ("default", True)])
def test_repeats_count_where_the_kernel_says_so(name: str, counts: bool) -> None:
    single = density(POINTS[1:2], SIZE, kernel=KERNELS[name])
    double = density(POINTS[1:3], SIZE, kernel=KERNELS[name])
    np.testing.assert_allclose(double, single * (2 if counts else 1), rtol=1e-6)


@pytest.mark.parametrize("name", sorted(KERNELS))
def test_without_fixations_there_is_nothing(name: str) -> None:
    made = density(np.empty((0, 2)), (31, 47), kernel=KERNELS[name])
    assert made.shape == (31, 47)
    assert not made.any()


@pytest.mark.parametrize("name", sorted(KERNELS))
def test_densities_are_not_negative(name: str) -> None:
    made = density(POINTS, SIZE, kernel=KERNELS[name])
    assert made.dtype == np.float32
    assert made.min() >= 0
    assert made.max() > 0


def test_widths_by_number() -> None:
    assert kernels.choose("mit") is KERNELS["mit"]
    assert kernels.choose("mit", sigma=7.5).sigma == 7.5
    assert kernels.choose("mit", dva=1.5, pixels_per_degree=30).sigma == 45
    with pytest.raises(UsageError, match="not both"):
        kernels.choose("mit", sigma=1, dva=1)
    with pytest.raises(UsageError, match="go together"):
        kernels.choose("mit", dva=1)
    with pytest.raises(UnknownName, match="did you mean dhf1k"):
        kernels.choose("dhf1")
