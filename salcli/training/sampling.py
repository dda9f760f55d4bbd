"""How samples are cut out of clips and brought to a size; plugins vary it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from salcli.gaze.groundtruth import Points
    from salcli.types import Frame

__all__ = ["Fit", "Sampling"]


class Fit(Protocol):
    """Brings pictures to one size."""

    @property
    def size(self) -> tuple[int, int]:
        """That (H, W)."""

    def frame(self, frame: Frame) -> Frame:
        """A frame in it."""

    def density(self, density: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """A density map in it."""

    def points(self, points: Points, size: tuple[int, int]) -> Points:
        """Positions (x, y) in it, for those on a frame of size (H, W)."""


class Sampling:
    """The usual way; a subclass, of which `Source.sampling` names an instance, has another one."""

    fit: Fit | None = None
    """Frames and ground truth are fitted into a size before anything else."""

    def span(self, length: int, stride: int) -> int:
        """How many consecutive frames a clip must have for a sample of `length` frames."""
        return (length - 1) * stride + 1

    def validation_starts(self, frames: int, span: int) -> Sequence[int]:
        """First frames, from 0, of the samples of a clip that validate; empty for the middle."""
        del frames, span
        return ()

    def truth_fit(self, size: tuple[int, int]) -> Fit | None:
        """What brings the ground truth alone to a size (H, W).

        By default density is resized bilinearly and each fixation keeps its position.
        """
        del size
        return None
