"""DHF1K: 1000 videos of 640 x 360 at 30 frames/s; ground truth of 701 to 1000 is withheld.

The distribution has videos beside annotation folders. Frames are extracted to different places: all
those that the published models read are found, with numbers padded or not.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

from salcli.datasets.collection import Collection, Found, lone_root
from salcli.datasets.framefiles import Files, clip
from salcli.datasets.published import dhf1k_frames
from salcli.types import Submission

__all__ = ["open_dhf1k", "videos"]

SPLITS = {"train": range(1, 601), "valid": range(601, 701), "test": range(701, 1001)}
FPS = 30.0

FRAMES = (
    "annotation/{v:04d}/images",
    "{v:04d}/images",
    *("video/{v:04d}", "video/{v:03d}", "frames/{v:04d}", "frames/{v:03d}", "frames/{v}"),
)
VIDEOS = ("video/{v:03d}.AVI", "video/{v:03d}.avi", "video/{v:03d}.mp4", "{v:03d}.AVI")
MAPS = ("annotation/{v:04d}/maps", "{v:04d}/maps", "maps/{v:04d}", "maps/{v}")
FIXATIONS = (
    *("annotation/{v:04d}/fixation", "{v:04d}/fixation", "fixations/{v:04d}", "fixations/{v}"),
    *("annotation/{v:04d}/fixation/maps", "{v:04d}/fixation/maps"),
)


def open_dhf1k(roots: Sequence[Path], options: None) -> Collection:
    """DHF1K below its root."""
    root = lone_root("dhf1k", roots)
    return Collection(
        name="dhf1k",
        finders={split: partial(_find, root, split) for split in SPLITS},
        evaluated="valid",
        kernel="dhf1k",
        submission=Submission("{clip}/{label}"),
        expected={
            split: [f"{number:04d}" for number in numbers] for split, numbers in SPLITS.items()
        },
        frame_counts={
            f"{number:04d}": count for number, count in enumerate(dhf1k_frames(), start=1)
        },
    )


def videos(root: Path) -> dict[Path, int]:
    """The videos below a root with the number of their maps, or of their published frames."""
    found = {}
    for number, published in enumerate(dhf1k_frames(), start=1):
        if path := _video(root, number):
            maps = Files(tuple(_paths(root, MAPS, number)))
            found[path] = len(maps) or published
    return found


def _video(root: Path, number: int) -> Path | None:
    return next((path for path in _paths(root, VIDEOS, number) if path.is_file()), None)


def _find(root: Path, split: str) -> Found:
    for number in SPLITS[split]:
        found = clip(
            f"{split}/{number:04d}",
            frames=_paths(root, FRAMES, number),
            video=_video(root, number),
            maps=_paths(root, MAPS, number),
            fixations=_paths(root, FIXATIONS, number),
            fps=FPS,
            digits=4,
        )
        if found is not None:
            yield found


def _paths(root: Path, patterns: Iterable[str], number: int) -> list[Path]:
    return [root / pattern.format(v=number) for pattern in patterns]
