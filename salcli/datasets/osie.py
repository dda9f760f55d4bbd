"""OSIE (Xu et al. 2014): 700 scenes of 800 x 600, 15 observers, with SALICON-like fixation files.

No split is published. Images are numbered by name; of their positions modulo 7, 3 is held out for
validation, and 0 for tests.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from salcli.datasets.collection import Collection, Found, lacking, lone_root
from salcli.datasets.framefiles import by_stem
from salcli.media.images import SUFFIXES
from salcli.types import Annotation, Recording

__all__ = ["open_osie"]

FIRST = 1001
"""Name of the first image."""

PERIOD = 7
PLACES = {"train": {1, 2, 4, 5, 6}, "valid": {3}, "test": {0}, "all": set(range(PERIOD))}


def open_osie(roots: Sequence[Path], options: None) -> Collection:
    """OSIE below its root: `images/NNNN.jpg`, `maps/NNNN.png`, `fixations/NNNN.mat`."""
    root = lone_root("osie", roots)
    return Collection(
        name="osie",
        finders={split: partial(_find, root, split) for split in PLACES},
        evaluated="all",
        expected={"train": 500, "valid": 100, "test": 100},
    )


def _find(root: Path, split: str) -> Found:
    images = by_stem([root / "images"], SUFFIXES)
    maps = by_stem([root / "maps"], SUFFIXES)
    fixations = by_stem([root / "fixations"], frozenset({".mat"}))
    yield from (f"'{image}' is not named by a number" for image in _unnumbered(images))
    chosen = {
        stem: image
        for stem, image in sorted(images.items())
        if stem.isdecimal() and (int(stem) - FIRST) % PERIOD in PLACES[split]
    }
    for kind, there in (("map", maps), ("fixations", fixations)):
        if there:  # one of the two is enough
            yield from lacking(kind, {image.name: there.get(s) for s, image in chosen.items()})
    for stem, image in chosen.items():
        yield Recording(
            f"osie/{stem}", image, [Annotation(stem, maps.get(stem), fixations.get(stem))]
        )


def _unnumbered(images: Mapping[str, Path]) -> list[Path]:
    return [image for stem, image in sorted(images.items()) if not stem.isdecimal()]
