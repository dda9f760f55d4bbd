"""Other sizes as OpenCV and MATLAB make them."""

import numpy as np
import pytest

from salcli.protocols.resampling import Method, halve, resample

cv2 = pytest.importorskip("cv2", reason="OpenCV comes with the plugins that need it")

CASES = [
    ((48, 64), (90, 160)),
    ((90, 160), (48, 64)),
    ((31, 47), (60, 61)),
    ((24, 38), (36, 20)),
    ((20, 20), (20, 31)),
]


@pytest.mark.parametrize(("source", "target"), CASES)
def test_opencv_is_followed_bit_for_bit(source: tuple[int, int], target: tuple[int, int]) -> None:
    grey = np.random.default_rng(0).integers(0, 256, source).astype(np.uint8)
    flags: dict[Method, int] = {"bilinear": cv2.INTER_LINEAR, "area": cv2.INTER_AREA}
    for method, flag in flags.items():
        expected = cv2.resize(grey, target[::-1], interpolation=flag)
        assert np.array_equal(resample(grey, target, method), expected), method
        exact = cv2.resize(grey.astype(np.float64), target[::-1], interpolation=flag)
        assert resample(grey.astype(float), target, method) == pytest.approx(exact, abs=1e-3)


@pytest.mark.parametrize("size", [(90, 160), (45, 47), (47, 49), (3, 5), (91, 161)])
def test_halving_is_opencvs(size: tuple[int, int]) -> None:
    grey = np.random.default_rng(1).integers(0, 256, size).astype(np.uint8)
    assert np.array_equal(halve(grey), cv2.resize(grey, None, fx=0.5, fy=0.5))


def cubic(x: float) -> float:
    x = abs(x)
    if x <= 1:
        return 1.5 * x**3 - 2.5 * x**2 + 1
    return -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2 if x <= 2 else 0.0


@pytest.mark.parametrize(("source", "target"), [(7, 19), (20, 6), (9, 10)])
def test_bicubic_is_keys_kernel_widened_when_shrinking(source: int, target: int) -> None:
    signal = np.random.default_rng(2).random(source)
    scale, expected = target / source, []
    for i in range(target):
        centre, weights, total = (i + 0.5) / scale - 0.5, 0.0, 0.0
        for j in range(-3 * source, 4 * source):
            weight = cubic((centre - j) * min(scale, 1))
            mirrored = j % (2 * source)
            mirrored = min(mirrored, 2 * source - 1 - mirrored)
            weights, total = weights + weight, total + weight * signal[mirrored]
        expected.append(total / weights)

    found = resample(np.tile(signal, (5, 1)), (5, target), "bicubic")

    assert found == pytest.approx(np.tile(expected, (5, 1)), abs=1e-9)


def test_bicubic_grey_levels_stay_levels() -> None:
    grey = np.zeros((8, 8), np.uint8)
    grey[:, 4:] = 255
    found = resample(grey, (16, 24), "bicubic")
    assert found.dtype == np.uint8
    assert found.min() == 0  # where the kernel would swing below
    assert found.max() == 255
    assert resample(grey, (8, 8), "bicubic") is grey
