"""Stimuli with the ground truth that lies beside them, for pictures of both.

Layouts: `images/` or images in the folder itself, with `maps/` and `fixations/` (or `fixation/`),
as in DHF1K and salcli's own data; `ALLSTIMULI/` with `ALLFIXATIONMAPS/`, as in MIT1003.
"""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from salcli.gaze import groundtruth
from salcli.maps import resize
from salcli.media.images import FrameFolder, Stills
from salcli.media.inputs import images_in
from salcli.media.open import Kind, find_inputs, open_stimulus
from salcli.types import Annotation, Stimulus

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = [
    "PairedStimulus",
    "FrameGroundTruth",
    "choose",
    "find_paired",
    "open_paired",
    "read_truth",
    "spread",
]

STIMULI, MAPS = "ALLSTIMULI", "ALLFIXATIONMAPS"
FIXATION_FOLDERS = ("fixations", "fixation")
MAP_ENDINGS = ("", "_fixMap")
POINT_ENDINGS = ("", "_fixPts")

NAMED = 5
"""So many missing maps are named; of more only the number is told."""


@dataclass(frozen=True)
class PairedStimulus:
    """One input as it is to be shown.

    Attributes:
        stimulus: What is looked at.
        truths: What observers did on a frame, by its label.
        has_truth: Whether there is a folder for it at all.
        problems: One line for each thing that is missing.
        notes: One line for each thing that is of no use.
    """

    stimulus: Stimulus
    truths: Mapping[str, Annotation] = field(default_factory=dict)
    has_truth: bool = False
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class FrameGroundTruth:
    """What observers did on one frame.

    Attributes:
        density: float32 `[H, W]`, any scale.
        fixations: Binary fixation map `[H, W]`; `None` where only a density is published.
    """

    density: npt.NDArray[np.float32]
    fixations: npt.NDArray[np.bool_] | None


def find_paired(patterns: Sequence[str]) -> list[Path]:
    """The inputs that files, folders and globs stand for; see `salcli.media.inputs.find_inputs`."""
    found: dict[Path, None] = {}
    for pattern in patterns:
        path = Path(pattern).expanduser()
        inputs = [path] if (path / STIMULI).is_dir() else find_inputs([pattern])
        found.update(dict.fromkeys(inputs))
    return list(found)


def open_paired(
    path: Path, *, kind: Kind, fps: float | None, accepts: frozenset[str]
) -> PairedStimulus:
    """Open one input and pair its frames with the maps beside them.

    A map belongs to the image of the same stem, also with `_fixMap` after it; to a still also by
    the last number in the name, if only one map has that.

    Raises:
        UsageError, InputError: See `salcli.media.open.open_stimulus`.
    """
    mit = (path / STIMULI).is_dir()
    source = path / STIMULI if mit else path
    stimulus = open_stimulus(source, kind=kind, fps=fps, accepts=accepts)
    stimulus = replace(stimulus, name=path.resolve().name) if mit else stimulus
    frames = stimulus.frames
    if not path.is_dir() or not isinstance(frames, Stills | FrameFolder):
        return PairedStimulus(stimulus)
    maps = path / (MAPS if mit else "maps")
    points = [folder for name in FIXATION_FOLDERS if (folder := path / name).is_dir()]
    if not maps.is_dir() and not points:
        return PairedStimulus(stimulus)
    files = _files(stimulus)
    pairs = _Pairs(
        list(files.values()),
        maps=images_in(maps) if maps.is_dir() else [],
        points=[file for folder in points for file in sorted(folder.iterdir())],
        by_number=not stimulus.is_clip,
    )
    truths = {label: pairs.annotation(label, image) for label, image in files.items()}
    truths = {label: truth for label, truth in truths.items() if truth.density or truth.fixations}
    without = [label for label in files if label not in truths]
    problems = [_missing(path, len(files), len(truths), without)] if without else []
    return PairedStimulus(stimulus, truths, True, tuple(problems), tuple(pairs.unused(path)))


def choose(stimulus: Stimulus, *, count: int, seed: int) -> list[str]:
    """Labels of at most `count` frames, in order, chosen by Python's generator.

    Stills are shuffled and the first ones taken, frames of a clip are sampled, as UNISAL does.
    """
    labels = _labels(stimulus)
    generator = random.Random(seed)
    if stimulus.is_clip:
        chosen = set(generator.sample(labels, min(count, len(labels))))
    else:
        shuffled = list(labels)
        generator.shuffle(shuffled)
        chosen = set(shuffled[:count])
    return [label for label in labels if label in chosen]


