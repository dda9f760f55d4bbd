"""AViMoS (AIM 2024, 1500 videos) and its extension for NTIRE 2026 (2000 videos): mouse tracking.

`TrainTestSplit.json`, `Videos/NAME.mp4`, and for each part the folders `SaliencyTrain` (videos of
density maps) and `FixationsTrain` (`NAME/fixations.json`), as the archives unpack. Submissions are
grey videos of the test parts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from salcli.datasets.collection import Collection, Found, lone_root, some
from salcli.datasets.framefiles import WholeClip, counter
from salcli.datasets.holdout import HoldOut, HoldOutOption
from salcli.errors import InputError
from salcli.files.jsonfile import parse_json
from salcli.types import Recording, Submission

__all__ = ["open_avimos"]

SPLIT_FILE = "TrainTestSplit.json"
EDITIONS = {1500: "AViMoS, AIM 2024", 2000: "NTIRE 2026"}
NOMINAL_FPS = 30.0
"""Frame rate of recordings; an opened video has its own."""

KEYS: Mapping[str, tuple[str, ...]] = {
    "train": ("train",),
    "public_test": ("public_test", "public"),
    "private_test": ("private_test", "private"),
}


def open_avimos(roots: Sequence[Path], options: HoldOutOption) -> Collection:
    """The dataset below its root; `training` is as published, `train` and `valid` its parts.

    Raises:
        InputError: The file that lists the splits is missing or not understood.
    """
    root, rule = lone_root("avimos", roots), HoldOut.parse(options.hold_out)
    names = _split_names(root / SPLIT_FILE)
    tests = {part: names[part] for part in ("public_test", "private_test")}
    chosen = {
        "train": rule.part(names["train"], "train"),
        "valid": rule.part(names["train"], "valid"),
        "test": [name for part in tests.values() for name in part],
        **tests,
        "training": names["train"],
    }
    return Collection(
        name="avimos",
        finders={split: partial(_find, root, split, listed) for split, listed in chosen.items()},
        evaluated="test",
        edition=EDITIONS.get(sum(map(len, names.values())), ""),
        submission=Submission("{clip}", (".mp4",)),
    )


def _split_names(path: Path) -> Mapping[str, Sequence[str]]:
    """Names of the videos of each part, without suffix, in natural order of the file."""
    if not path.is_file():
        raise InputError(f"there is no '{path}', which lists the videos of each part")
    try:
        content = parse_json(path.read_bytes(), dict[str, Any])
        by_key = {key.lower(): value for key, value in content.items()}
        return {
            part: [name.removesuffix(".mp4") for key in keys for name in by_key.get(key, ())]
            for part, keys in KEYS.items()
        }
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise InputError(
            f"'{path}' does not list the videos of each part ({', '.join(KEYS)}): {error}"
        ) from error


def _find(root: Path, split: str, names: Sequence[str]) -> Found:
    part = "Test" if "test" in split else "Train"
    missing = []
    for name in names:
        video = _existing(root, ("Videos", f"Videos/{part}", "videos"), f"{name}.mp4")
        if video is None:
            missing.append(name)
            continue
        density = _existing(root, _folders("Saliency", part), f"{name}.mp4")
        fixations = _existing(root, _folders("Fixations", part), f"{name}/fixations.json")
        if fixations is None and density is None:
            yield f"neither density video nor fixations of '{name}'"
        count = counter(video, density, fixations)
        yield Recording(
            f"{part.lower()}/{name}", video, WholeClip(count, density, fixations), fps=NOMINAL_FPS
        )
    if missing:
        yield f"no video of {some(missing)} in '{root / 'Videos'}'"


def _folders(kind: str, part: str) -> Sequence[str]:
    return f"{kind}{part}/{part}", f"{kind}{part}"


def _existing(root: Path, folders: Sequence[str], name: str) -> Path | None:
    paths = (root / folder / name for folder in folders)
    return next((path for path in paths if path.is_file()), None)
