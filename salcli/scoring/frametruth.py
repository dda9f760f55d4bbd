"""Reads the ground truth of each frame that is scored."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Container, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np

from salcli.baselines import CentreOptions, priors
from salcli.errors import InputError
from salcli.gaze import groundtruth, kernels
from salcli.gaze.groundtruth import Fixations
from salcli.gaze.kernels import Kernel
from salcli.protocols.preparation import GroundTruth
from salcli.protocols.scorer import Scorer, other_seed
from salcli.scoring.otherfixations import Counts, Points, Pool
from salcli.scoring.selection import FrameRef, Selection
from salcli.types import Annotation

__all__ = ["FrameTruth", "GroundTruthReader", "Note", "sigma_of"]

Size = tuple[int, int]

Note: TypeAlias = tuple[str, str, str]
"""Recording, what is odd, and label of the frame (empty if it concerns no single frame)."""

REMEMBERED = 4096
"""Number of frames whose fixations are cached for the negatives of others."""


@dataclass(frozen=True)
class FrameTruth:
    """The ground truth of one frame.

    Attributes:
        arrays: What the metrics take.
        size: `(H, W)` of the frame.
        observers: Fixations `[n, 2]` of each observer; empty if the files do not tell them apart.
        density: Where the density came from, if it was needed.
        outside: Number of fixations outside the frame, which were left out.
        notes: Oddities found while reading.
        redrawn: Other negatives, by other random numbers, on frames that need them.
    """

    arrays: GroundTruth
    size: Size
    observers: Sequence[Points] = ()
    density: str = ""
    outside: int = 0
    notes: Sequence[Note] = ()
    redrawn: Counts | None = None


class GroundTruthReader:
    """Reads the ground truth that a scorer needs; not for several threads."""

    def __init__(
        self,
        selection: Selection,
        scorer: Scorer,
        centre: CentreOptions,
        *,
        redrawn: Container[FrameRef] = (),
    ) -> None:
        """Frames among `redrawn` get a second draw of negatives, if negatives are drawn."""
        self.kernel = kernels.find(selection.dataset.kernel)
        self._selection, self._needs, self._centre = selection, scorer.needs, centre
        self._notes: list[Note] = []
        self._size = lru_cache(maxsize=REMEMBERED)(self._read_size)
        self._fixations = lru_cache(maxsize=REMEMBERED)(self._read_fixations)
        self._baseline = lru_cache(maxsize=8)(self._draw_baseline)
        rule = scorer.protocol.negatives
        wanted = rule is not None and "negatives" in scorer.needs
        names = selection.names_by_frame
        self._pools = [
            Pool(rule, names, self._others, seed=seed)
            for seed in (scorer.seed, other_seed(scorer.seed))
            if rule is not None and wanted
        ]
        self._redrawn = redrawn if rule is not None and rule.frames is not None else ()
        self._starts = np.cumsum([0, *selection.counts])

    def read(self, ref: FrameRef) -> FrameTruth:
        """The ground truth of a frame; a part that is needed and missing is noted.

        Raises:
            InputError: A file cannot be read, or there is no ground truth.
        """
        annotation, size = self._selection.annotation(ref), self._size(ref[0])
        if annotation.density is None and annotation.fixations is None:
            raise InputError("there is neither a density map nor fixations of it")
        found = self._fixations(ref) if annotation.fixations is not None else None
        arrays = GroundTruth(
            fixations=kernels.count_map(found.points, size) if found else None,
            density=self._density(ref, size) if "density" in self._needs else None,
            negatives=self._negatives(ref, size) if self._pools else None,
            baseline=self._baseline(size) if "baseline" in self._needs else None,
        )
        again = self._pools and ref in self._redrawn
        redrawn = self._negatives(ref, size, draw=1) if again else None
        self._note(ref, found)
        notes, self._notes = self._notes, []
        return FrameTruth(
            arrays,
            size,
            _by_observer(found) if found else (),
            density=_origin(annotation) if "density" in self._needs else "",
            outside=found.outside if found else 0,
            notes=notes,
            redrawn=redrawn,
        )

    def observers(self, ref: FrameRef) -> Sequence[Points]:
        """Fixations `[n, 2]` of each observer; empty if the file does not tell them apart.

        Raises:
            InputError: A file cannot be read.
        """
        if self._selection.annotation(ref).fixations is None:
            return ()
        return _by_observer(self._fixations(ref))

    def statement(self) -> dict[str, Any]:
        """How densities are made, and the baseline of information gain, ready for JSON."""
        return {
            "kernel": {
                "name": self._selection.dataset.kernel,
                **dataclasses.asdict(self.kernel),
                "border": self.kernel.border,
            },
            "information gain against": (
                dataclasses.asdict(self._centre) if "baseline" in self._needs else None
            ),
        }

    def _note(self, ref: FrameRef, found: Fixations | None) -> None:
        name, label = self._selection.recordings[ref[0]].name, self._selection.annotation(ref).label
        if found is None and "fixations" in self._needs:
            reason = "no fixations, so metrics of fixations are undefined"
            self._notes.append((name, reason, label))
        if found is not None and found.outside:
            self._notes.append((name, "fixations outside the frame were left out", label))

    def _negatives(self, ref: FrameRef, size: Size, *, draw: int = 0) -> Counts:
        return self._pools[draw].negatives(int(self._starts[ref[0]]) + ref[1], size)

    def _density(self, ref: FrameRef, size: Size) -> Any:
        annotation = self._selection.annotation(ref)
        density = groundtruth.read_density(annotation, size, kernel=self.kernel, largest_side=None)
        if not np.isfinite(density).all():
            raise InputError(f"'{annotation.density}' has values that are not finite")
        return density

    def _read_size(self, number: int) -> Size:
        return groundtruth.frame_size(self._selection.recordings[number])

    def _read_fixations(self, ref: FrameRef) -> Fixations:
        return groundtruth.read_fixations(self._selection.annotation(ref), self._size(ref[0]))

    def _others(self, flat: int) -> tuple[Points, Size]:
        """Fixations of the frame at a position, none if it cannot be read, and the frame's size."""
        ref = self._selection.place(flat)
        try:
            return self._fixations(ref).points, self._size(ref[0])
        except InputError as error:
            name = self._selection.recordings[ref[0]].name
            self._notes.append((name, f"not among the negatives: {error}", ""))
            return np.empty((0, 2)), (1, 1)

    def _draw_baseline(self, size: Size) -> Any:
        return priors.gaussian(size, sigma_x=self._centre.sigma_x, sigma_y=self._centre.sigma_y)


def sigma_of(kernel: Kernel, size: Size) -> float:
    """Standard deviation in pixels of the Gaussian that a kernel is or that comes closest to it."""
    if kernel.cycles is not None:
        # exp(-ln 2 (f / cycles)^2) is the transform of a Gaussian of this width
        return max(size) * math.sqrt(math.log(2) / 2) / (math.pi * kernel.cycles)
    return kernel.sigma if kernel.sigma is not None else size[1] * (kernel.share or 0.0)


def _origin(annotation: Annotation) -> str:
    return "read from files" if annotation.density else "made of fixations"


def _by_observer(found: Fixations) -> list[Points]:
    known = found.observers[found.observers >= 0]
    return [found.points[found.observers == observer] for observer in np.unique(known)]
