"""What the original TASED-Net does to a map before writing it."""

from __future__ import annotations

import torch
from torch import Tensor

from salcli.authoring import gaussian_blur, peaked

__all__ = ["finish"]

SIGMA = 7.0
"""Of the blur, in pixels."""


def finish(maps: Tensor) -> Tensor:
    """Maps `[n, h, w]` in [0, 1]: quantised, blurred and normalised, and unchanged.

    The result is float32 `[n, 2, h, w]`. The maximum of a finished map is 1; a map of zeros stays
    zero.
    """
    raw = maps.float()
    # the original blurs in float64, which Apple's GPUs do not support
    precision = torch.float32 if maps.device.type == "mps" else torch.float64
    quantised = torch.floor(raw * 255).to(precision) / 255
    blurred = gaussian_blur(quantised, SIGMA, border="symmetric")
    return torch.stack((peaked(blurred).float(), raw), dim=1)
