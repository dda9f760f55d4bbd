"""What a score is read against: a centre prior, a mean map, observers, and rounding to 8 bit.

Each is measured on the model's frames, all of them or a random part, and compared with the model's
own scores on the same frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt
import torch

from salcli.baselines import CentreOptions, priors
from salcli.errors import InputError
from salcli.gaze import groundtruth
from salcli.gaze.kernels import Kernel, find
from salcli.maps import resize, to_8bit
from salcli.protocols.scorer import Scorer, generator, other_seed
from salcli.scoring.frametruth import FrameTruth, sigma_of
from salcli.scoring.mapfiles import Map
from salcli.scoring.observers import leave_one_out
from salcli.scoring.selection import FrameRef, Selection
from salcli.types import Annotation

__all__ = ["FittedPriors", "Observers", "PriorMap", "Redrawn", "Reference", "Rounded", "fit_priors"]

Size = tuple[int, int]
Floats = npt.NDArray[np.float64]

MOST_FRAMES = 500
"""Maximum number of frames of the training split that priors are fitted to."""

FEWEST_FRAMES = 10
"""With fewer frames, no prior is fitted."""

MEAN_SIDE = 256
"""Longer side of the mean map in pixels: it is smooth."""


class Reference(Protocol):
    """Something else that is measured on the frames of a model."""

    @property
    def name(self) -> str:
        """Its name in the report."""

    @property
    def refs(self) -> frozenset[FrameRef]:
        """The frames it is measured on."""

    def values(
        self, scorer: Scorer, saliency: Map, truth: FrameTruth, *, key: str
    ) -> dict[str, float]:
        """The metrics of one frame."""


class PriorMap:
    """The same map for every frame of a size."""

    def __init__(self, name: str, refs: frozenset[FrameRef], prior: Floats | CentreOptions) -> None:
        """`prior` is a Gaussian of these widths, or a mean map `[h, w]` of any size."""
        self.name, self.refs, self._prior = name, refs, prior
        self._maps: dict[Size, Map] = {}

    def values(
        self, scorer: Scorer, saliency: Map, truth: FrameTruth, *, key: str
    ) -> dict[str, float]:
        """Scored like a model's map."""
        map_ = self._maps.get(truth.size)
        if map_ is None:  # several threads may draw it, and all draw the same
            map_ = self._drawn(truth.size)
            self._maps = {truth.size: map_}
        return scorer.frame(map_, truth.arrays, key=key)

    def _drawn(self, size: Size) -> Map:
        if isinstance(self._prior, CentreOptions):
            widths = self._prior
            map_ = priors.gaussian(size, sigma_x=widths.sigma_x, sigma_y=widths.sigma_y)
        else:
            map_ = resize(torch.from_numpy(self._prior)[None], size)[0].numpy()
        largest: Map = (map_ / map_.max()).astype(np.float32)
        return largest


@dataclass(frozen=True)
class Observers:
    """How well all observers but one predict where that one looks.

    Only metrics of fixations are measured: the density map of one observer says nothing about a
    model that is compared with the density map of all.
    """

    refs: frozenset[FrameRef]
    kernel: Kernel
    scorer: Scorer
    name: str = "observers"

    @classmethod
    def of(cls, refs: frozenset[FrameRef], kernel: Kernel, scorer: Scorer) -> Observers | None:
        """Measures as `scorer` does; `None` if it has no metric of fixations."""
        names = [each.spec.name for each in scorer.measures if each.spec.needs == "fixations"]
        own = Scorer(scorer.protocol, names, seed=scorer.seed, device=scorer.device)
        return cls(refs, kernel, own) if names else None

    def values(
        self, scorer: Scorer, saliency: Map, truth: FrameTruth, *, key: str
    ) -> dict[str, float]:
        """The mean over observers; NaN with fewer than two."""
        sigma = sigma_of(self.kernel, truth.size)
        return leave_one_out(self.scorer, truth.observers, truth.arrays, sigma=sigma, key=key)


