"""Reads what observers did: fixations and fixation density maps, from files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from scipy.io import loadmat

from salcli import imageops, images
from salcli.errors import InputError
from salcli.types import Annotation

__all__ = ["Fixations", "fixation_map", "read_density", "read_fixations"]

Points: TypeAlias = npt.NDArray[np.float64]

FIXATED = 127
"""Grey levels above this mark a fixation in a binary fixation map (it was JPEG once, perhaps). In a
map that has none, which holds 0 and 1 or counts, everything above 0 does."""

KERNEL_SHARE = 0.03
"""Sigma of the density that is made where only fixations exist, as a share of the image's width:
about one degree of visual angle in the usual set-ups (24 pixels of 800 in OSIE)."""

LARGEST_SIDE = 800
"""Of a density that is made here: it is smooth, so that more pixels would only cost time."""


@dataclass(frozen=True)
class Fixations:
    """Where observers looked on one frame.

    Attributes:
        points: `[n, 2]` as (x, y) pixels from 0, inside the frame; pixel (0, 0) reaches from 0 to 1
            and its centre is at 0.5. Repeats are kept.
        observers: `[n]`, whose each point is, counted from 0; -1 where the file does not say.
        outside: How many positions were left out since they lie outside the frame.
    """

    points: Points
    observers: npt.NDArray[np.int64]
    outside: int = 0


def read_fixations(annotation: Annotation, size: tuple[int, int]) -> Fixations:
    """Fixated positions on a frame of size (H, W); none without a file.

    Raises:
        InputError: The file cannot be read or has another layout.
    """
    if annotation.fixations is None:
        return Fixations(np.empty((0, 2)), np.empty(0, np.int64))
    read = _from_mat if annotation.fixations.suffix.lower() == ".mat" else _from_picture
    points, observers, (height, width) = read(annotation.fixations)
    points = points * (size[1] / width, size[0] / height)
    inside = (points >= 0).all(1) & (points[:, 0] < size[1]) & (points[:, 1] < size[0])
    return Fixations(points[inside], observers[inside], outside=int((~inside).sum()))


def fixation_map(points: Points, size: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """Binary fixation map `[H, W]` of positions (x, y) in pixels from 0."""
    fixated = np.zeros(size, dtype=bool)
    x, y = points.astype(int).T
    fixated[y, x] = True
    return fixated


def read_density(annotation: Annotation, size: tuple[int, int]) -> npt.NDArray[np.float32]:
    """Fixation density `[H', W']`, any scale, of an image of size (H, W).

    The map's own size where there is a map; else a Gaussian of 3 % of the width over the fixations.

    Raises:
        InputError: The file cannot be read or has another layout.
    """
    if annotation.density is not None:
        return _read_grey(annotation.density).astype(np.float32)
    shrink = min(1.0, LARGEST_SIDE / max(size))
    height, width = (max(1, round(side * shrink)) for side in size)
    counts = np.zeros((height, width), dtype=np.float32)
    x, y = read_fixations(annotation, (height, width)).points.astype(int).T
    np.add.at(counts, (y, x), 1)
    sigma = KERNEL_SHARE * width
    density: npt.NDArray[np.float32] = imageops.gaussian_blur(
        torch.from_numpy(counts), sigma
    ).numpy()
    return density


def _read_grey(path: Path) -> npt.NDArray[np.uint8]:
    return np.asarray(Image.fromarray(images.read(path)).convert("L"))


def _from_picture(path: Path) -> tuple[Points, npt.NDArray[np.int64], tuple[int, int]]:
    grey = _read_grey(path)
    y, x = np.nonzero(grey > (FIXATED if grey.max() > FIXATED else 0))
    # The pixel's centre, so that scaling to another size hits the right pixel.
    points = np.stack([x + 0.5, y + 0.5], axis=1)
    return points, np.full(len(points), -1), (grey.shape[0], grey.shape[1])


def _from_mat(path: Path) -> tuple[Points, npt.NDArray[np.int64], tuple[int, int]]:
    """SALICON's layout: `gaze`, one struct per observer with `fixations`; `resolution` [h, w].

    Positions there are (x, y) pixels from 1; the centre of pixel 1 lies at 0.5 here.
    """
    try:
        content: dict[str, Any] = loadmat(path)
        height, width = (int(n) for n in np.ravel(content["resolution"]))
        observers = np.ravel(content["gaze"])
        records = [np.reshape(record["fixations"], (-1, 2)) for record in observers]
        points = np.concatenate([np.empty((0, 2)), *records]).astype(np.float64)
        if height < 1 or width < 1:
            raise ValueError(f"the resolution is {height} x {width}")
    except Exception as error:  # scipy raises many kinds for a damaged file
        raise InputError(
            f"'{path}' does not hold SALICON-like fixations (gaze.fixations, resolution): {error}"
        ) from error
    whose = np.repeat(np.arange(len(records)), [len(record) for record in records])
    return points - 0.5, whose, (height, width)
