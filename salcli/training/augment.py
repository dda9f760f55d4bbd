"""Resizes, crops, flips and jitters the colours of a sample's frames and its ground truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, ImageEnhance
from torch import Tensor

from salcli.gaze import groundtruth
from salcli.recipe import Augmentation
from salcli.types import Frame

__all__ = ["Change", "Crop", "draw", "draw_aspect"]


@dataclass(frozen=True)
class Crop:
    """The part of an image that is used, as shares of its sides, and whether it is mirrored."""

    left: float = 0.0
    top: float = 0.0
    right: float = 1.0
    bottom: float = 1.0
    flipped: bool = False

    def box(self, size: tuple[int, int]) -> tuple[float, float, float, float]:
        """(left, top, right, bottom) in pixels of a picture of size (H, W)."""
        height, width = size
        return self.left * width, self.top * height, self.right * width, self.bottom * height

    def size(self, size: tuple[int, int]) -> tuple[int, int]:
        """(H, W) of the part in pixels of a picture of size (H, W)."""
        left, top, right, bottom = (round(side) for side in self.box(size))
        return bottom - top, right - left


@dataclass(frozen=True)
class Change:
    """The augmentation of one sample: crop, flip and colours.

    Attributes:
        crop: The part that is used.
        factors: Factors of brightness, contrast and saturation.
        hue: Shift of the hue, as a share of the colour circle.
    """

    crop: Crop
    factors: tuple[float, float, float] = (1.0, 1.0, 1.0)
    hue: float = 0.0

    def frame(self, frame: Frame) -> Frame:
        """The augmented frame."""
        left, top, right, bottom = (round(side) for side in self.crop.box(frame.shape[:2]))
        picture = Image.fromarray(frame).crop((left, top, right, bottom))
        if self.crop.flipped:
            picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        enhancers = (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)
        for enhancer, factor in zip(enhancers, self.factors, strict=True):
            if factor != 1:
                picture = enhancer(picture).enhance(factor)
        if self.hue:
            picture = _turn_hue(picture, self.hue)
        return np.asarray(picture)

    def density(self, density: npt.NDArray[np.float32], target: tuple[int, int]) -> Tensor:
        """The part of a density map, float32 at the size `target` = (H, W), not negative."""
        box = self.crop.box(density.shape[:2])
        picture = Image.fromarray(density)
        picture = picture.resize(target[::-1], Image.Resampling.BILINEAR, box=box)
        if self.crop.flipped:
            picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        return torch.from_numpy(np.array(picture)).clamp(min=0)

    def fixations(
        self, points: groundtruth.Points, size: tuple[int, int], target: tuple[int, int]
    ) -> Tensor:
        """Fixation map `[H, W]` at the size `target` of positions on a frame of this size."""
        left, top, right, bottom = self.crop.box(size)
        scaled = (points - (left, top)) * (target[1] / (right - left), target[0] / (bottom - top))
        if self.crop.flipped:
            scaled[:, 0] = target[1] - scaled[:, 0]
        inside = (scaled >= 0).all(1) & (scaled[:, 0] < target[1]) & (scaled[:, 1] < target[0])
        return torch.from_numpy(groundtruth.fixation_map(scaled[inside], target))


def draw_aspect(augmentation: Augmentation, random: np.random.Generator) -> float | None:
    """The width / height of the crops of one batch; `None` keeps each image's own."""
    if not augmentation.aspects:
        return None
    aspects, weights = zip(*augmentation.aspects, strict=True)
    return float(random.choice(aspects, p=np.array(weights) / sum(weights)))


def draw(
    size: tuple[int, int],
    aspect: float | None,
    augmentation: Augmentation,
    random: np.random.Generator,
) -> Change:
    """A random change of frames of size (H, W).

    The largest crop of this aspect ratio, shrunk by a random factor, at a random place; whether it
    is mirrored; and colours.
    """
    own = size[1] / size[0]
    wanted = own if aspect is None else aspect
    factor = random.uniform(augmentation.scale, 1)
    across, down = factor * min(1, wanted / own), factor * min(1, own / wanted)
    left, top = random.uniform(0, 1 - across), random.uniform(0, 1 - down)
    flipped = bool(random.random() < augmentation.flip)
    crop = Crop(left, top, left + across, top + down, flipped)
    strengths = (augmentation.brightness, augmentation.contrast, augmentation.saturation)
    brightness, contrast, saturation = (_factor(strength, random) for strength in strengths)
    hue = random.uniform(-augmentation.hue, augmentation.hue)
    return Change(crop, (brightness, contrast, saturation), hue)


def _factor(strength: float, random: np.random.Generator) -> float:
    return float(random.uniform(1 - strength, 1 + strength))


def _turn_hue(picture: Image.Image, turn: float) -> Image.Image:
    """The picture with all hues shifted by a share of the colour circle."""
    hue, saturation, value = picture.convert("HSV").split()
    turned = Image.fromarray(np.asarray(hue) + np.uint8(int(turn * 255) % 256))
    return Image.merge("HSV", (turned, saturation, value)).convert("RGB")
