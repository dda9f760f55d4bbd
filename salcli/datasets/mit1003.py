"""MIT1003 (Judd et al. 2009): 1003 images, 15 observers, and the ten folds that UNISAL made.

`_fixPts.jpg` has fixations without observers. `DATA.zip` has each observer's raw gaze samples, and
their conversion to fixations is published as a MATLAB program only (`DatabaseCode.zip`). The output
of that program is read from `fixations/`, one file per image.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from salcli.datasets.collection import Collection, Found, lacking, lone_root
from salcli.datasets.framefiles import by_stem
from salcli.media.images import SUFFIXES
from salcli.specs import option
from salcli.types import Annotation, Recording, Submission

__all__ = ["FOLDS", "Mit1003Options", "fold_positions", "open_mit1003"]

FOLDS = 10
IMAGES = 1003

OBSERVED = "fixations"
"""Folder of fixations with observers, in SALICON's format."""


@dataclass(frozen=True)
class Mit1003Options:
    """Options of the layout."""

    fold: int = option(0, "fold that is held out for validation", min=0, max=FOLDS - 1)


def open_mit1003(roots: Sequence[Path], options: Mit1003Options) -> Collection:
    """MIT1003 below its root: `ALLSTIMULI` and `ALLFIXATIONMAPS`, as the archives unpack.

    Files in `fixations` take the place of the binary maps.
    """
    root = lone_root("mit1003", roots)
    observed = by_stem([root / OBSERVED], frozenset({".mat"}))
    return Collection(
        name="mit1003",
        finders={
            split: partial(_find, root, split, options.fold, observed)
            for split in ("train", "valid", "all")
        },
        evaluated="all",
        edition=f"fold {options.fold}" + (", fixations by observer" if observed else ""),
        kernel="mit",
        submission=Submission("{label}", (".png", ".jpg", ".jpeg"), sized=True),
    )


def fold_positions(fold: int, images: int = IMAGES) -> Sequence[int]:
    """Positions of the validation images in the list sorted by name, in UNISAL's order."""
    order = np.arange(images)
    np.random.RandomState(27).shuffle(order)
    share = images / FOLDS
    positions: list[int] = order[int(share * fold) : int(share * (fold + 1))].tolist()
    return positions


def _find(root: Path, split: str, fold: int, observed: Mapping[str, Path]) -> Found:
    images = by_stem([root / "ALLSTIMULI" / "ALLSTIMULI", root / "ALLSTIMULI"], SUFFIXES)
    maps = by_stem(
        [root / "ALLFIXATIONMAPS" / "ALLFIXATIONMAPS", root / "ALLFIXATIONMAPS"], SUFFIXES
    )
    if images and len(images) != IMAGES:
        yield f"{len(images)} of {IMAGES} images: these are not the published folds"
    names = sorted(images)
    held = fold_positions(fold, len(names))
    chosen = {"valid": held, "train": sorted(set(range(len(names))) - set(held))}
    stems = [names[position] for position in chosen.get(split, range(len(names)))]
    densities = {stem: maps.get(f"{stem}_fixMap") for stem in stems}
    points = observed or {name.removesuffix("_fixPts"): path for name, path in maps.items()}
    fixations = {stem: points.get(stem) for stem in stems}
    yield from lacking("fixation map (_fixMap.jpg)", densities)
    yield from lacking(
        f"file in '{OBSERVED}'" if observed else "fixations (_fixPts.jpg)", fixations
    )
    for stem in stems:
        annotation = Annotation(stem, densities[stem], fixations[stem])
        yield Recording(f"mit1003/{stem}", images[stem], [annotation])
