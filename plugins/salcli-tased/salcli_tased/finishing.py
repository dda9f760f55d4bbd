"""What the original TASED-Net does to a map before writing it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from salcli.authoring import rescale

__all__ = ["Finish"]

SIGMA, RADIUS = 7.0, 28
"""Of the blur, in pixels; the radius is 4 sigma, SciPy's default."""


class Finish:
    """Quantises, blurs and normalises maps of one size.

    Args:
        size: `(h, w)` of the maps.
        device: Where the maps are.
    """

    def __init__(self, size: tuple[int, int], device: torch.device) -> None:
        # the original blurs in float64, which Apple's GPUs do not support
        self.precision = torch.float32 if device.type == "mps" else torch.float64
        vertical, horizontal = map(blur_matrix, size)
        self.vertical = torch.from_numpy(vertical).to(device, self.precision)
        self.horizontal = torch.from_numpy(horizontal).to(device, self.precision).T.contiguous()

    def __call__(self, maps: Tensor) -> Tensor:
        """Maps `[n, h, w]` in [0, 1], finished and unchanged: float32 `[n, 2, h, w]`.

        The maximum of a finished map is 1; a map of zeros stays zero.
        """
        raw = maps.float()
        quantised = torch.floor(raw * 255).to(self.precision) / 255
        blurred = self.vertical @ quantised @ self.horizontal
        return torch.stack((rescale(blurred, "max").float(), raw), dim=1)


def blur_matrix(n: int) -> npt.NDArray[np.float64]:
    """`scipy.ndimage.gaussian_filter1d` of n values as a matrix `[n, n]`, mode `reflect`.

    Beyond its ends the signal is mirrored, the last value repeated: d c b a | a b c d | d c b a.
    """
    offsets = np.arange(-RADIUS, RADIUS + 1)
    kernel = np.exp(-0.5 * (offsets / SIGMA) ** 2)
    places = (np.arange(n)[:, None] + offsets) % (2 * n)
    places = np.where(places < n, places, 2 * n - 1 - places)
    matrix = np.zeros((n, n))
    np.add.at(matrix, (np.arange(n)[:, None], places), kernel / kernel.sum())
    return matrix
