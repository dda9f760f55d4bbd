"""The dataset `salicon-slices`: SALICON's images with what `salcli tempsal slices` made of them."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from salcli import Annotation, InputError, Recording, option
from salcli.authoring import (
    Collection,
    Found,
    SaliconOptions,
    by_stem,
    images,
    lone_root,
    open_salicon,
    resample,
)

if TYPE_CHECKING:
    import numpy.typing as npt

    from salcli import Frame

__all__ = ["SliceOptions", "open_slices", "read_slices"]

PARTS = {"train": "train", "valid": "val"}


@dataclass(frozen=True)
class SliceOptions(SaliconOptions):
    """Options of the layout."""

    slices: int = option(5, "how many maps an image has", min=1)


def open_slices(roots: Sequence[Path], options: SliceOptions) -> Collection:
    """SALICON below its root; each image has its slices as annotations, in the order of viewing."""
    root = lone_root("salicon-slices", roots)
    salicon = open_salicon(roots, SaliconOptions(options.edition))
    return Collection(
        name="salicon-slices",
        finders={split: partial(_find, root, salicon, split, options.slices) for split in PARTS},
        evaluated="valid",
        edition=options.edition,
        expected={split: salicon.expected[split] for split in PARTS},
    )


def _find(root: Path, salicon: Collection, split: str, count: int) -> Found:
    saliency, fixations = (
        by_stem([folder / PARTS[split], folder], images.SUFFIXES)
        for folder in (root / f"{kind}_volumes_{count}" for kind in ("saliency", "fixation"))
    )
    for recording in salicon.recordings(split):
        names = [f"{recording.source.stem}_{index}" for index in range(count)]
        if not all(name in saliency for name in names):
            image = recording.source.name
            yield f"no {count} slices of '{image}', which 'salcli tempsal slices' makes"
            continue
        annotations = [Annotation(name, saliency[name], fixations.get(name)) for name in names]
        yield Recording(recording.name, recording.source, annotations)


def read_slices(folder: Path, name: str, *, count: int, like: Frame) -> npt.NDArray[np.float32]:
    """The saliency maps `[T, H, W]` of an image in a folder that `salcli tempsal slices` wrote.

    Args:
        folder: Has NAME_0.png and so on.
        name: Of the image, without its ending.
        count: How many there must be.
        like: Maps get the size of this picture.

    Raises:
        InputError: One is missing or cannot be read, or there are more.
    """
    found = [folder / f"{name}_{index}.png" for index in range(count)]
    missing = [path for path in found if not path.is_file()]
    if missing or (folder / f"{name}_{count}.png").exists():
        there = len(list(folder.glob(f"{glob.escape(name)}_[0-9]*.png")))
        raise InputError(
            f"the model gives {count} slices of '{name}', and '{folder}' has {there}; 'salcli "
            "tempsal slices' makes them, from SALICON's fixations"
        )
    size = like.shape[0], like.shape[1]
    levels = [images.read(path)[..., 0] for path in found]
    return np.stack([resample(level, size, "bilinear") for level in levels]).astype(np.float32)
