"""What a score is read against: chance with a centre bias, a mean map, observers, and 8 bit.

Each is measured on the very frames of the model, on all of them or on a random part, and compared
with what the model reaches on these.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt
import torch

from salcli.baselines import CentreOptions, priors
from salcli.datasets.check import frame_size
from salcli.errors import InputError
from salcli.gaze import groundtruth
from salcli.gaze.kernels import Kernel, find
from salcli.maps import resize, to_8bit
from salcli.protocols.scorer import Scorer, generator
from salcli.scoring.mapfiles import Map
from salcli.scoring.observers import leave_one_out
from salcli.scoring.selection import FrameRef, Selection
from salcli.scoring.truths import FrameTruth, sigma_of
from salcli.types import Annotation

__all__ = ["Fit", "Observers", "Prior", "Probe", "Rounded", "fit"]

Size = tuple[int, int]
Floats = npt.NDArray[np.float64]

FITTED = 500
"""Frames of the training split to which priors are fitted at most."""

ENOUGH = 10
"""With fewer frames a prior is not fitted."""

MEAN_SIDE = 256
"""Longer side of the mean map: it is smooth."""


class Probe(Protocol):
    """Something else that is measured on the frames of a model."""

    @property
    def name(self) -> str:
        """What it is called."""

    @property
    def spots(self) -> frozenset[FrameRef]:
        """On which frames."""

    def values(
        self, scorer: Scorer, saliency: Map, known: FrameTruth, *, key: str
    ) -> dict[str, float]:
        """Its metrics on one frame."""


class Prior:
    """The same map for every frame of a size."""

    def __init__(
        self, name: str, spots: frozenset[FrameRef], shown: Floats | CentreOptions
    ) -> None:
        """A Gaussian of these widths, or a mean map of any size."""
        self.name, self.spots, self._shown = name, spots, shown
        self._maps: dict[Size, Map] = {}

    def values(
        self, scorer: Scorer, saliency: Map, known: FrameTruth, *, key: str
    ) -> dict[str, float]:
        """As a model's."""
        map_ = self._maps.get(known.size)
        if map_ is None:  # several threads may draw it, and all draw the same
            map_ = self._drawn(known.size)
            self._maps = {known.size: map_}
        return scorer.frame(map_, known.truth, key=key)

    def _drawn(self, size: Size) -> Map:
        if isinstance(self._shown, CentreOptions):
            widths = self._shown
            map_ = priors.gaussian(size, sigma_x=widths.sigma_x, sigma_y=widths.sigma_y)
        else:
            map_ = resize(torch.from_numpy(self._shown)[None], size)[0].numpy()
        largest: Map = (map_ / map_.max()).astype(np.float32)
        return largest


@dataclass(frozen=True)
class Observers:
    """How well all observers but one predict where that one looks.

    Only metrics of fixations are measured: the density map of one observer is no bound for a model
    that is compared with that of all.
    """

    spots: frozenset[FrameRef]
    kernel: Kernel
    scorer: Scorer
    name: str = "observers"

    @classmethod
    def of(cls, spots: frozenset[FrameRef], kernel: Kernel, scorer: Scorer) -> Observers | None:
        """What measures as `scorer` does; `None` if it has no metric of fixations."""
        names = [each.spec.name for each in scorer.measures if each.spec.needs == "fixations"]
        own = Scorer(scorer.protocol, names, seed=scorer.seed, device=scorer.device)
        return cls(spots, kernel, own) if names else None

    def values(
        self, scorer: Scorer, saliency: Map, known: FrameTruth, *, key: str
    ) -> dict[str, float]:
        """The mean over observers; NaN with fewer than two."""
        sigma = sigma_of(self.kernel, known.size)
        return leave_one_out(self.scorer, known.subjects, known.truth, sigma=sigma, key=key)


@dataclass(frozen=True)
class Rounded:
    """The map itself, as it comes back from an 8-bit file."""

    spots: frozenset[FrameRef]
    rounding: Literal["floor", "nearest"]
    name: str = "8-bit"

    def values(
        self, scorer: Scorer, saliency: Map, known: FrameTruth, *, key: str
    ) -> dict[str, float]:
        """As the model's."""
        levels = to_8bit(saliency.astype(np.float32), self.rounding)
        return scorer.frame(levels, known.truth, key=key)


@dataclass(frozen=True)
class Fit:
    """Priors of a training split.

    Attributes:
        centre: The most likely Gaussian; the default one where nothing could be fitted.
        mean: Mean density map, if there is one.
        frames: To how many frames they are fitted; 0 for the defaults.
        note: Where they come from.
    """

    centre: CentreOptions = field(default_factory=CentreOptions)
    mean: Floats | None = None
    frames: int = 0
    note: str = ""

    def statement(self) -> dict[str, Any]:
        """Ready for JSON."""
        widths = {"sigma_x": self.centre.sigma_x, "sigma_y": self.centre.sigma_y}
        return {"note": self.note, "frames": self.frames, "centre": widths}


def fit(agenda: Selection, *, seed: int) -> Fit:
    """Priors of the dataset's training split, without what is scored; else the default centre."""
    if "train" not in agenda.dataset.splits:
        return Fit(note=f"dataset '{agenda.dataset.name}' has no training split: default widths")
    try:
        recordings = agenda.dataset.recordings("train")
    except InputError:
        return Fit(note="the training split is not there: default widths")
    scored = {recording.name for recording in agenda.recordings}
    others = [recording for recording in recordings if recording.name not in scored]
    rng = generator(seed, "fit")
    points: list[tuple[Any, Size]] = []
    densities: list[Floats] = []
    kernel = find(agenda.dataset.kernel)
    for number in rng.permutation(len(others))[:FITTED]:
        recording = others[int(number)]
        try:
            annotation = recording.annotations[int(rng.integers(len(recording.annotations)))]
            size = frame_size(recording, 0)
            if annotation.fixations is not None:
                points.append((groundtruth.read_fixations(annotation, size).points, size))
            densities.append(_small_density(annotation, size, kernel))
        except InputError:
            continue  # `salcli datasets check` names it; one of hundreds makes no difference here
    return _fitted(points, densities)


def _small_density(annotation: Annotation, size: Size, kernel: Kernel) -> Floats:
    density = groundtruth.read_density(annotation, size, kernel=kernel, largest_side=MEAN_SIDE)
    shrink = MEAN_SIDE / max(density.shape)
    small = (max(1, round(density.shape[0] * shrink)), max(1, round(density.shape[1] * shrink)))
    resized: Floats = resize(torch.from_numpy(density.astype(np.float64))[None], small)[0].numpy()
    return resized


def _fitted(points: Sequence[tuple[Any, Size]], densities: Sequence[Floats]) -> Fit:
    usable = [density for density in densities if density.any()]
    if len(usable) < ENOUGH:
        return Fit(
            note=f"{len(usable)} frames of the training split are not among the scored ones, too "
            "few to fit to: default widths"
        )
    seen = sum(len(found) for found, _ in points)
    centre = priors.fit_centre(points) if seen else priors.fit_centre_to_maps(usable)
    mean = priors.mean_map(usable, (usable[0].shape[0], usable[0].shape[1]))
    return Fit(
        centre, mean, len(usable), "random frames of the training split, none of them scored"
    )
