"""Finds the inputs that files, folders and globs stand for, by file names.

A folder with images, or with a subfolder `images` that has some (the layout of DHF1K, UCF Sports
and SALICON), is one input: a folder of frames; videos and animations beside the images are inputs
too. Any other folder stands for its contents, at any depth. Hidden files and files of other kinds
are ignored. Order is natural: `2.png` comes before `10.png`.
"""

from __future__ import annotations

import glob
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from salcli.errors import InputError, UsageError
from salcli.media.images import SUFFIXES, is_animation
from salcli.media.video import is_video

__all__ = ["VIDEO_SUFFIXES", "find_inputs", "images_in", "in_store", "is_address"]

STORES = ("abfs", "abfss", "az", "gcs", "gs", "memory", "oss", "s3", "s3a")
"""Schemes of object stores, and of a store in memory for tests."""

VIDEO_SUFFIXES = frozenset(
    f".{name}"
    for name in (
        *("3g2", "3gp", "asf", "avi", "divx", "dv", "f4v", "flv", "h264", "hevc", "ivf", "m2ts"),
        *("m2v", "m4v", "mjpeg", "mkv", "mov", "mp4", "mpeg", "mpg", "mts", "mxf", "nut", "ogm"),
        *("ogv", "rm", "rmvb", "ts", "vob", "webm", "wmv", "y4m"),
    )
)
"""What counts as a video inside a folder, without looking at its content."""


def find_inputs(patterns: Sequence[str]) -> list[Path]:
    """List the stimuli that files, folders and globs (also `**`) stand for, each once.

    A path that does not exist, a glob without a match and a folder without media are returned
    unchanged: `open_stimulus` says what is wrong with them.

    Raises:
        UsageError: An input is an empty string, which would mean the working folder.
    """
    found: dict[Path, None] = {}
    for pattern in patterns:
        if not pattern:
            raise UsageError("an input is empty; is a variable of your shell not set?")
        if is_address(pattern):
            raise UsageError(f"'{pattern}' is an address, not a file; download it first")
        paths = _matches(pattern)
        folders = {path for path in paths if path.is_dir()}
        for path in paths:
            if not folders.isdisjoint(path.parents):
                continue  # `**` matches a folder and its contents; the folder stands for both
            inputs = _expanded(path) if path in folders else []
            found.update(dict.fromkeys(inputs or [path]))
    return list(found)


def is_address(text: str) -> bool:
    """Whether a text is an address such as `https://...` or `s3://...`, not a path.

    A `Path` of it has only one slash; a single letter is a drive.
    """
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]+:/", text) is not None


def in_store(text: str) -> bool:
    """Whether a text, or a path made of it, is an address in an object store."""
    return is_address(text) and text.partition(":")[0].lower() in STORES


def _matches(pattern: str) -> list[Path]:
    path = Path(pattern).expanduser()
    if path.exists() or not glob.has_magic(pattern):
        return [path]
    # Not Path.glob: it rejects absolute patterns, and includes hidden files.
    found = glob.glob(str(path), recursive=True)  # noqa: PTH207
    return _sorted(map(Path, found)) or [path]


def _sorted(paths: Iterable[Path]) -> list[Path]:
    from natsort import natsorted, ns  # one picture needs none of its tables

    # By parts, so that a folder's files stay together whatever characters its name contains.
    return natsorted(paths, key=lambda path: path.parts, alg=ns.IGNORECASE)


def _entries(folder: Path) -> list[Path]:
    try:
        return _sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise InputError(f"'{folder}' cannot be read: {error.strerror}") from error


def images_in(folder: Path) -> list[Path]:
    """Images in the folder itself, otherwise in its subfolder `images`; animations are none."""
    own = [path for path in _entries(folder) if path.suffix.lower() in SUFFIXES and path.is_file()]
    own = [path for path in own if not is_animation(path)]
    nested = folder / "images"
    return own if own or not nested.is_dir() else images_in(nested)


def _expanded(folder: Path, above: frozenset[Path] = frozenset()) -> list[Path]:
    """Stimuli in a folder: itself if it holds frames, its clips, or those of its subfolders."""
    real = folder.resolve()
    if real in above:
        return []  # a link that points back up
    try:
        entries = _entries(folder)
        found = [folder] if images_in(folder) else []
    except InputError:
        return [folder]  # opening it will say why; the other inputs are unaffected
    for entry in entries:
        if entry.is_dir() and folder not in found:
            found += _expanded(entry, above | {real})
        elif entry.is_file() and (_looks_like_video(entry) or is_animation(entry)):
            found.append(entry)
    return found


def _looks_like_video(path: Path) -> bool:
    suffix = path.suffix.lower()
    return suffix in VIDEO_SUFFIXES or (not suffix and is_video(path))
