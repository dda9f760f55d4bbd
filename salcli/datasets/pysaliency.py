"""Datasets that pysaliency has written: `stimuli.hdf5` and `fixations.hdf5`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from salcli.datasets.collection import Collection, Found, lone_root
from salcli.datasets.holdout import HoldOut, HoldOutOption
from salcli.gaze.pysaliency import read_stimuli, shortest_names
from salcli.types import Annotation, Recording

__all__ = ["open_pysaliency"]

SPLITS = ("train", "valid", "all")


def open_pysaliency(roots: Sequence[Path], options: HoldOutOption) -> Collection:
    """Images with fixations below a root."""
    root, rule = lone_root("pysaliency", roots), HoldOut.parse(options.hold_out)
    return Collection(
        name="pysaliency",
        finders={split: partial(_find, root, split, rule) for split in SPLITS},
        evaluated="all",
    )


def _find(root: Path, split: str, rule: HoldOut) -> Found:
    images = read_stimuli(root / "stimuli.hdf5")
    fixations = root / "fixations.hdf5"
    recordings: list[Recording] = []
    for index, (image, name) in enumerate(zip(images, shortest_names(images), strict=True)):
        if not image.is_file():
            yield f"there is no image '{image}'"
            continue
        annotation = Annotation(image.stem, fixations=fixations, index=index)
        recordings.append(Recording(name.rpartition(".")[0] or name, image, [annotation]))
    yield from rule.part(recordings, split)