def spread(stimulus: Stimulus, *, count: int) -> list[str]:
    """Labels of at most `count` frames, evenly over all of them."""
    labels = _labels(stimulus)
    kept = min(count, len(labels))
    return [labels[(2 * number + 1) * len(labels) // (2 * kept)] for number in range(kept)]


def read_truth(annotation: Annotation, size: tuple[int, int]) -> FrameGroundTruth:
    """What observers did on a frame of size (H, W), at that size.

    Raises:
        InputError: A file cannot be read or has another layout.
    """
    density = torch.tensor(groundtruth.read_density(annotation, size))
    points = None
    if annotation.fixations is not None:
        found = groundtruth.read_fixations(annotation, size)
        points = groundtruth.fixation_map(found.points, size)
    return FrameGroundTruth(resize(density[None], size)[0].numpy(), points)


def _files(stimulus: Stimulus) -> dict[str, Path]:
    """Label and file of each frame of a folder, without decoding any."""
    frames = stimulus.frames
    if isinstance(frames, Stills):
        return dict(frames.files)
    if isinstance(frames, FrameFolder) and stimulus.labels is not None:
        return dict(zip(stimulus.labels, frames.files, strict=True))
    return {}


def _labels(stimulus: Stimulus) -> list[str]:
    """Of every frame; those of a video are counted by decoding it."""
    labels = list(_files(stimulus))
    if labels:
        return labels
    frames = sum(1 for _ in stimulus.frames) if stimulus.count is None else stimulus.count
    return [stimulus.label(index) for index in range(frames)]


class _Pairs:
    """Which map and which fixations belong to an image."""

    def __init__(
        self,
        images: Sequence[Path],
        *,
        maps: Sequence[Path],
        points: Sequence[Path],
        by_number: bool,
    ) -> None:
        ending = POINT_ENDINGS[1]  # beside the maps in MIT1003
        self._maps = {file.stem: file for file in maps if not file.stem.endswith(ending)}
        beside = {file.stem: file for file in maps if file.stem.endswith(ending)}
        self._points = {file.stem: file for file in points} | beside
        self._numbers = _by_number(list(self._maps.values())) if by_number else {}
        self._crowded = {n for n, found in _by_number(images).items() if len(found) > 1}
        self._used: set[Path] = set()

    def annotation(self, label: str, image: Path) -> Annotation:
        """What there is for an image."""
        density = _first(self._maps, image.stem, MAP_ENDINGS) or self._of_number(image)
        self._used.update([density] if density else [])
        return Annotation(label, density, _first(self._points, image.stem, POINT_ENDINGS))

    def unused(self, path: Path) -> list[str]:
        """A line about maps that belong to no image."""
        rest = [file.name for file in self._maps.values() if file not in self._used]
        return [f"'{path}': no image for {_listed(rest, 'map')}"] if rest else []

    def _of_number(self, image: Path) -> Path | None:
        number = _number(image)
        found = self._numbers.get(number, []) if number not in self._crowded else []
        return found[0] if number is not None and len(found) == 1 else None


def _first(files: Mapping[str, Path], stem: str, endings: Sequence[str]) -> Path | None:
    return next((files[stem + end] for end in endings if stem + end in files), None)


def _number(file: Path) -> int | None:
    numbers = re.findall(r"\d+", file.stem)
    return int(numbers[-1]) if numbers else None


def _by_number(files: Sequence[Path]) -> dict[int | None, list[Path]]:
    found: dict[int | None, list[Path]] = defaultdict(list)
    for file in files:
        found[_number(file)].append(file)
    return found


def _missing(path: Path, images: int, maps: int, without: Sequence[str]) -> str:
    return (
        f"'{path}': {images} images, but ground truth for {maps}; none for "
        f"{_listed(without, 'image')}, shown without"
    )


def _listed(names: Sequence[str], what: str) -> str:
    listed = ", ".join(names[:NAMED])
    more = len(names) - NAMED
    return f"{what}{'s' if len(names) > 1 else ''} {listed}" + (
        f" and {more} more" if more > 0 else ""
    )
