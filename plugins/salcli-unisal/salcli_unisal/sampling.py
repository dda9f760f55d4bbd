"""How the published code cuts samples out of clips, and resizes frames and ground truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from salcli import Frame
from salcli.authoring import Sampling, fixation_map

__all__ = ["DHF1K", "HOLLYWOOD", "MIT1003", "UCFSPORTS"]

Picture: TypeAlias = npt.NDArray[np.uint8] | npt.NDArray[np.float32]
Points: TypeAlias = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Resizer:
    """Brings pictures to one size: resized, then cropped or padded around the centre.

    Attributes:
        size: Target (H, W).
        how: `cover`: keep the aspect ratio, cover the size, crop around the centre. `height`: keep
            the aspect ratio, match the height, crop or pad the width with black. `stretch`: as it
            comes.
    """

    size: tuple[int, int]
    how: Literal["cover", "height", "stretch"]

    def frame(self, frame: Frame) -> Frame:
        """The frame, resized by Lanczos and padded with black."""
        return np.asarray(self._fitted(frame, Image.Resampling.LANCZOS))

    def density(self, density: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """The density map, resized alike; 8-bit grey levels stay 8-bit."""
        grey = density.astype(np.uint8)
        picture: Picture = grey if np.array_equal(grey, density) else density
        return np.asarray(self._fitted(picture, Image.Resampling.LANCZOS), np.float32)

    def points(self, points: Points, size: tuple[int, int]) -> Points:
        """Centres of fixated pixels, for positions on a frame of size (H, W).

        The nearest pixel of the frame decides about each, so that one may be lost or repeated.
        """
        fixated = fixation_map(points, size).astype(np.uint8)
        rows, columns = np.nonzero(np.asarray(self._fitted(fixated, Image.Resampling.NEAREST)))
        return np.stack([columns, rows], axis=1).astype(np.float64) + 0.5

    def _fitted(self, pixels: Picture, resampling: Image.Resampling) -> Image.Image:
        height, width = self.size
        ratio = pixels.shape[1] / pixels.shape[0]
        if self.how == "stretch":
            shape = (width, height)
        elif self.how == "height":
            shape = (int(pixels.shape[1] * height / pixels.shape[0]), height)
        elif ratio < width / height:
            shape = (width, int(width / ratio))
        else:
            shape = (int(height * ratio), height)
        picture = Image.fromarray(pixels).resize(shape, resampling)
        left, top = int((shape[0] - width) / 2), int((shape[1] - height) / 2)
        return picture.crop((left, top, left + width, top + height))


class ClipSampling(Sampling):
    """A clip must have a whole stride of frames after the last one of a sample.

    Args:
        count: Samples of each validation clip.
        fit: Brings frames and ground truth to a size.
    """

    def __init__(self, count: int, fit: Resizer | None = None) -> None:
        self.count, self.fit = count, fit

    def span(self, length: int, stride: int) -> int:
        """See `Sampling.span`."""
        return length * stride

    def validation_starts(self, frames: int, span: int) -> Sequence[int]:
        """The middle of the first sample is that of its share of the clip.

        The last one begins as long before the end as the first one after the start, or where it
        still fits; any others are evenly spaced between them.
        """
        margin = frames // (2 * self.count) - span // 2
        first, last = max(1, margin), min(frames - span, frames - margin)
        starts: list[int] = np.linspace(first, last, self.count).astype(int).tolist()
        return [max(start - 1, 0) for start in starts]


class StillSampling(Sampling):
    """Ground truth is resized like the clips'."""

    def truth_fit(self, size: tuple[int, int]) -> Resizer:
        """See `Sampling.truth_fit`."""
        return Resizer(size, "stretch")


DHF1K = ClipSampling(2)
HOLLYWOOD = ClipSampling(1, Resizer((224, 416), "height"))
UCFSPORTS = ClipSampling(1, Resizer((256, 384), "cover"))
MIT1003 = StillSampling()
