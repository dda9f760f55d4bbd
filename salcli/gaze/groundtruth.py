"""Ground truth of a frame at the frame's size: fixations and fixation density."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch

from salcli.errors import InputError
from salcli.gaze import kernels
from salcli.gaze.files import read, read_grey, read_matrix
from salcli.gaze.kernels import Kernel
from salcli.maps import resize
from salcli.media import images, mapvideo
from salcli.media.video import Video
from salcli.types import Annotation, Recording

__all__ = [
    "Fixations",
    "FrameGroundTruth",
    "fixation_map",
    "frame_size",
    "read_density",
    "read_fixations",
    "read_ground_truth",
]

Points: TypeAlias = npt.NDArray[np.float64]

LARGEST_SIDE = 800
"""Limit for densities computed here: they are smooth, so that more pixels would only cost time."""

PROBED = 4096
"""Number of videos whose frame size is cached."""


@dataclass(frozen=True)
class Fixations:
    """Where observers looked on one frame.

    Attributes:
        points: `[n, 2]` as (x, y) pixels from 0, inside the frame; pixel (0, 0) reaches from 0 to 1
            and its centre is at 0.5. Repeats are kept.
        observers: `[n]`, the observer of each point, from 0; -1 where the file does not say.
        outside: Number of positions that were left out because they lie outside the frame.
    """

    points: Points
    observers: npt.NDArray[np.int64]
    outside: int = 0


@dataclass(frozen=True)
class FrameGroundTruth:
    """Ground truth of one frame, at the frame's size.

    Attributes:
        density: Fixation density, float32 `[H, W]`, any scale.
        fixations: Binary fixation map `[H, W]`; `None` where only a density is published.
    """

    density: npt.NDArray[np.float32]
    fixations: npt.NDArray[np.bool_] | None


def frame_size(recording: Recording, index: int = 0) -> tuple[int, int]:
    """`(H, W)` of a frame, from its file's header; of a video that of its first frame.

    Raises:
        InputError: The file cannot be read.
    """
    if recording.frames is not None:
        return images.size_of(recording.frames[index])
    return _video_size(recording.source) if recording.is_clip else images.size_of(recording.source)


def read_ground_truth(annotation: Annotation, size: tuple[int, int]) -> FrameGroundTruth:
    """Density and fixations of a frame of size (H, W), at that size.

    Raises:
        InputError: There is neither, or a file cannot be read or has another layout.
    """
    density = torch.tensor(read_density(annotation, size))
    fixations = None
    if annotation.fixations is not None:
        fixations = fixation_map(read_fixations(annotation, size).points, size)
    return FrameGroundTruth(resize(density[None], size)[0].numpy(), fixations)


def read_fixations(annotation: Annotation, size: tuple[int, int]) -> Fixations:
    """Fixated positions on a frame of size (H, W), which is its own; none without a file.

    Raises:
        InputError: The file cannot be read or has another layout.
    """
    found = read(annotation)
    height, width = found.size or size
    points = found.points
    if (height, width) != size:  # multiplied first: a quotient would round whole pixels down
        points = points * (size[1], size[0]) / (width, height)
    inside = (points >= 0).all(1) & (points[:, 0] < size[1]) & (points[:, 1] < size[0])
    return Fixations(points[inside], found.observers[inside], outside=int((~inside).sum()))


def fixation_map(points: Points, size: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """Binary fixation map of `size` (H, W) of `points`: positions (x, y) in pixels from 0."""
    return kernels.count_map(points, size) > 0


def read_density(
    annotation: Annotation,
    size: tuple[int, int],
    *,
    kernel: Kernel = kernels.DEFAULT,
    largest_side: int | None = LARGEST_SIDE,
) -> npt.NDArray[np.float32]:
    """Fixation density `[H', W']`, any scale, of a frame of size (H, W), which is its own.

    Of the map's own size if there is a map; otherwise computed from the fixations, at the frame's
    size or smaller.

    Args:
        annotation: Files of the frame.
        size: `(H, W)` of the frame.
        kernel: Blurs the fixations if there is no map.
        largest_side: Limit for a computed density; `None` for the frame's size.

    Raises:
        InputError: There is neither a map nor fixations, or the file cannot be read or has another
            layout.
    """
    path = annotation.density
    if path is None and annotation.fixations is None:
        raise InputError(f"there is neither a map nor fixations of the frame '{annotation.label}'")
    if path is None:
        return _compute(annotation, size, kernel=kernel, largest_side=largest_side)
    if path.suffix.lower() == ".mat":
        return read_matrix(path)
    if annotation.index is not None and path.suffix.lower() not in images.SUFFIXES:
        return mapvideo.read(path, annotation.index)
    return read_grey(path).astype(np.float32)


def _compute(
    annotation: Annotation, size: tuple[int, int], *, kernel: Kernel, largest_side: int | None
) -> npt.NDArray[np.float32]:
    shrink = min(1.0, (largest_side or max(size)) / max(size))
    height, width = (max(1, round(side * shrink)) for side in size)
    points = read_fixations(annotation, size).points * (width / size[1], height / size[0])
    return kernels.density(points, (height, width), kernel=kernel, scale=shrink)


@lru_cache(maxsize=PROBED)
def _video_size(path: Path) -> tuple[int, int]:
    return Video(path).size
