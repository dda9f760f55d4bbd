"""Turns recordings into training batches: cropped, flipped, coloured, preprocessed by the model."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, ImageEnhance
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from salcli import groundtruth, images
from salcli.errors import InputError
from salcli.model import Model
from salcli.recipe import Augmentation, Recipe
from salcli.types import Batch, Frame, Recording

__all__ = ["EpochBatches", "load"]


@dataclass(frozen=True)
class Crop:
    """Which part of an image is used, as shares of its sides, and whether it is mirrored."""

    left: float
    top: float
    right: float
    bottom: float
    flipped: bool

    def box(self, size: tuple[int, int]) -> tuple[float, float, float, float]:
        """(left, top, right, bottom) in pixels of a picture of size (H, W)."""
        height, width = size
        return self.left * width, self.top * height, self.right * width, self.bottom * height


class EpochBatches(Dataset[Batch]):
    """The batches of one epoch. Batch i depends on the seed, the epoch and i only.

    So an interrupted training that resumes sees the same data, with any number of workers.
    """

    def __init__(
        self, recordings: Sequence[Recording], model: Model, *, recipe: Recipe, epoch: int
    ) -> None:
        self._recordings = recordings
        self._model = model
        self._recipe = recipe
        self._seed = (recipe.seed, epoch)
        self._plan = _plan(recordings, recipe, np.random.default_rng(self._seed))

    def __len__(self) -> int:
        return len(self._plan)

    def __getitem__(self, index: int) -> Batch:
        if index >= len(self):
            raise IndexError(index)
        random = np.random.default_rng((*self._seed, index))
        augmentation = self._recipe.augmentation
        aspect = _draw_aspect(augmentation, random)
        samples = [self._sample(self._recordings[i], aspect, random) for i in self._plan[index]]
        inputs, density, fixations = (torch.stack(column) for column in zip(*samples, strict=True))
        return Batch(inputs[:, None], density[:, None, None], fixations[:, None, None])

    def _sample(
        self, recording: Recording, aspect: float | None, random: np.random.Generator
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Network input `[3, h, w]`, density `[h, w]` that sums to 1, fixation map `[h, w]`."""
        frame, annotation = images.read(recording.source), recording.annotations[0]
        size = (frame.shape[0], frame.shape[1])
        crop = _draw_crop(size, aspect, self._recipe.augmentation, random)
        picture = _crop_frame(frame, crop, self._recipe.augmentation, random)
        inputs = self._model.preprocess([picture])[0]
        target = (inputs.shape[-2], inputs.shape[-1])
        return (
            inputs,
            _crop_density(groundtruth.read_density(annotation, size), crop, target),
            _crop_fixations(
                groundtruth.read_fixations(annotation, size).points, size, crop, target
            ),
        )


def load(batches: EpochBatches, *, workers: int) -> Iterator[Batch]:
    """The batches in order, prepared by so many processes; by this one if `workers` is 0.

    Raises:
        InputError: A file of a recording cannot be read.
    """
    for batch in DataLoader(_Told(batches), batch_size=None, num_workers=workers):
        if isinstance(batch, InputError):
            raise batch
        yield batch


class _Told(Dataset[Batch | InputError]):
    """Gives errors as items: raised in a worker, they would arrive with a traceback inside."""

    def __init__(self, batches: EpochBatches) -> None:
        self._batches = batches

    def __len__(self) -> int:
        return len(self._batches)

    def __getitem__(self, index: int) -> Batch | InputError:
        try:
            return self._batches[index]
        except InputError as error:
            return error


def _plan(
    recordings: Sequence[Recording], recipe: Recipe, random: np.random.Generator
) -> list[list[int]]:
    """Positions of the recordings of each batch: shuffled, incomplete batches dropped.

    Where crops keep the image's own aspect ratio, a batch holds images of one size.
    """
    order = random.permutation(len(recordings)).tolist()
    groups: dict[object, list[int]] = defaultdict(list)
    for i in order:
        groups[
            None if recipe.augmentation.aspects else images.size_of(recordings[i].source)
        ].append(i)
    batches = [
        group[start : start + recipe.batch_size]
        for group in groups.values()
        for start in range(0, len(group) - recipe.batch_size + 1, recipe.batch_size)
    ]
    return [batches[i] for i in random.permutation(len(batches))]


def _draw_aspect(augmentation: Augmentation, random: np.random.Generator) -> float | None:
    if not augmentation.aspects:
        return None
    aspects, weights = zip(*augmentation.aspects, strict=True)
    return float(random.choice(aspects, p=np.array(weights) / sum(weights)))


def _draw_crop(
    size: tuple[int, int],
    aspect: float | None,
    augmentation: Augmentation,
    random: np.random.Generator,
) -> Crop:
    """The largest crop of this aspect ratio, shrunk by a random factor, at a random place."""
    height, width = size
    own = width / height
    wanted = own if aspect is None else aspect
    factor = random.uniform(augmentation.scale, 1)
    across, down = factor * min(1, wanted / own), factor * min(1, own / wanted)
    left, top = random.uniform(0, 1 - across), random.uniform(0, 1 - down)
    flipped = bool(random.random() < augmentation.flip)
    return Crop(left, top, left + across, top + down, flipped)


def _crop_frame(
    frame: Frame, crop: Crop, augmentation: Augmentation, random: np.random.Generator
) -> Frame:
    left, top, right, bottom = (round(side) for side in crop.box(frame.shape[:2]))
    picture = Image.fromarray(frame[top:bottom, left:right])
    if crop.flipped:
        picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    for enhancer, strength in (
        (ImageEnhance.Brightness, augmentation.brightness),
        (ImageEnhance.Contrast, augmentation.contrast),
        (ImageEnhance.Color, augmentation.saturation),
    ):
        if strength:
            picture = enhancer(picture).enhance(random.uniform(1 - strength, 1 + strength))
    if augmentation.hue:
        picture = _turn_hue(picture, random.uniform(-augmentation.hue, augmentation.hue))
    return np.asarray(picture)


def _turn_hue(picture: Image.Image, turn: float) -> Image.Image:
    """The picture with every hue further by a share of the colour circle."""
    hue, saturation, value = picture.convert("HSV").split()
    turned = Image.fromarray(np.asarray(hue) + np.uint8(int(turn * 255) % 256))
    return Image.merge("HSV", (turned, saturation, value)).convert("RGB")


def _crop_density(density: npt.NDArray[np.float32], crop: Crop, target: tuple[int, int]) -> Tensor:
    picture = Image.fromarray(density).resize(
        target[::-1], Image.Resampling.BILINEAR, box=crop.box(density.shape[:2])
    )
    if crop.flipped:
        picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    cropped = torch.from_numpy(np.array(picture)).clamp(min=0)
    total = cropped.sum()
    # Nobody looked into the crop: then every place is equally likely.
    return cropped / total if total > 0 else torch.full(target, 1 / cropped.numel())


def _crop_fixations(
    points: groundtruth.Points, size: tuple[int, int], crop: Crop, target: tuple[int, int]
) -> Tensor:
    left, top, right, bottom = crop.box(size)
    scaled = (points - (left, top)) * (target[1] / (right - left), target[0] / (bottom - top))
    if crop.flipped:
        scaled[:, 0] = target[1] - scaled[:, 0]
    inside = (scaled >= 0).all(1) & (scaled[:, 0] < target[1]) & (scaled[:, 1] < target[0])
    return torch.from_numpy(groundtruth.fixation_map(scaled[inside], target))
