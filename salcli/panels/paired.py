"""Stimuli paired with the ground truth beside them, and the choice of frames.

Layouts: `images/` or images in the folder itself, with `maps/` and `fixations/` (or `fixation/`),
as in DHF1K and salcli's own data; `ALLSTIMULI/` with `ALLFIXATIONMAPS/`, as in MIT1003.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from salcli.datasets.folder import FIXATION_FOLDERS
from salcli.datasets.framefiles import TRUTH_SUFFIXES, by_stem, fixations_by_stem
from salcli.gaze.pairing import annotate
from salcli.media.images import FrameFolder, Stills
from salcli.media.open import find_inputs, open_stimulus
from salcli.types import Annotation, Kind, Stimulus

__all__ = [
    "PairedStimulus",
    "choose",
    "find_paired",
    "open_paired",
    "spread",
]

STIMULI, MAPS = "ALLSTIMULI", "ALLFIXATIONMAPS"

NAMED = 5
"""At most this many missing maps are named; of more only the number is given."""


@dataclass(frozen=True)
class PairedStimulus:
    """One input with the ground truth beside it.

    Attributes:
        stimulus: The input.
        truths: The annotation of each frame that has one, by label.
        has_truth: Whether there is a folder with ground truth.
        problems: One line about what is missing.
        notes: One line about maps without a frame.
    """

    stimulus: Stimulus
    truths: Mapping[str, Annotation] = field(default_factory=dict)
    has_truth: bool = False
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


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
    """Open one input and pair its frames with the ground truth beside them.

    `salcli.gaze.pairing` describes how names are compared.

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
    folders = [path / (MAPS if mit else "maps"), *(path / name for name in FIXATION_FOLDERS)]
    if not any(folder.is_dir() for folder in folders):
        return PairedStimulus(stimulus)
    return _with_truth(stimulus, path, maps=folders[0], fixations=folders[1:])


def _with_truth(
    stimulus: Stimulus, path: Path, *, maps: Path, fixations: Sequence[Path]
) -> PairedStimulus:
    files, densities = _files(stimulus), by_stem([maps], TRUTH_SUFFIXES)
    stems = [file.stem for file in files.values()]
    found = annotate(stems, maps=densities, fixations=fixations_by_stem(fixations))
    truths = {
        label: replace(truth, label=label)
        for label, file in files.items()
        if (truth := found[file.stem]).density or truth.fixations
    }
    used = {file for truth in truths.values() for file in (truth.density, truth.fixations)}
    unused = [file.name for file in densities.values() if file not in used]
    without = [label for label in files if label not in truths]
    problems = [_missing(path, len(files), len(truths), without)] if without else []
    notes = [f"'{path}': no image for {_listed(unused, 'map')}"] if unused else []
    return PairedStimulus(stimulus, truths, True, tuple(problems), tuple(notes))


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


def _files(stimulus: Stimulus) -> dict[str, Path]:
    """Label and file of each frame of a folder, without decoding any."""
    frames = stimulus.frames
    if isinstance(frames, Stills):
        return dict(frames.files)
    if isinstance(frames, FrameFolder) and stimulus.labels is not None:
        return dict(zip(stimulus.labels, frames.files, strict=True))
    return {}


def _labels(stimulus: Stimulus) -> list[str]:
    """The label of every frame; the frames of a video are counted by decoding it."""
    labels = list(_files(stimulus))
    if labels:
        return labels
    frames = sum(1 for _ in stimulus.frames) if stimulus.count is None else stimulus.count
    return [stimulus.label(index) for index in range(frames)]


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
