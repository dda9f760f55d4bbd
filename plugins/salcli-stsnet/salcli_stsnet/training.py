"""How STSNet is trained: recipes, targets, loss (section 4.2 of the paper).

The authors published no training code. Details that the paper leaves open are as in SalNet (Pan et
al., CVPR 2016), whose weights initialise both streams.
"""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
from torch import Tensor
from torch.nn import functional

from salcli import Frame, ParameterGroup, Recipe, Source

__all__ = ["LOWER_RESOLUTIONS", "PAPER", "RECIPES", "coarse", "euclidean", "target"]

TARGET_MEAN, TARGET_SCALE = 31.0, 2 / 255
"""Subtracted from the density map's grey levels, and their scale, as in SalNet's data layer."""

LOWER_RESOLUTIONS = (1, 2, 4)
"""Factors by which samples have a lower resolution than the net's input."""

PAPER = Recipe(
    epochs=200,
    epoch_steps=1000,
    batch_size=2,
    optimiser="salcli_stsnet.solver:CaffeSGD",
    learning_rate=1.3e-7,
    momentum=0.9,
    weight_decay=5e-4,
    groups=(ParameterGroup("", suffix=".bias", rate=2.0, weight_decay=0.0),),
    schedule="milestones",
    milestones=tuple(range(20, 200, 20)),
    gamma=0.5,
    losses={"euclidean": 1.0},
    truth="brightness",
    clip_length=2,
    targets="last",
    select="CC",
    validation_frames=100,
    sources=(Source("diem"),),
    options={"input_size": (240, 320)},
)
"""200,000 steps; the learning rate is halved every 20,000."""

FINETUNE = dataclasses.replace(
    PAPER,
    epochs=10,
    learning_rate=1.3e-8,
    schedule="constant",
    milestones=(),
    gamma=1.0,
    sources=(),
)
"""Continues from published weights, on any dataset; the paper reports UCF-Sports."""

RECIPES = {"paper": PAPER, "finetune": FINETUNE}


def euclidean(output: Tensor, wanted: Tensor) -> Tensor:
    """Caffe's Euclidean loss: half the sum of squared differences, per image.

    The sum is over pixels, which is why rates are as small as 1e-7.

    Args:
        output: The net's output `[N, 1, h, w]`.
        wanted: `[N, 1, H, W]`, of the same size or up to three pixels larger, which are ignored.
    """
    height, width = output.shape[-2:]
    difference = output - wanted[..., :height, :width]
    return difference.square().sum() / (2 * len(output))


def target(grey: Tensor, size: tuple[int, int], *, mean: float = TARGET_MEAN) -> Tensor:
    """The net's target for density maps `[N, 1, H, W]` of grey levels 0 to 255."""
    if grey.shape[-2:] != size:
        grey = functional.interpolate(grey, size=size, mode="area")
    return (grey - mean) * TARGET_SCALE


def coarse(frame: Frame, factor: int) -> Frame:
    """The frame as if it had been filmed with `factor` times fewer lines and columns.

    Applied at the net's size: halving a video of twice that size would lose nothing.
    """
    if factor == 1:
        return frame
    height, width = frame.shape[:2]
    small = cv2.resize(
        frame,
        (max(1, width // factor), max(1, height // factor)),
        interpolation=cv2.INTER_AREA,
    )
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)
