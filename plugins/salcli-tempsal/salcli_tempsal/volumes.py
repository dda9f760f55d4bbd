"""The dataset `salicon-slices`: SALICON's images with what `salcli tempsal slices` made of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from salcli import Annotation, Recording, option
from salcli.authoring import (
    Collection,
    Found,
    SaliconOptions,
    by_stem,
    images,
    lone_root,
    open_salicon,
)

__all__ = ["SliceOptions", "open_slices"]

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
