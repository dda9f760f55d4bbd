"""Folders of clips with `images/`, `maps/` and `fixation/` each, DHF1K's format."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from natsort import natsorted

from salcli.datasets.collection import Found
from salcli.datasets.framefiles import clip
from salcli.types import Recording

__all__ = ["clip_folders", "clip_in", "clips_below"]


def clip_folders(folder: Path) -> list[Path]:
    """Sub-folders in natural order, without hidden ones."""
    if not folder.is_dir():
        return []
    return natsorted(
        (path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")),
        key=lambda path: path.name,
    )


def clip_in(folder: Path, name: str, *, fps: float, group: str = "") -> Recording | None:
    """The clip in a folder; `None` without `images/`."""
    return clip(
        name,
        frames=[folder / "images"],
        maps=[folder / "maps"],
        fixations=[folder / "fixation", folder / "fixations", folder / "fixation" / "maps"],
        fps=fps,
        group=group,
    )


def clips_below(root: Path, part: str, *, fps: float, chosen: Callable[[str], bool]) -> Found:
    """Clips `root/part/NAME/` with `chosen(NAME)`, and lines about incomplete ones."""
    folder = root / part
    if not folder.is_dir():
        yield f"there is no folder '{folder}'"
    yield from _clips(folder, f"{part}/", fps=fps, chosen=chosen)


def _clips(
    folder: Path, prefix: str, *, fps: float, chosen: Callable[[str], bool]
) -> Iterator[Recording | str]:
    for path in clip_folders(folder):
        if chosen(path.name):
            found = clip_in(path, prefix + path.name, fps=fps)
            yield found or f"'{path}' has no folder 'images'"
