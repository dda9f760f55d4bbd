"""UCF-Sports with eye movements (Mathe and Sminchisescu), as distributed with DHF1K.

`{training,testing}/NAME-CCC/{images,maps,fixation}/NAME_CCC_FFF.png`, e.g. `Diving-Side-001/` and
`Diving-Side_001_001.png`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from salcli.datasets.cliptree import clips_below
from salcli.datasets.collection import Collection, lone_root
from salcli.datasets.published import ucf_sports_clips
from salcli.types import Submission

__all__ = ["open_ucfsports", "validation_clips"]

FPS = 24.0


def open_ucfsports(roots: Sequence[Path], options: None) -> Collection:
    """UCF-Sports below its root.

    `train` and `valid` are UNISAL's parts of the published `training`; `test` is as published.
    """
    root = lone_root("ucfsports", roots)
    held = validation_clips()
    chosen: dict[str, tuple[str, Callable[[str], bool]]] = {
        "train": ("training", lambda name: name not in held),
        "valid": ("training", lambda name: name in held),
        "test": ("testing", lambda name: True),
        "training": ("training", lambda name: True),
    }
    every, test = ucf_sports_clips("train"), ucf_sports_clips("test")
    return Collection(
        name="ucfsports",
        finders={
            split: partial(clips_below, root, part, fps=FPS, chosen=wanted)
            for split, (part, wanted) in chosen.items()
        },
        evaluated="test",
        kernel="hollywood2",
        submission=Submission("{clip}/{label}"),
        expected={
            "train": [name for name in every if name not in held],
            "valid": [name for name in every if name in held],
            "test": list(test),
            "training": list(every),
        },
        frame_counts={**every, **test},
    )


def validation_clips() -> frozenset[str]:
    """UNISAL's 10 validation clips: positions 92 to 101 of a fixed shuffle of the 103 names."""
    numbers = np.arange(1, 104)
    np.random.RandomState(27).shuffle(numbers)
    names = list(ucf_sports_clips("train"))
    return frozenset(names[number - 1] for number in numbers[92:102])
