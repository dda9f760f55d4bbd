"""Finds the predictions that a benchmark requires; checks their names, counts and sizes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from salcli.datasets.collection import some
from salcli.datasets.open import open_dataset, root_of, without_root
from salcli.errors import InputError, UnknownName, UsageError
from salcli.gaze.pairing import pair
from salcli.media import images, mapvideo
from salcli.plugins import registry
from salcli.types import Dataset, PublishedContents, Submission

__all__ = [
    "ArchiveEntry",
    "WantedClip",
    "collect",
    "find_maps",
    "published_clips",
    "wanted_clips",
]


@dataclass(frozen=True)
class WantedClip:
    """One recording whose predictions are required.

    Attributes:
        name: Last part of the recording's name.
        labels: Labels of its frames, in order.
        size: `(H, W)` of the frames; `None` if it is not checked.
        source: File or folder of the recording, if there is a copy.
        still: Whether it is one image.
    """

    name: str
    labels: Sequence[str]
    size: tuple[int, int] | None = None
    source: Path | None = None
    still: bool = False


@dataclass(frozen=True)
class ArchiveEntry:
    """One file of the archive.

    Attributes:
        path: Path in the archive, below the name of the method.
        files: The maps that it is made of: one, or those of a whole video.
        clip: The recording that it belongs to.
    """

    path: Path
    files: Sequence[Path]
    clip: WantedClip


def collect(
    folder: Path,
    name: str,
    *,
    split: str,
    roots: Sequence[Path] = (),
    options: Sequence[str] = (),
) -> list[ArchiveEntry]:
    """Find the maps of a split of a dataset below a folder, and check each.

    They are compared with the dataset below its root; without one with its published contents.

    Raises:
        UsageError: The dataset has no submission format, or a root is needed.
        InputError: Maps are missing, surplus, unreadable, or of a wrong size or kind.
    """
    if not folder.is_dir():
        raise InputError(f"there is no folder '{folder}'")
    if roots or root_of(registry.dataset(name)):
        dataset = open_dataset(name, roots, options=options)
        clips = wanted_clips(dataset, split)
    else:
        dataset = without_root(name)
        clips = published_clips(dataset, split)
    if dataset.submission is None:
        raise UsageError(f"dataset '{name}' has no submission format")
    return find_maps(folder, clips, dataset.submission)


def wanted_clips(dataset: Dataset, split: str) -> list[WantedClip]:
    """The predictions that a split requires.

    Raises:
        InputError: No file of the split is found.
    """
    sized = dataset.submission is not None and dataset.submission.sized
    return [
        WantedClip(
            recording.name.rpartition("/")[2],
            [annotation.label for annotation in recording.annotations],
            images.size_of(recording.source) if sized else None,
            recording.source,
            still=not recording.is_clip,
        )
        for recording in dataset.recordings(split)
    ]


def published_clips(dataset: Dataset, split: str) -> list[WantedClip]:
    """The predictions that a split requires, from its published names and counts alone.

    Raises:
        UnknownName: There is no such split.
        UsageError: They are not published.
    """
    if split not in dataset.splits:
        raise UnknownName(f"split of dataset '{dataset.name}'", split, dataset.splits)
    contents = dataset if isinstance(dataset, PublishedContents) else None
    names = contents.expected.get(split) if contents else None
    if contents is None or names is None or isinstance(names, int):
        raise UsageError(
            f"the contents of split '{split}' of '{dataset.name}' are not published; give its root "
            "folder"
        )
    counts = contents.frame_counts
    return [
        WantedClip(name, [f"{i + 1:04d}" for i in range(counts[name])])
        if name in counts
        else WantedClip(name, [name], still=True)
        for name in names
    ]


def find_maps(
    folder: Path, clips: Sequence[WantedClip], submission: Submission
) -> list[ArchiveEntry]:
    """Find the maps of all clips below a folder, and check each.

    How names are compared is said in `salcli.gaze.pairing`.

    Raises:
        InputError: Maps are missing, surplus, unreadable, or of a wrong size or kind.
    """
    found: list[ArchiveEntry] = []
    problems: list[str] = []
    maps = _listed(folder, submission.suffixes)
    stills = pair([clip.labels[0] for clip in clips if clip.still], maps)
    names = [clip.name for clip in clips if not clip.still]
    movies = pair(names, maps) if submission.is_video else {}
    folders = pair(names, {path.name: path for path in folder.iterdir() if path.is_dir()})
    for clip in clips:
        try:
            if clip.name in movies:
                found.append(_movie(movies[clip.name], clip, submission))
            elif clip.still:
                found += _entries(_still_map(stills, clip), clip, submission)
            else:
                found += _entries(_maps(folders.get(clip.name), clip, submission), clip, submission)
        except InputError as error:
            problems.append(str(error))
    if problems:
        more = f"\nand {len(problems) - 20} more like these" if len(problems) > 20 else ""
        raise InputError(
            f"'{folder}' is not what the benchmark requires, so nothing was packed:\n"
            + "\n".join(problems[:20])
            + more
        )
    return found


def _entries(
    files: Sequence[Path], clip: WantedClip, submission: Submission
) -> Iterator[ArchiveEntry]:
    """The files of the archive for the maps of one recording.

    Raises:
        InputError: A map has a wrong size or kind.
    """
    size = clip.size
    for file in files:
        found = _examine(file, size)
        # all frames of a video have one size
        size = found if submission.is_video else size
    if submission.is_video:
        path = Path(submission.pattern.format(clip=clip.name) + submission.suffixes[0])
        yield ArchiveEntry(path, files, clip)
        return
    for label, file in zip(clip.labels, files, strict=True):
        stem = submission.pattern.format(clip=clip.name, label=label)
        yield ArchiveEntry(Path(stem + file.suffix.lower()), [file], clip)


def _movie(file: Path, clip: WantedClip, submission: Submission) -> ArchiveEntry:
    count = mapvideo.count_frames(file)
    if count != len(clip.labels):
        raise InputError(f"'{file}' has {count} frames, not {len(clip.labels)}")
    return ArchiveEntry(Path(submission.pattern.format(clip=clip.name) + file.suffix), [file], clip)


def _still_map(stills: Mapping[str, Path], clip: WantedClip) -> list[Path]:
    label = clip.labels[0]
    if label not in stills:
        raise InputError(f"no map of {some([label])}")
    return [stills[label]]


def _maps(folder: Path | None, clip: WantedClip, submission: Submission) -> list[Path]:
    """The map of each frame of a clip, in order.

    Raises:
        InputError: There are too few or too many.
    """
    if folder is None:
        raise InputError(f"{clip.name}: no folder of maps")
    files = _listed(folder, (".png",) if submission.is_video else submission.suffixes)
    found = pair(clip.labels, files)
    if missing := [label for label in clip.labels if label not in found]:
        raise InputError(f"{clip.name}: no map of {some(missing)}")
    used = set(found.values())
    if surplus := [path.name for path in files.values() if path not in used]:
        raise InputError(f"{clip.name}: of no frame: {some(surplus)}")
    return [found[label] for label in clip.labels]


def _listed(folder: Path, suffixes: Sequence[str]) -> dict[str, Path]:
    """Files of these kinds by their stem, hidden ones left out."""
    return {
        path.stem: path
        for path in sorted(folder.iterdir())
        if path.suffix.lower() in suffixes and not path.name.startswith(".")
    }


def _examine(path: Path, size: tuple[int, int] | None) -> tuple[int, int]:
    """Size (H, W) of a map.

    Raises:
        InputError: It is no 8-bit grey picture, or not of the given size.
    """
    try:
        with Image.open(path) as picture:
            mode, (width, height) = picture.mode, picture.size
            picture.verify()
    except (OSError, UnidentifiedImageError, SyntaxError) as error:
        raise InputError(f"'{path}' cannot be read: {error}") from error
    if mode != "L":
        raise InputError(f"'{path}' is not 8-bit grey (Pillow calls it {mode})")
    if size is not None and (height, width) != size:
        raise InputError(f"'{path}' is {width}x{height}, not {size[1]}x{size[0]} as it must be")
    return height, width
