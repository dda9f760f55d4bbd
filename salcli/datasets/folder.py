"""The layout `folder`: a user's own images or clips with density maps, fixations, or both."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from natsort import natsorted

from salcli.datasets.cliptree import clip_folders, clip_in
from salcli.datasets.collection import Collection, Found
from salcli.datasets.framefiles import TRUTH_SUFFIXES, Files, Whole, by_stem, clip, counter, listed
from salcli.datasets.holdout import HoldOut, HoldOutOption
from salcli.errors import InputError
from salcli.media.images import SUFFIXES
from salcli.media.inputs import VIDEO_SUFFIXES
from salcli.types import Annotation, Recording, Submission

__all__ = ["FolderOptions", "open_folder"]

STIMULI = ("images", "frames", "videos", "video")
"""Folders of a root that hold stimuli."""

SPLITS = ("train", "valid", "all")


@dataclass(frozen=True)
class FolderOptions(HoldOutOption):
    """Options of the layout.

    Attributes:
        fps: Frames per second of clips that are folders of frames.
    """

    fps: float = 30.0

    def __post_init__(self) -> None:
        """Refuse a frame rate that is none."""
        if not self.fps > 0:
            raise ValueError(f"fps must be above 0, not {self.fps:g}")


def open_folder(roots: Sequence[Path], options: FolderOptions) -> Collection:
    """Recordings below one or more roots, each a group named like its folder.

    Where two roots have one name, groups are named by their whole path.

    Raises:
        InputError: A root has no stimuli, or two of them would share maps and fixations.
    """
    rule = HoldOut.parse(options.hold_out)
    named = dict.fromkeys(root if root.name not in ("", "..") else root.resolve() for root in roots)
    names = Counter(root.name for root in named)
    groups = {
        root.name if names[root.name] == 1 else str(root): _stimuli(root, options.fps)
        for root in named
    }
    return Collection(
        name="folder",
        finders={split: partial(_find, groups, split, rule) for split in SPLITS},
        evaluated="all",
        submission=Submission("{clip}/{label}"),
    )


def _find(groups: dict[str, list[Recording | str]], split: str, rule: HoldOut) -> Found:
    for group, found in groups.items():
        yield from (each for each in found if isinstance(each, str))
        recordings = [each for each in found if isinstance(each, Recording)]
        for recording in rule.part(recordings, split):
            yield replace(recording, name=f"{group}/{recording.name}", group=group)


def _stimuli(root: Path, fps: float) -> list[Recording | str]:
    """Everything below a root in natural order of names."""
    holders = [root / name for name in STIMULI if (root / name).is_dir()]
    own = [clip_in(path, path.name, fps=fps) for path in clip_folders(root)]
    if not holders and not any(own):
        raise InputError(
            f"'{root}' has no folder 'images'; see 'salcli datasets list folder' for the layout"
        )
    found = [*_stills(root, holders), *_clips(root, holders, fps), *filter(None, own)]
    if not found:
        raise InputError(f"'{holders[0]}' holds no images")
    return natsorted(found, key=lambda each: each.name if isinstance(each, Recording) else "")


def _stills(root: Path, holders: Sequence[Path]) -> Iterator[Recording | str]:
    """`images/NAME.jpg` with `maps/NAME.png` and `fixations/NAME.mat` or `.png`."""
    maps = by_stem([root / "maps"], TRUTH_SUFFIXES)
    records = by_stem([root / "fixations"], frozenset({".mat"}))
    fixations = by_stem([root / "fixations"], SUFFIXES) | records
    stems: dict[str, Path] = {}
    for image in (folder / name for folder in holders for name in listed(folder, SUFFIXES)):
        twin = stems.setdefault(image.stem, image)
        if twin is not image:
            raise InputError(
                f"'{twin}' and '{image.name}' would share one map and one set of fixations; "
                "rename one of them, and what belongs to it"
            )
        annotation = Annotation(image.stem, maps.get(image.stem), fixations.get(image.stem))
        if annotation.density is None and annotation.fixations is None:
            yield f"'{image}' has neither a map nor fixations"
        else:
            yield Recording(image.stem, image, [annotation])


def _clips(root: Path, holders: Sequence[Path], fps: float) -> Iterator[Recording | str]:
    """`images/NAME/` or `videos/NAME.mp4` with `maps/NAME/` and `fixations/NAME/`, or one file."""
    densities = by_stem([root / "maps"], VIDEO_SUFFIXES)
    gazes = by_stem([root / "fixations"], frozenset({".json"}))
    sources = {path.name: path for folder in holders for path in clip_folders(folder)}
    videos = by_stem(holders, VIDEO_SUFFIXES)
    for name in dict.fromkeys((*sources, *videos)):
        density, fixations = densities.get(name), gazes.get(name)
        source = sources.get(name, videos.get(name, root))
        if density is None and fixations is None:
            found = _framewise(root, name, source, fps)
            yield found or f"'{source}' has neither maps nor fixations"
        else:
            count = counter(source, density, fixations)
            frames = Files((source,)) if source.is_dir() else None
            annotations = Whole(count, density, fixations)
            yield Recording(name, source, annotations, fps=fps, frames=frames)


def _framewise(root: Path, name: str, source: Path, fps: float) -> Recording | None:
    """A clip with a map or fixations for each frame; `None` if it has neither."""
    maps, fixations = root / "maps" / name, root / "fixations" / name
    if not maps.is_dir() and not fixations.is_dir():
        return None
    frames = [source] if source.is_dir() else []
    video = None if source.is_dir() else source
    return clip(name, frames=frames, video=video, maps=[maps], fixations=[fixations], fps=fps)
