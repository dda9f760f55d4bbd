"""The layout `folder`: a user's own images with density maps, fixations, or both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from natsort import natsorted

from salcli.errors import InputError, UsageError
from salcli.types import Recording

__all__ = ["Folder", "HoldOut"]

IMAGE_SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
FIXATION_SUFFIXES = (".mat", ".png")


@dataclass(frozen=True)
class HoldOut:
    """Which recordings validate: positions `first`, `first + every`, ... of each root.

    Positions count from 0 in the natural order of the file names.
    """

    every: int
    first: int = 0

    @classmethod
    def parse(cls, text: str) -> HoldOut:
        """`EVERY` or `EVERY:FIRST`.

        Raises:
            UsageError: Not two whole numbers with 0 <= FIRST < EVERY and EVERY >= 2.
        """
        every, _, first = text.partition(":")
        try:
            rule = cls(int(every), int(first or 0))
        except ValueError:
            raise UsageError(f"--hold-out takes EVERY or EVERY:FIRST, not '{text}'") from None
        if rule.every < 2 or not 0 <= rule.first < rule.every:
            raise UsageError(f"--hold-out {text}: EVERY must be at least 2 and FIRST below it")
        return rule

    def holds(self, position: int) -> bool:
        """Whether the recording at this position is kept for validation."""
        return position % self.every == self.first


class Folder:
    """Recordings below one or more roots with `images/` and `maps/` and/or `fixations/`.

    Raises:
        InputError: A root has no `images/` folder, or an image has neither map nor fixations.
    """

    def __init__(self, roots: Sequence[Path], *, hold_out: HoldOut) -> None:
        self._splits: dict[str, list[Recording]] = {"train": [], "valid": []}
        for root in roots:
            for position, recording in enumerate(_recordings(root)):
                split = "valid" if hold_out.holds(position) else "train"
                self._splits[split].append(recording)

    def recordings(self, split: Literal["train", "valid"]) -> Sequence[Recording]:
        """The recordings of a split, in the natural order of their names, root after root."""
        return self._splits[split]


def _recordings(root: Path) -> list[Recording]:
    folder = root / "images"
    if not folder.is_dir():
        raise InputError(
            f"'{root}' has no folder 'images'; see 'salcli train --help' for the layout"
        )
    images = [f for f in folder.iterdir() if f.suffix.lower() in IMAGE_SUFFIXES]
    if not images:
        raise InputError(f"'{folder}' holds no images")
    return [_recording(root, image) for image in natsorted(images, key=lambda f: f.name)]


def _recording(root: Path, image: Path) -> Recording:
    density = root / "maps" / f"{image.stem}.png"
    candidates = [root / "fixations" / f"{image.stem}{suffix}" for suffix in FIXATION_SUFFIXES]
    fixations = next((file for file in candidates if file.is_file()), None)
    if not density.is_file() and fixations is None:
        raise InputError(f"'{image}' has neither '{density}' nor '{candidates[0]}'")
    return Recording(
        name=f"{root.name}/{image.stem}",
        image=image,
        density=density if density.is_file() else None,
        fixations=fixations,
        group=root.name,
    )