@dataclass(frozen=True)
class Rounded:
    """The model's map, as it comes back from an 8-bit file."""

    refs: frozenset[FrameRef]
    rounding: Literal["floor", "nearest", "up"]
    name: str = "8-bit"

    def values(
        self, scorer: Scorer, saliency: Map, truth: FrameTruth, *, key: str
    ) -> dict[str, float]:
        """Scored like the model's map."""
        levels = to_8bit(saliency.astype(np.float32), self.rounding)
        return scorer.frame(levels, truth.arrays, key=key)


class Redrawn:
    """The model's map, measured with other random numbers by the metrics that draw some."""

    name = "redrawn"

    def __init__(
        self, refs: frozenset[FrameRef], scorer: Scorer, rounding: Literal["floor", "nearest", "up"]
    ) -> None:
        """Measures as `scorer` does, except for its seed."""
        self.refs, self._rounding = refs, rounding
        names = [each.spec.name for each in scorer.drawing]
        seed = other_seed(scorer.seed)
        self._scorer = Scorer(scorer.protocol, names, seed=seed, device=scorer.device)

    def values(
        self, scorer: Scorer, saliency: Map, truth: FrameTruth, *, key: str
    ) -> dict[str, float]:
        """Only of metrics that draw random numbers."""
        arrays = truth.arrays
        if truth.redrawn is not None:
            arrays = replace(arrays, negatives=truth.redrawn)
        return self._scorer.frame(saliency, arrays, key=key, rounding=self._rounding)


@dataclass(frozen=True)
class FittedPriors:
    """Priors of a training split.

    Attributes:
        centre: The most likely Gaussian; the default one if none could be fitted.
        mean: Mean density map `[h, w]`, if there is one.
        frames: Number of frames they are fitted to; 0 for the defaults.
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


def fit_priors(selection: Selection, *, seed: int) -> FittedPriors:
    """Fit priors to frames of the training split that are not scored, or take the defaults."""
    if "train" not in selection.dataset.splits:
        return FittedPriors(
            note=f"dataset '{selection.dataset.name}' has no training split: default widths"
        )
    try:
        recordings = selection.dataset.recordings("train")
    except InputError:
        return FittedPriors(note="the training split is not there: default widths")
    scored = {recording.name for recording in selection.recordings}
    others = [recording for recording in recordings if recording.name not in scored]
    rng = generator(seed, "fit")
    points: list[tuple[Any, Size]] = []
    densities: list[Floats] = []
    kernel = find(selection.dataset.kernel)
    for number in rng.permutation(len(others))[:MOST_FRAMES]:
        recording = others[int(number)]
        try:
            annotation = recording.annotations[int(rng.integers(len(recording.annotations)))]
            size = groundtruth.frame_size(recording)
            if annotation.fixations is not None:
                points.append((groundtruth.read_fixations(annotation, size).points, size))
            densities.append(_small_density(annotation, size, kernel))
        except InputError:
            continue  # one of hundreds makes no difference here; `salcli datasets check` reports it
    return _fitted(points, densities)


def _small_density(annotation: Annotation, size: Size, kernel: Kernel) -> Floats:
    density = groundtruth.read_density(annotation, size, kernel=kernel, largest_side=MEAN_SIDE)
    shrink = MEAN_SIDE / max(density.shape)
    small = (max(1, round(density.shape[0] * shrink)), max(1, round(density.shape[1] * shrink)))
    resized: Floats = resize(torch.from_numpy(density.astype(np.float64))[None], small)[0].numpy()
    return resized


def _fitted(points: Sequence[tuple[Any, Size]], densities: Sequence[Floats]) -> FittedPriors:
    usable = [density for density in densities if density.any()]
    if len(usable) < FEWEST_FRAMES:
        return FittedPriors(
            note=f"{len(usable)} frames of the training split are not among the scored ones, too "
            "few to fit to: default widths"
        )
    seen = sum(len(found) for found, _ in points)
    centre = priors.fit_centre(points) if seen else priors.fit_centre_to_maps(usable)
    mean = priors.mean_map(usable, (usable[0].shape[0], usable[0].shape[1]))
    return FittedPriors(
        centre, mean, len(usable), "random frames of the training split, none of them scored"
    )
