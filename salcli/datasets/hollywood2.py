"""Hollywood-2 with eye movements (Mathe and Sminchisescu), cut into shots, in DHF1K's format.

`{training,testing}/actionclip{train,test}VVVVV_S/{images,maps,fixation}/`: video V, shot S. The
numbers in the names of the frames go on from shot to shot.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from salcli.datasets.cliptree import clips_below
from salcli.datasets.collection import Collection, Found, lone_root
from salcli.types import Submission

__all__ = ["open_hollywood2", "validation_videos"]

FPS = 24.0
LAST_VIDEO = 700
"""Videos 701 to 747 are in no training of UNISAL (a number inherited from DHF1K)."""


def open_hollywood2(roots: Sequence[Path], options: None) -> Collection:
    """Hollywood-2 below its root.

    `train` and `valid` are UNISAL's parts of the published `training`; `test` is as published.
    """
    root = lone_root("hollywood2", roots)
    held = validation_videos()
    chosen: dict[str, tuple[str, Callable[[int], bool]]] = {
        "train": ("training", lambda video: video <= LAST_VIDEO and video not in held),
        "valid": ("training", lambda video: video in held),
        "test": ("testing", lambda video: True),
        "training": ("training", lambda video: True),
    }
    return Collection(
        name="hollywood2",
        finders={split: partial(_find, root, *how) for split, how in chosen.items()},
        evaluated="test",
        kernel="hollywood2",
        submission=Submission("{clip}/{label}"),
        expected={"training": 2699, "test": 3558},
    )


def validation_videos() -> frozenset[int]:
    """UNISAL's 75 validation videos among 1 to 700: positions 624 to 698 of a fixed shuffle."""
    numbers = np.arange(1, LAST_VIDEO + 1)
    np.random.RandomState(42).shuffle(numbers)
    return frozenset(numbers[624:699].tolist())


def _find(root: Path, part: str, wanted: Callable[[int], bool]) -> Found:
    def chosen(name: str) -> bool:
        number = re.fullmatch(r"actionclip(?:train|test)(\d+)(?:_\d+)?", name)
        return number is not None and wanted(int(number[1]))

    return clips_below(root, part, fps=FPS, chosen=chosen)
