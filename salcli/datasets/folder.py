"""The layout `folder`: a user's own images with density maps, fixations, or both."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from natsort import natsorted

from salcli.errors import InputError, UsageError
from salcli.images import SUFFIXES
from salcli.types import Annotation, Recording

__all__ = ["Folder", "HoldOut"]

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

    Each root is a group, named like its folder, or by its whole path where two have one name.

    Raises:
        InputError: A root has no `images/` folder or no images in it, an image has neither map nor
            fixations, or two images would share them.
    """

    def __init__(self, roots: Sequence[Path], *, hold_out: HoldOut) -> None:
        self._splits: dict[str, list[Recording]] = {"train": [], "valid": []}
        named = [root if root.name not in ("", "..") else root.resolve() for root in roots]
        names = Counter(root.name for root in dict.fromkeys(named))
        for root in dict.fromkeys(named):
            group = root.name if names[root.name] == 1 else str(root)
            for position, image in enumerate(_images(root)):
                split = "valid" if hold_out.holds(position) else "train"
                self._splits[split].append(_recording(root, image, group))

    def recordings(self, split: str, /) -> Sequence[Recording]:
        """The recordings of `"train"` or `"valid"`, in natural order, root after root."""
        return self._splits[split]


def _images(root: Path) -> list[Path]:
    """The images below a root in the natural order of their names, hidden files left out."""
    folder = root / "images"
    if not folder.is_dir():
        raise InputError(
            f"'{root}' has no folder 'images'; see 'salcli train --help' for the layout"
        )
    found = natsorted(
        (
            file
            for file in folder.iterdir()
            if file.suffix.lower() in SUFFIXES and not file.name.startswith(".")
        ),
        key=lambda file: file.name,
    )
    if not found:
        raise InputError(f"'{folder}' holds no images")
    stems: dict[str, Path] = {}
    for image in found:
        twin = stems.setdefault(image.stem, image)
        if twin is not image:
            raise InputError(
                f"'{twin}' and '{image.name}' would share one map and one set of fixations; "
                "rename one of them, and what belongs to it"
            )
    return found


def _recording(root: Path, image: Path, group: str) -> Recording:
    density = root / "maps" / f"{image.stem}.png"
    candidates = [root / "fixations" / f"{image.stem}{suffix}" for suffix in FIXATION_SUFFIXES]
    fixations = next((file for file in candidates if file.is_file()), None)
    if not density.is_file() and fixations is None:
        raise InputError(
            f"'{image}' has neither a map '{density}' nor fixations '{candidates[0]}'; add one of "
            "them, or take the image away"
        )
    return Recording(
        name=f"{group}/{image.stem}",
        source=image,
        annotations=[
            Annotation(image.stem, density if density.is_file() else None, fixations),
        ],
        group=group,
    )
