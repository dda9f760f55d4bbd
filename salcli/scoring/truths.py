"""Reads the ground truth of the frames that are scored."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np

from salcli.baselines import CentreOptions, priors
from salcli.datasets.check import frame_size
from salcli.errors import InputError
from salcli.gaze import groundtruth, kernels
from salcli.gaze.groundtruth import Fixations
from salcli.gaze.kernels import Kernel
from salcli.protocols.preparation import Truth
from salcli.protocols.scorer import Scorer
from salcli.scoring.otherfixations import Points, Pool, count
from salcli.scoring.selection import FrameRef, Selection
from salcli.types import Annotation

__all__ = ["FrameTruth", "Note", "GroundTruthReader", "sigma_of"]

Size = tuple[int, int]

Note: TypeAlias = tuple[str, str, str]

REMEMBERED = 4096
"""Frames whose fixations are kept for the negatives of others."""


@dataclass(frozen=True)
class FrameTruth:
    """What is known of one frame.

    Attributes:
        truth: For the metrics.
        size: `(H, W)` of the frame.
        subjects: Fixations of each observer; empty where the files do not say whose they are.
        density: Where the density came from, if it was needed.
        outside: How many fixations lay outside the frame and were left out.
        notes: What was odd in what was read for it: recording, reason, and label of the frame.
    """

    truth: Truth
    size: Size
    subjects: Sequence[Points] = ()
    density: str = ""
    outside: int = 0
    notes: Sequence[Note] = ()


class GroundTruthReader:
    """The ground truth of an agenda, as far as a scorer needs it; not for several threads."""

    def __init__(self, agenda: Selection, scorer: Scorer, centre: CentreOptions) -> None:
        self.kernel = kernels.find(agenda.dataset.kernel)
        self._agenda, self._needs, self._centre = agenda, scorer.needs, centre
        self._notes: list[Note] = []
        self._size = lru_cache(maxsize=REMEMBERED)(self._read_size)
        self._fixations = lru_cache(maxsize=REMEMBERED)(self._read_fixations)
        self._baseline = lru_cache(maxsize=8)(self._draw_baseline)
        rule = scorer.protocol.negatives
        names = [
            r.name for r, n in zip(agenda.recordings, agenda.counts, strict=True) for _ in range(n)
        ]
        wanted = rule is not None and "negatives" in scorer.needs
        self._pool = Pool(rule, names, self._others, seed=scorer.seed) if wanted and rule else None
        self._starts = np.cumsum([0, *agenda.counts])

    def read(self, spot: FrameRef) -> FrameTruth:
        """What is known of a frame; what is needed and not there is noted.

        Raises:
            InputError: A file cannot be read, or nothing is known.
        """
        annotation, size = self._agenda.annotation(spot), self._size(spot[0])
        if annotation.density is None and annotation.fixations is None:
            raise InputError("there is neither a density map nor fixations of it")
        found = self._fixations(spot) if annotation.fixations is not None else None
        truth = Truth(
            fixations=count(found.points, size) if found else None,
            density=self._density(spot, size) if "density" in self._needs else None,
            negatives=(
                self._pool.negatives(int(self._starts[spot[0]]) + spot[1], size)
                if self._pool
                else None
            ),
            baseline=self._baseline(size) if "baseline" in self._needs else None,
        )
        self._note(spot, found)
        notes, self._notes = self._notes, []
        return FrameTruth(
            truth,
            size,
            _by_observer(found) if found else (),
            density=_origin(annotation) if "density" in self._needs else "",
            outside=found.outside if found else 0,
            notes=notes,
        )

    def subjects(self, spot: FrameRef) -> Sequence[Points]:
        """Fixations of each observer; empty where the file does not say whose they are.

        Raises:
            InputError: A file cannot be read.
        """
        if self._agenda.annotation(spot).fixations is None:
            return ()
        return _by_observer(self._fixations(spot))

    def statement(self) -> dict[str, Any]:
        """How densities are made, and what information is gained against, ready for JSON."""
        return {
            "kernel": {
                "name": self._agenda.dataset.kernel,
                **dataclasses.asdict(self.kernel),
                "border": self.kernel.border,
            },
            "information gain against": (
                dataclasses.asdict(self._centre) if "baseline" in self._needs else None
            ),
        }

    def _note(self, spot: FrameRef, found: Fixations | None) -> None:
        name, label = self._agenda.recordings[spot[0]].name, self._agenda.annotation(spot).label
        if found is None and "fixations" in self._needs:
            reason = "no fixations, so metrics of fixations are undefined"
            self._notes.append((name, reason, label))
        if found is not None and found.outside:
            self._notes.append((name, "fixations outside the frame were left out", label))

    def _density(self, spot: FrameRef, size: Size) -> Any:
        annotation = self._agenda.annotation(spot)
        density = groundtruth.read_density(annotation, size, kernel=self.kernel, largest_side=None)
        if not np.isfinite(density).all():
            raise InputError(f"'{annotation.density}' has values that are not finite")
        return density

    def _read_size(self, number: int) -> Size:
        return frame_size(self._agenda.recordings[number], 0)

    def _read_fixations(self, spot: FrameRef) -> Fixations:
        return groundtruth.read_fixations(self._agenda.annotation(spot), self._size(spot[0]))

    def _others(self, flat: int) -> tuple[Points, Size]:
        """Fixations for the negatives of other frames; none of a frame that cannot be read."""
        spot = self._agenda.place(flat)
        try:
            return self._fixations(spot).points, self._size(spot[0])
        except InputError as error:
            name = self._agenda.recordings[spot[0]].name
            self._notes.append((name, f"not among the negatives: {error}", ""))
            return np.empty((0, 2)), (1, 1)

    def _draw_baseline(self, size: Size) -> Any:
        return priors.gaussian(size, sigma_x=self._centre.sigma_x, sigma_y=self._centre.sigma_y)


def sigma_of(kernel: Kernel, size: Size) -> float:
    """Standard deviation in pixels of the Gaussian that a kernel is or that is nearest to it."""
    if kernel.cycles is not None:
        # exp(-ln 2 (f / cycles)^2) is the transform of a Gaussian of this width
        return max(size) * math.sqrt(math.log(2) / 2) / (math.pi * kernel.cycles)
    return kernel.sigma if kernel.sigma is not None else size[1] * (kernel.share or 0.0)


def _origin(annotation: Annotation) -> str:
    return "read from files" if annotation.density else "made of fixations"


def _by_observer(found: Fixations) -> list[Points]:
    known = found.observers[found.observers >= 0]
    return [found.points[found.observers == observer] for observer in np.unique(known)]
