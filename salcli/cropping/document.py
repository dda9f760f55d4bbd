"""The document of what was cropped (`crop.json`); it also tells that an input is finished."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from salcli.cropping.plan import Plan, PlannedShot
from salcli.errors import InputError
from salcli.files.atomic import reporting_os_errors
from salcli.files.jsonfile import read_json
from salcli.prediction.manifest import is_plain_name

__all__ = ["CropDocument", "CropSummary", "CroppedStill", "finished", "summary"]

VERSION = 1


@dataclass(frozen=True)
class CroppedStill:
    """The crop of one still: its box in pixels, and the shares of attention that are kept."""

    label: str
    x: int
    y: int
    width: int
    height: int
    share: float
    centre_share: float


@dataclass(frozen=True)
class CropSummary:
    """The crops of one shape.

    Attributes:
        name: Of the shape; files are named after it.
        width, height: Of the window, in pixels of the input; 0 for stills, which may differ.
        share: Of attention that is kept, on average over time or over stills.
        centre_share: That crops of the centre would keep.
        shots: Of a clip.
        stills: The stills.
    """

    name: str
    width: int
    height: int
    share: float
    centre_share: float
    shots: tuple[PlannedShot, ...] = ()
    stills: tuple[CroppedStill, ...] = ()


@dataclass(frozen=True)
class CropDocument:
    """All about the crops of one input.

    Attributes:
        source: The input.
        maps: Where the maps came from.
        kind: `clip` or `stills`.
        frames: How many frames, or stills, were cropped.
        settings: All that determines the results.
        crops: A summary for each shape.
        files: The files with their sizes in bytes.
        problems: What could not be read.
        version: Of this document.
    """

    source: str
    maps: str
    kind: Literal["clip", "stills"]
    frames: int
    settings: dict[str, Any]
    crops: tuple[CropSummary, ...]
    files: dict[str, int]
    problems: tuple[str, ...] = ()
    version: int = field(default=VERSION)

    def as_json(self) -> dict[str, Any]:
        """Ready for JSON."""
        return asdict(self)


def summary(plan: Plan) -> CropSummary:
    """The summary of a clip's plan."""
    height, width = plan.window.size
    return CropSummary(
        plan.window.shape.name,
        width,
        height,
        plan.mean(plan.shares),
        plan.mean(plan.centre_shares),
        shots=tuple(plan.shots),
    )


def finished(path: Path, settings: dict[str, Any]) -> CropDocument | None:
    """The document of an input that was cropped with these settings, if its files are all there."""
    try:
        found = read_json(path, CropDocument)
        whole = all(
            is_plain_name(name) and (path.parent / name).stat().st_size == size
            for name, size in found.files.items()
        )
    except (InputError, OSError):
        return None
    return found if whole and found.settings == settings else None


def sizes(folder: Path, files: list[Path]) -> dict[str, int]:
    """The files by name, with their sizes in bytes."""
    with reporting_os_errors(folder):
        return {file.name: file.stat().st_size for file in files}
