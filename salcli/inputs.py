"""Frames as network input: pixels in a tensor, resized, standardised."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from salcli.types import Frame

__all__ = ["IMAGENET", "MINUS_ONE_TO_ONE", "Standardisation", "pixels", "resized"]


class Standardisation(NamedTuple):
    """What a network's input is: `(p - mean) / std` for red, green and blue p in [0, 1]."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    def facts(self, resize: str) -> dict[str, Any]:
        """For `Exportable.facts`: input is `(p - mean) / std` of p in 0 ... 255, after a resize."""
        mean, std = ([255 * value for value in values] for values in self)
        return {"resize": resize, "channels": "RGB", "mean": mean, "std": std}


IMAGENET = Standardisation((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""Of networks that were trained on ImageNet by torchvision, timm and most others."""

MINUS_ONE_TO_ONE = Standardisation((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
"""Of networks whose input is in [-1, 1]."""


def pixels(frames: Sequence[Frame], *, standardised: Standardisation | None = None) -> Tensor:
    """Frames of one size as float32 `[N, 3, h, w]`, in [0, 255] unless they are standardised.

    For a `preprocess` that resizes in its own way: `pixels([cv2.resize(f, size) for f in frames])`.
    """
    found = torch.from_numpy(np.stack(frames)).permute(0, 3, 1, 2).float()
    if standardised is None:
        return found
    mean, std = (torch.tensor(values)[:, None, None] for values in standardised)
    return found.div_(255).sub_(mean).div_(std)


def resized(
    frames: Sequence[Frame],
    size: tuple[int, int],
    *,
    standardised: Standardisation | None = None,
    resampling: Image.Resampling = Image.Resampling.BILINEAR,
) -> Tensor:
    """Frames at `size` (h, w), resized by Pillow in 8 bit, as torchvision and most papers do.

    `resampling` is Pillow's filter.

    The whole `preprocess` of most networks: `return resized(frames, (224, 384),
    standardised=IMAGENET)`. For the rest see `pixels`.
    """
    pictures = [Image.fromarray(frame).resize(size[::-1], resampling) for frame in frames]
    return pixels([np.asarray(picture) for picture in pictures], standardised=standardised)
