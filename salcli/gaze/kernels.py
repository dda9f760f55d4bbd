"""Density from fixations, with the kernels of the datasets' own maps, by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy.ndimage import correlate1d

from salcli.errors import UnknownName, UsageError
from salcli.maps import gaussian_blur

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["DEFAULT", "KERNELS", "Kernel", "choose", "count_map", "density", "find"]

HALF = float(np.log(2))


@dataclass(frozen=True)
class Kernel:
    """The blur from fixations to a density. Exactly one of `sigma`, `share` and `cycles` is set.

    Attributes:
        summary: One line.
        sigma: Standard deviation of a Gaussian in pixels of the stimulus.
        share: The same as a share of the stimulus's width.
        cycles: A Gaussian low-pass in Fourier space that halves the amplitude at so many cycles per
            image; periodic, as the Fourier transform is.
        reach: Where a Gaussian is truncated, in standard deviations.
        window: Number of taps instead of `reach`, as in MATLAB's `fspecial`; the border is then
            replicated, otherwise padded with zeros.
        once: Whether several fixations of one pixel count as one (a binary fixation map).
    """

    summary: str
    sigma: float | None = None
    share: float | None = None
    cycles: float | None = None
    reach: float = 4.0
    window: int | None = None
    once: bool = False

    @property
    def border(self) -> str:
        """How the frame is padded, in words."""
        if self.cycles is not None:
            return "the other side of the frame"
        return "nothing" if self.window is None else "the outermost pixels again"


KERNELS: Mapping[str, Kernel] = {
    "default": Kernel("Gaussian, sigma 3 % of the width (about one degree)", share=0.03),
    "dhf1k": Kernel(
        "DHF1K: Gaussian, 30 px wide at half its height (sigma 12.74 px)",
        sigma=12.74,
        reach=6,
        once=True,
    ),
    "hollywood2": Kernel(
        "Hollywood-2, UCF-Sports: Gaussian, sigma 20 px in 150 x 150, replicated border",
        sigma=20.0,
        window=150,
        once=True,
    ),
    "mit": Kernel(
        "MIT1003, MIT300: Gaussian low-pass, 8 cycles per image (24 px of 1024)",
        cycles=8.0,
        once=True,
    ),
    "diem": Kernel("DIEM as STSNet takes it: Gaussian, sigma 1/40 of the width", share=1 / 40),
}
DEFAULT = KERNELS["default"]


def find(name: str) -> Kernel:
    """The kernel of this name.

    Raises:
        UnknownName: There is no such kernel.
    """
    if name not in KERNELS:
        raise UnknownName("kernel", name, KERNELS)
    return KERNELS[name]


def choose(
    name: str,
    *,
    sigma: float | None = None,
    dva: float | None = None,
    pixels_per_degree: float | None = None,
) -> Kernel:
    """The named kernel, or a Gaussian whose sigma is given in pixels or in degrees.

    Raises:
        UsageError: The numbers contradict each other, or degrees come without pixels per degree.
        UnknownName: There is no such kernel.
    """
    if sigma is not None and dva is not None:
        raise UsageError("give the width of the kernel in pixels or in degrees, not both")
    if (dva is None) != (pixels_per_degree is None):
        raise UsageError("a width in degrees and the pixels per degree go together")
    if dva is not None and pixels_per_degree is not None:
        sigma = dva * pixels_per_degree
    if sigma is not None:
        return Kernel(f"Gaussian, sigma {sigma:g} px", sigma=sigma)
    return find(name)


def count_map(points: npt.NDArray[np.float64], size: tuple[int, int]) -> npt.NDArray[np.int32]:
    """Number of fixations in each pixel, `[H, W]`; points are (x, y) pixels from 0.

    Raises:
        ValueError: A point lies outside.
    """
    height, width = size
    x, y = np.floor(points).astype(np.int64).T
    if points.size and (x.min() < 0 or y.min() < 0 or x.max() >= width or y.max() >= height):
        raise ValueError(f"a fixation lies outside the frame of {width} x {height}")
    counts = np.bincount(y * width + x, minlength=height * width)
    return counts.reshape(size).astype(np.int32)


def density(
    points: npt.NDArray[np.float64],
    size: tuple[int, int],
    *,
    kernel: Kernel = DEFAULT,
    scale: float = 1.0,
) -> npt.NDArray[np.float32]:
    """Fixation density `[H, W]`, any scale, not negative; zeros without fixations.

    Args:
        points: Fixated positions `[n, 2]` as (x, y) pixels from 0, inside `size`.
        size: `(H, W)` of the map.
        kernel: The blur.
        scale: Pixels of the map per pixel of the stimulus.
    """
    counts = count_map(points, size).astype(np.float32)
    if kernel.once:
        counts = np.minimum(counts, 1)
    if kernel.cycles is not None:
        return _low_pass(counts, kernel.cycles)
    sigma = size[1] * kernel.share if kernel.share is not None else (kernel.sigma or 0) * scale
    if kernel.window is not None:
        return _windowed(counts, sigma, taps=max(1, round(kernel.window * scale)))
    blurred: npt.NDArray[np.float32] = gaussian_blur(
        torch.from_numpy(counts), sigma, truncate=kernel.reach
    ).numpy()
    return blurred


def _windowed(
    counts: npt.NDArray[np.float32], sigma: float, *, taps: int
) -> npt.NDArray[np.float32]:
    """Filter with so many taps, as MATLAB's `fspecial` makes them and `imfilter` applies them.

    The centre of an even number of taps lies half a pixel beside a pixel, which shifts the map.
    """
    offsets = np.arange(taps) - (taps - 1) / 2
    weights = np.exp(-0.5 * (offsets / sigma) ** 2)
    weights /= weights.sum()
    origin = 0 if taps % 2 else -1  # MATLAB's middle is tap (n - 1) // 2, scipy's n // 2
    result = counts
    for axis in (0, 1):
        result = correlate1d(result, weights, axis=axis, mode="nearest", origin=origin)
    return result


def _low_pass(counts: npt.NDArray[np.float32], cycles: float) -> npt.NDArray[np.float32]:
    """Multiply the spectrum by exp(-ln 2 * (f / cycles)^2).

    f is in cycles per longer side of the image, rounded up to an even number of pixels.
    """
    side = max(counts.shape)
    side += side % 2
    spectrum = np.fft.rfft2(counts, (side, side))
    down, across = np.fft.fftfreq(side, 1 / side), np.fft.rfftfreq(side, 1 / side)
    spectrum *= np.exp(-HALF / cycles**2 * (down[:, None] ** 2 + across[None] ** 2))
    height, width = counts.shape
    smooth = np.fft.irfft2(spectrum, (side, side))[:height, :width]
    # rounding leaves tiny negative values where there is nothing
    return np.maximum(smooth, 0).astype(np.float32)
