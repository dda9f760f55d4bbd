"""Frames as network input: pixels in a tensor, resized, standardised."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from salcli import resampling as exact
from salcli.types import Frame

__all__ = ["IMAGENET", "MINUS_ONE_TO_ONE", "Standardisation", "pixels", "resized"]

CPU = torch.device("cpu")

FEW = 4
"""Fewer frames than this are not worth finding out how Pillow resizes frames of their size."""


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


def pixels(
    frames: Sequence[Frame],
    *,
    standardised: Standardisation | None = None,
    device: torch.device = CPU,
) -> Tensor:
    """Frames of one size as float32 `[N, 3, h, w]`, in [0, 255] unless they are standardised.

    For a `preprocess` that resizes in its own way: `pixels([cv2.resize(f, size) for f in frames])`.
    They travel to `device`, a model's `input_device`, as 8 bit.
    """
    return _numbers(_uploaded(frames, device), standardised)


def resized(
    frames: Sequence[Frame],
    size: tuple[int, int],
    *,
    standardised: Standardisation | None = None,
    resampling: Image.Resampling = Image.Resampling.BILINEAR,
    device: torch.device = CPU,
) -> Tensor:
    """Frames at `size` (h, w), resized by Pillow in 8 bit, as torchvision and most papers do.

    `resampling` is Pillow's filter; `device` is where the result shall be: a GPU computes the same
    pixels as Pillow.

    The whole `preprocess` of most networks: `return resized(frames, (224, 384),
    standardised=IMAGENET, device=self.input_device)`. For the rest see `pixels`.
    """
    if device.type == "cuda" and len(frames) >= FEW:
        found = exact.resize(_uploaded(frames, device), size, resampling)
        if found is not None:
            return _numbers(found, standardised)
    pictures = [Image.fromarray(frame).resize(size[::-1], resampling) for frame in frames]
    small = [np.asarray(picture) for picture in pictures]
    return pixels(small, standardised=standardised, device=device)


def _uploaded(frames: Sequence[Frame], device: torch.device) -> Tensor:
    """Frames of one size as uint8 `[N, H, W, 3]`; to a GPU from memory that it reads itself."""
    shape = (len(frames), *frames[0].shape)
    stacked = torch.empty(shape, dtype=torch.uint8, pin_memory=device.type == "cuda")
    np.stack(frames, out=stacked.numpy())
    return stacked.to(device, non_blocking=True)


def _numbers(frames: Tensor, standardised: Standardisation | None) -> Tensor:
    found = frames.permute(0, 3, 1, 2).float()
    if standardised is None:
        return found
    white, mean, std = _constants(standardised, found.device)
    return found.div_(white).sub_(mean).div_(std)


@lru_cache
def _constants(standardised: Standardisation, device: torch.device) -> tuple[Tensor, ...]:
    """Divisor, mean and standard deviation as tensors, so that a GPU divides like a CPU."""
    white = torch.tensor([255.0]).to(device)
    mean, std = (torch.tensor(values)[:, None, None].to(device) for values in standardised)
    return white, mean, std
