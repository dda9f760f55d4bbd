"""Which file belongs to which frame, by their names: density maps, fixations, predictions, flow.

Names are compared without their suffixes. The first of these rules that finds a file counts:

1. The same name: `im_1` and `im_1`.
2. The same name with a known ending (`_fixMap`, `_fixPts`, `_fixation`, `_fixations`, in any case,
   or `.png16`): `im_1` and `im_1_fixMap`.
3. The same whole number, padded or not: `1` and `0001`, also with a known ending.
4. The same last number in the name: `img_00001` and `eyeMap_00001`. It counts only if these numbers
   tell all the files apart and no other frame has the same one, so that nothing is guessed.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping
from pathlib import Path
from typing import Generic, TypeVar

from salcli.types import Annotation

__all__ = ["FileNames", "annotate", "last_number", "pair"]

Item = TypeVar("Item")

ENDING = re.compile(r"(_(fixMap|fixPts|fixations?)|\.png16)$", re.IGNORECASE)
"""What datasets append to the name of a frame in the names of its maps and fixations."""

POINTS = "_fixpts"
"""Ending of the binary fixation maps that lie among the density maps, as in MIT1003."""


class FileNames(Generic[Item]):
    """Files by name, to be found by the names of frames; see the rules above.

    Args:
        files: Anything that stands for a file, by the file's name without suffix.
        frames: Names of all frames, as far as they are known, without suffix.
    """

    def __init__(self, files: Mapping[str, Item], frames: Iterable[str] = ()) -> None:
        numbers = Counter(map(last_number, files))
        shared = Counter(map(last_number, dict.fromkeys(frames)))
        distinct = all(count == 1 for number, count in numbers.items() if number is not None)
        self._rules: list[tuple[Callable[[str], Hashable], Mapping[Hashable, Item]]] = [
            (key, _by_key(files, key)) for key in (str, _without_ending, _whole_number)
        ]
        if distinct:
            alone = {stem: item for stem, item in files.items() if shared[last_number(stem)] <= 1}
            self._rules.append((last_number, _by_key(alone, last_number)))

    def find(self, frame: str) -> Item | None:
        """The file of the frame with this name; `None` if there is none."""
        for key, files in self._rules:
            item = files.get(key(frame))
            if item is not None:
                return item
        return None


def pair(frames: Iterable[str], files: Mapping[str, Item]) -> dict[str, Item]:
    """The file of each frame, by the frame's name; frames without a file are left out.

    Args:
        frames: Names of all frames, without suffix.
        files: Anything that stands for a file, by the file's name without suffix.
    """
    names = list(frames)
    index = FileNames(files, names)
    found = ((name, index.find(name)) for name in names)
    return {name: item for name, item in found if item is not None}


def annotate(
    frames: Iterable[str], *, maps: Mapping[str, Path], fixations: Mapping[str, Path]
) -> dict[str, Annotation]:
    """What observers did on each frame, by the frame's name, which is the annotation's label too.

    Args:
        frames: Names of all frames, without suffix.
        maps: Density maps by their names without suffix. Those that end in `_fixPts` are fixations.
        fixations: Files of fixations, likewise; they count before those among the maps.
    """
    names = list(frames)
    beside = {stem: path for stem, path in maps.items() if stem.lower().endswith(POINTS)}
    densities = pair(names, {stem: path for stem, path in maps.items() if stem not in beside})
    points = pair(names, beside) | pair(names, fixations)
    return {name: Annotation(name, densities.get(name), points.get(name)) for name in names}


def last_number(name: str) -> int | None:
    """The last number in a name; `None` if it has none."""
    numbers = re.findall(r"\d+", name)
    return int(numbers[-1]) if numbers else None


def _without_ending(name: str) -> str:
    return ENDING.sub("", name)


def _whole_number(name: str) -> int | None:
    bare = _without_ending(name)
    return int(bare) if bare.isdecimal() else None


def _by_key(files: Mapping[str, Item], key: Callable[[str], Hashable]) -> dict[Hashable, Item]:
    """Files by a key of their names; of several with the same key the first, none without one."""
    found: dict[Hashable, Item] = {}
    for stem, item in files.items():
        if (name := key(stem)) is not None:
            found.setdefault(name, item)
    return found
