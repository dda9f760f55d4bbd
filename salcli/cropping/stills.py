"""Crops stills: the best place of each shape in each of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from salcli.cropping import draw, paths
from salcli.cropping.document import CroppedStill, CropSummary
from salcli.cropping.paths import Shot
from salcli.cropping.plan import CropSettings
from salcli.cropping.windows import Shape, fit, profiles
from salcli.files import atomic
from salcli.output import png
from salcli.prediction.mapstream import MapStream
from salcli.terminal.progress import Watcher
from salcli.types import Frame, Result, Stimulus

__all__ = ["StillCrops", "crop_stills"]

ONE = np.ones(1)


@dataclass
class StillCrops:
    """What was made of stills: the crops of each shape, the files, and what could not be read."""

    frames: int = 0
    crops: tuple[CropSummary, ...] = ()
    files: list[Path] = field(default_factory=list)
    problems: tuple[str, ...] = ()


def crop_stills(
    stimulus: Stimulus,
    maps: MapStream,
    folder: Path,
    *,
    label: str | None,
    wanted: CropSettings,
    formats: Sequence[str],
    watcher: Watcher,
) -> StillCrops:
    """Crop every still of a stimulus into a folder; what is read wrongly is left out.

    Args:
        stimulus: The stills.
        maps: Where their maps come from.
        folder: Where the pictures go.
        label: Name of the pictures of a lone still; otherwise those of the stimulus.
        wanted: The crops.
        formats: `crop`, `preview`, or both.
        watcher: Shows the progress.

    Raises:
        InputError: None can be read, or a map is missing.
        UsageError: A still is too small for a crop.
        OutputError: A picture cannot be written.
    """
    watcher.start(stimulus.name, stimulus.expected)
    found, stills = StillCrops(), [list[CroppedStill]() for _ in wanted.shapes]
    for result in maps.results(stimulus, 0, size="source", notice=watcher.note):
        assert result.frame is not None  # a stream has frames
        for shape, row in zip(wanted.shapes, stills, strict=True):
            name = label or result.label
            still = best_crop(result, shape, name)
            row.append(still)
            for path, picture in _pictures(result.frame, still, shape, formats):
                atomic.write(folder / path, png.encode(picture))
                found.files.append(folder / path)
        found.frames += 1
        watcher.step()
    found.crops = tuple(map(_summary, wanted.shapes, stills))
    found.problems = tuple(stimulus.problems)
    return found


def best_crop(result: Result, shape: Shape, label: str) -> CroppedStill:
    """The largest box of a shape where it encloses most attention."""
    assert result.frame is not None
    window = fit(shape, (result.frame.shape[0], result.frame.shape[1]), even=False)
    profile = profiles(result.saliency)[window.axis][None]
    shot = Shot(ONE - 1, ONE, lambda first, last: profile, window)
    place = paths.still(shot)
    middle = window.on_pixels(np.full(1, window.room / 2, np.float32))
    row, column = window.corner(float(place[0]))
    share, centre = float(shot.shares(place)[0]), float(shot.shares(middle)[0])
    return CroppedStill(label, column, row, window.size[1], window.size[0], share, centre)


def _pictures(
    frame: Frame, still: CroppedStill, shape: Shape, formats: Sequence[str]
) -> list[tuple[str, Frame]]:
    box = (still.x, still.y, still.width, still.height)
    found = []
    if "crop" in formats:
        cropped = draw.crop(frame, box, shape.size or (still.height, still.width))
        found.append((f"{still.label}.{shape.name}.png", cropped))
    if "preview" in formats:
        found.append((f"{still.label}.{shape.name}.preview.png", draw.marked(frame, box)))
    return found


def _summary(shape: Shape, stills: Sequence[CroppedStill]) -> CropSummary:
    share = float(np.mean([still.share for still in stills]))
    centre = float(np.mean([still.centre_share for still in stills]))
    return CropSummary(shape.name, 0, 0, share, centre, stills=tuple(stills))
