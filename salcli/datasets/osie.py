"""OSIE (Xu et al. 2014): 700 scenes of 800 x 600, 15 observers, with SALICON-like fixation files.

Nobody published a split. Of the positions of the 700 images by name, modulo 7, those at 3 validate;
those at 0 are often kept back as a test set, and are in `all` only.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from salcli.datasets.collection import Collection, Found, lone_root
from salcli.datasets.files import by_stem
from salcli.images import SUFFIXES
from salcli.types import Annotation, Recording

__all__ = ["open_osie"]

FIRST = 1001
"""Name of the first image."""

PERIOD = 7
PLACES = {"train": {1, 2, 4, 5, 6}, "valid": {3}, "all": set(range(PERIOD))}


def open_osie(roots: Sequence[Path], options: None) -> Collection:
    """OSIE below its root: `images/NNNN.jpg`, `maps/NNNN.png`, `fixations/NNNN.mat`."""
    root = lone_root("osie", roots)
    return Collection(
        name="osie",
        finders={split: partial(_find, root, split) for split in PLACES},
        evaluated="all",
    )


def _find(root: Path, split: str) -> Found:
    images = by_stem([root / "images"], SUFFIXES)
    maps = by_stem([root / "maps"], SUFFIXES)
    fixations = by_stem([root / "fixations"], frozenset({".mat"}))
    for stem, image in sorted(images.items()):
        if not stem.isdecimal():
            yield f"'{image}' is not named by a number"
        elif (int(stem) - FIRST) % PERIOD in PLACES[split]:
            if stem not in maps and stem not in fixations:
                yield f"neither map nor fixations of '{image.name}'"
            annotation = Annotation(stem, maps.get(stem), fixations.get(stem))
            yield Recording(f"osie/{stem}", image, [annotation])
