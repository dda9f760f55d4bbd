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
from salcli.datasets.framefiles import (
    TRUTH_SUFFIXES,
    Files,
    WholeClip,
    by_stem,
    clip,
    counter,
    fixations_by_stem,
    listed,
)
from salcli.datasets.holdout import HoldOut, HoldOutOption
from salcli.errors import InputError
from salcli.gaze import tables
from salcli.gaze.pairing import annotate, pair
from salcli.media.images import SUFFIXES
from salcli.media.inputs import VIDEO_SUFFIXES
from salcli.specs import option
from salcli.types import Recording, Submission

__all__ = ["FolderOptions", "open_folder"]

STIMULI = ("images", "frames", "videos", "video")
"""Sub-folders of a root with stimuli."""

FIXATION_FOLDERS = ("fixations", "fixation")

SPLITS = ("train", "valid", "all")


@dataclass(frozen=True)
class FolderOptions(HoldOutOption):
    """Options of the layout."""

    fps: float = option(30.0, "frames per second of clips that are folders of frames", above=0)


def open_folder(roots: Sequence[Path], options: FolderOptions) -> Collection:
    """Recordings below one or more roots; each root is a group named like its folder.

    Groups of roots with the same name are named by their whole path.

    Raises:
        InputError: A root has no stimuli, or two stimuli would share maps and fixations.
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
    """All recordings below a root in natural order of names."""
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
    """`images/NAME.jpg` with `maps/NAME.png` and `fixations/NAME.mat` or `.png`.

    How names are compared is said in `salcli.gaze.pairing`.

    Raises:
        InputError: Two images have one name.
    """
    images: dict[str, Path] = {}
    for image in (folder / name for folder in holders for name in listed(folder, SUFFIXES)):
        twin = images.setdefault(image.stem, image)
        if twin is not image:
            raise InputError(
                f"'{twin}' and '{image.name}' would share one map and one set of fixations; "
                "rename one of them, and what belongs to it"
            )
    found = annotate(
        images,
        maps=by_stem([root / "maps"], TRUTH_SUFFIXES),
        fixations=fixations_by_stem([root / name for name in FIXATION_FOLDERS]),
    )
    for stem, annotation in found.items():
        if annotation.density is None and annotation.fixations is None:
            yield f"'{images[stem]}' has neither a map nor fixations"
        else:
            yield Recording(stem, images[stem], [annotation])


def _clips(root: Path, holders: Sequence[Path], fps: float) -> Iterator[Recording | str]:
    """`images/NAME/` or `videos/NAME.mp4` with `maps/NAME/` and `fixations/NAME/`, or one file."""
    sources = {path.name: path for folder in holders for path in clip_folders(folder)}
    sources = by_stem(holders, VIDEO_SUFFIXES) | sources
    fixation_folders = [root / name for name in FIXATION_FOLDERS]
    densities = pair(sources, by_stem([root / "maps"], VIDEO_SUFFIXES))
    gazes = pair(sources, by_stem(fixation_folders, tables.SUFFIXES | {".json"}))
    maps = pair(sources, _folders([root / "maps"]))
    fixations = pair(sources, _folders(fixation_folders))
    for name, source in sources.items():
        density, gaze = densities.get(name), gazes.get(name)
        if density is not None or gaze is not None:
            annotations = WholeClip(counter(source, density, gaze), density, gaze)
            frames = Files((source,)) if source.is_dir() else None
            yield Recording(name, source, annotations, fps=fps, frames=frames)
            continue
        found = name in maps or name in fixations
        recording = found and clip(
            name,
            frames=[source] if source.is_dir() else [],
            video=None if source.is_dir() else source,
            maps=[maps.get(name, root / "maps" / name)],
            fixations=[fixations.get(name, root / "fixations" / name)],
            fps=fps,
        )
        yield recording or f"'{source}' has neither maps nor fixations"


def _folders(holders: Sequence[Path]) -> dict[str, Path]:
    return {path.name: path for holder in reversed(holders) for path in clip_folders(holder)}
