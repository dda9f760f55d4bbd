"""Baselines that ignore what the frame shows, and how they are fitted to a training split."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from scipy.optimize import minimize_scalar
from torch import Tensor, nn

from salcli.baselines import CentreOptions, MeanMapOptions
from salcli.errors import InputError, UsageError
from salcli.files.arrayfile import read_arrays
from salcli.maps import rescale, resize
from salcli.models.model import Model
from salcli.types import Frame, Prediction, Stimulus

__all__ = ["Centre", "MeanMap", "fit_centre", "fit_centre_to_maps", "gaussian", "mean_map"]

Map = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]

SIGMAS = (1e-3, 10.0)
"""Range of the width of a fitted centre prior; at the upper end it is flat."""


class Prior(Model):
    """A model that gives every frame of a size the same map."""

    def build(self) -> nn.Module:
        """Nothing is learned."""
        return nn.Identity()

    def preprocess(self, frames: Sequence[Frame]) -> Tensor:
        """The frames themselves, `[N, 3, H, W]` in [0, 1]; their size is all that matters."""
        return torch.from_numpy(np.stack(frames)).permute(0, 3, 1, 2).float().div_(255)

    def predict(self, stimulus: Stimulus) -> Iterator[Prediction]:
        """The same map for every frame of a size."""
        size, map_ = (0, 0), torch.empty(0)
        for frame in stimulus.frames:
            if frame.shape[:2] != size:
                size = (frame.shape[0], frame.shape[1])
                map_ = self.map(size).to(self.device)
            yield Prediction(map_)

    @abstractmethod
    def map(self, size: tuple[int, int]) -> Tensor:
        """float32 `[H, W]` with the maximum 1."""


class Centre(Prior):
    """A Gaussian in the middle of the frame."""

    options: CentreOptions

    def map(self, size: tuple[int, int]) -> Tensor:
        """The Gaussian divided by its maximum."""
        values = gaussian(size, sigma_x=self.options.sigma_x, sigma_y=self.options.sigma_y)
        return torch.from_numpy((values / values.max()).astype(np.float32))


class MeanMap(Prior):
    """The mean density map of a training split."""

    options: MeanMapOptions
    shown: Tensor

    def build(self) -> nn.Module:
        """Read the map; nothing is learned.

        Raises:
            UsageError: The option `map` is missing.
            InputError: The file holds no map.
        """
        if self.options.map is None:
            raise UsageError("model 'mean-map' needs the option map=FILE (.npy or an image)")
        self.shown = torch.from_numpy(_read_map(self.options.map))
        return super().build()

    def map(self, size: tuple[int, int]) -> Tensor:
        """The map at this size, divided by its maximum."""
        return rescale(resize(self.shown[None], size), "max")[0]


def gaussian(size: tuple[int, int], *, sigma_x: float, sigma_y: float) -> Floats:
    """A Gaussian around the centre of a frame (H, W), its widths shares of the frame's sides.

    float64 `[H, W]`, summing to 1.
    """
    sides = [
        np.exp(-0.5 * (((np.arange(n) + 0.5) / n - 0.5) / sigma) ** 2)
        for n, sigma in zip(size, (sigma_y, sigma_x), strict=True)
    ]
    values: Floats = np.outer(sides[0] / sides[0].sum(), sides[1] / sides[1].sum())
    return values


def fit_centre(fixations: Iterable[tuple[Floats, tuple[int, int]]]) -> CentreOptions:
    """Fit the centre prior under which fixations are most likely.

    Args:
        fixations: Points `[n, 2]` as (x, y) pixels of frames of size (H, W), one pair per frame.

    Raises:
        ValueError: There are no fixations.
    """
    total, squares = 0.0, np.zeros(2)
    for points, (height, width) in fixations:
        offsets = points / (width, height) - 0.5
        total += len(points)
        squares += (offsets**2).sum(axis=0)
    return _fitted(total, squares)


def fit_centre_to_maps(densities: Iterable[Map]) -> CentreOptions:
    """Fit the centre prior under which density maps `[H, W]` are most likely, with equal weights.

    Raises:
        ValueError: There are no maps, or all are zero.
    """
    total, squares = 0.0, np.zeros(2)
    for density in densities:
        mass = float(density.sum(dtype=np.float64))
        if mass > 0:
            across, down = (density.sum(axis=axis, dtype=np.float64) / mass for axis in (0, 1))
            total += 1
            squares += [_offsets(side.size) ** 2 @ side for side in (across, down)]
    return _fitted(total, squares)


def mean_map(densities: Iterable[Map], size: tuple[int, int]) -> Floats:
    """Mean of density maps, each resized to (H, W) and divided by its sum; the result sums to 1.

    Maps of zeros do not count.

    Raises:
        ValueError: There are no maps, or all are zero.
    """
    total, count = np.zeros(size), 0
    for density in densities:
        map_ = resize(torch.from_numpy(np.asarray(density, np.float64))[None], size)
        mass = float(map_.sum())
        if mass > 0:
            total += map_[0].numpy() / mass
            count += 1
    if not count:
        raise ValueError("a mean map needs at least one density map that is not zero everywhere")
    return total / count


def _offsets(n: int) -> Floats:
    """Distances of pixel centres from the middle, as shares of the side."""
    offsets: Floats = (np.arange(n) + 0.5) / n - 0.5
    return offsets


def _fitted(total: float, squares: Floats) -> CentreOptions:
    if not total:
        raise ValueError("a centre prior needs at least one fixation to be fitted to")
    sigma_x, sigma_y = (_most_likely_sigma(float(moment)) for moment in squares / total)
    return CentreOptions(sigma_x=sigma_x, sigma_y=sigma_y)


def _most_likely_sigma(moment: float) -> float:
    """Width of a Gaussian truncated by the frame, from its second moment about the centre."""

    def surprise(logarithm: float) -> float:
        sigma = math.exp(logarithm)
        inside = math.erf(0.5 / (sigma * math.sqrt(2)))
        return moment / (2 * sigma**2) + math.log(sigma) + math.log(inside)

    bounds = (math.log(SIGMAS[0]), math.log(SIGMAS[1]))
    return math.exp(minimize_scalar(surprise, bounds=bounds, method="bounded").x)


def _read_map(path: Path) -> npt.NDArray[np.float32]:
    try:
        if path.suffix.lower() == ".npy":
            values = read_arrays(path)[""]
        else:
            with Image.open(path) as picture:
                values = np.asarray(picture.convert("L"))
        values = values.astype(np.float32)
    except (OSError, ValueError) as error:
        raise InputError(f"'{path}' cannot be read as a map (.npy or an image): {error}") from error
    if values.ndim != 2 or not np.isfinite(values).all() or values.min() < 0 or not values.any():
        raise InputError(
            f"'{path}' is no density map: it must be [H, W], finite, without values below zero, "
            "and not zero everywhere"
        )
    map_: npt.NDArray[np.float32] = values
    return map_
