import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import correlate1d, gaussian_filter

from salcli.maps import blur, gaussian_blur, peaked, rescale, resize, stretch, to_8bit

MODES = {"zero": "constant", "mirror": "mirror", "symmetric": "reflect"}


def test_a_map_of_the_right_size_is_left_alone():
    maps = torch.rand(2, 5, 7)
    assert resize(maps, (5, 7)) is maps


def test_enlarging_is_bilinear_with_aligned_pixel_centres():
    maps = torch.tensor([[[0.0, 1.0]]])
    assert resize(maps, (1, 4)).tolist() == [[[0.0, 0.25, 0.75, 1.0]]]


@pytest.mark.parametrize("size", [(8, 8), (8, 64), (64, 8), (8, 200)])
def test_shrinking_does_not_alias(size):
    board = (torch.arange(64)[:, None] + torch.arange(64)) % 2
    small = resize(board.float()[None], size)
    assert small.shape == (1, *size)
    assert (small - 0.5).abs().max() < 0.05


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 20), st.integers(1, 20), st.integers(1, 40), st.integers(1, 40))
def test_resizing_stays_within_the_range(height, width, new_height, new_width):
    maps = torch.rand(1, height, width)
    resized = resize(maps, (new_height, new_width))
    assert resized.shape == (1, new_height, new_width)
    assert maps.min() - 1e-6 <= resized.min()
    assert resized.max() <= maps.max() + 1e-6


def test_scales():
    maps = torch.tensor([[[0.1, 0.3], [0.0, 0.4]], [[0.0, 0.0], [0.0, 0.0]]])
    assert rescale(maps, "published") is maps
    peaked = rescale(maps, "max")
    assert peaked[0].flatten().tolist() == pytest.approx([0.25, 0.75, 0.0, 1.0])
    assert peaked[1].tolist() == [[0.0, 0.0], [0.0, 0.0]]
    density = rescale(maps, "density")
    assert density.sum(dim=(1, 2)).tolist() == pytest.approx([1.0, 1.0])
    assert density[1].tolist() == [[0.25, 0.25], [0.25, 0.25]]


def test_every_grey_level_survives_a_round_trip():
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    assert (to_8bit(levels.astype(np.float32) / 255, "nearest") == levels).all()


def test_rounding_as_the_originals_do():
    saliency = np.array([[0.0, 0.999 / 255, 1.5 / 255, 1.0]], np.float32)
    assert to_8bit(saliency, "floor").tolist() == [[0, 0, 1, 255]]
    assert to_8bit(saliency, "nearest").tolist() == [[0, 1, 2, 255]]
    assert to_8bit(saliency, "up").tolist() == [[0, 1, 2, 255]]
    assert to_8bit(saliency + np.float32(0.1 / 255), "up").tolist() == [[1, 2, 2, 255]]
    assert saliency[0, 1] == np.float32(0.999 / 255)  # the caller's map is left alone


def test_tensors_are_rounded_like_arrays_and_grey_levels_stay():
    maps = np.random.default_rng(0).random((3, 40, 50), np.float32)
    maps[0, 0, :4] = -1e-6, 1.00001, 0.5 / 255, 1.5 / 255
    for rounding in ("floor", "nearest", "up"):
        levels = to_8bit(torch.from_numpy(maps), rounding)
        assert levels.dtype == torch.uint8
        assert np.array_equal(levels.numpy(), to_8bit(maps, rounding))
        assert to_8bit(levels, rounding) is levels
        assert np.array_equal(to_8bit(levels.numpy(), rounding), levels.numpy())


def test_an_ulp_outside_does_not_wrap_around():
    saliency = np.array([[-1e-6, 1.00001]], np.float32)
    for rounding in ("floor", "nearest", "up"):
        assert to_8bit(saliency, rounding).tolist() == [[0, 255]]


@pytest.mark.parametrize(("border", "mode"), MODES.items())
@pytest.mark.parametrize(("sigma", "truncate"), [(24.0, 3.5), (1.3, 4.0), (0.2, 4.0)])
def test_blur_is_that_of_scipy(sigma, truncate, border, mode):
    counts = torch.zeros(2, 60, 90)
    counts[0, 3, 4] = counts[0, 40, 80] = 1
    counts[1] = torch.rand(60, 90)
    blurred = gaussian_blur(counts, sigma, truncate=truncate, border=border)
    for got, image in zip(blurred, counts, strict=True):
        wanted = gaussian_filter(image.numpy(), sigma, mode=mode, truncate=truncate)
        np.testing.assert_allclose(got.numpy(), wanted, atol=1e-6)


@pytest.mark.parametrize(("border", "mode"), MODES.items())
@pytest.mark.parametrize("size", [(1, 1), (2, 12), (12, 7)])
def test_wide_kernels_and_narrow_ones_are_continued_alike(border, mode, size):
    """Also of maps that are smaller than the kernel."""
    maps = torch.rand(2, 3, *size, dtype=torch.float64)
    for radius in (1, 9):
        kernel = torch.arange(radius + 1.0, dtype=torch.float64)
        kernel = torch.cat([kernel, kernel[:-1].flip(0)])
        wanted = correlate1d(correlate1d(maps, kernel, axis=2, mode=mode), kernel, mode=mode)
        torch.testing.assert_close(blur(maps, kernel, border=border), torch.from_numpy(wanted))


def test_the_peak_of_a_map_is_one():
    maps = torch.tensor([[[0.0, 2.0], [1.0, 0.5]], [[0.0, 0.0], [0.0, 0.0]]])
    found = peaked(maps)
    assert found.tolist() == [[[0.0, 1.0], [0.5, 0.25]], [[0.0, 0.0], [0.0, 0.0]]]
    torch.testing.assert_close(peaked(maps[0].log() - 9, logits=True), found[0])


def test_maps_are_stretched_each_or_together() -> None:
    maps = torch.tensor([[[0.2, 0.4]], [[0.5, 0.5]]])
    assert stretch(maps).tolist() == [[[0, 1]], [[0, 0]]]
    together = torch.tensor([[[0, 2 / 3]], [[1, 1]]])
    torch.testing.assert_close(stretch(maps, together=True), together)
    torch.testing.assert_close(stretch(maps, least=0.4)[0], torch.tensor([[0, 0.5]]))
    assert stretch(maps[:0], together=True).shape == (0, 1, 2)
