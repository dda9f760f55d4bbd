"""SALICON: 20,000 COCO images of 640 x 480, mouse tracking; ground truth of `test` is withheld.

SALICON has two editions with the same file names, from 2015 and 2017, whose fixations differ much
(one model scores NSS 3.23 on one and 1.87 on the other). The files do not tell them apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from salcli.datasets.collection import Collection, Found, lacking, lone_root
from salcli.datasets.framefiles import by_stem, fixations_by_stem
from salcli.media.images import SUFFIXES
from salcli.specs import option
from salcli.types import Annotation, Recording, Submission

__all__ = ["SaliconOptions", "open_salicon"]

PARTS = {"train": "train", "valid": "val", "test": "test"}


@dataclass(frozen=True)
class SaliconOptions:
    """Options of the layout."""

    edition: Literal["2015", "2017", "unknown"] = option(
        "unknown", "which of SALICON's two editions it is, for reports"
    )


def open_salicon(roots: Sequence[Path], options: SaliconOptions) -> Collection:
    """SALICON below the only one of `roots`, in the edition that `options` name.

    Its images are in one flat folder, or in one per part.
    """
    root = lone_root("salicon", roots)
    return Collection(
        name="salicon",
        finders={split: partial(_find, root, split) for split in PARTS},
        evaluated="valid",
        edition=options.edition,
        submission=Submission("{label}", sized=True),
        expected={"train": 10_000, "valid": 5_000, "test": 5_000},
    )


def _find(root: Path, split: str) -> Found:
    part = PARTS[split]
    own = by_stem([root / "images" / part, root / "images" / f"{part}2014"], SUFFIXES)
    flat = by_stem([root / "images"], SUFFIXES)
    own |= {stem: path for stem, path in flat.items() if stem.startswith(f"COCO_{part}")}
    maps = by_stem([root / "maps" / part], SUFFIXES)
    fixations = fixations_by_stem([root / "fixations" / part, root / "fixation_maps" / part])
    if split != "test":
        for kind, there in (("map", maps), ("fixations", fixations)):
            yield from lacking(kind, {own[stem].name: there.get(stem) for stem in sorted(own)})
    for stem, image in sorted(own.items()):
        annotation = Annotation(stem, maps.get(stem), fixations.get(stem))
        yield Recording(f"{split}/{stem}", image, [annotation])
