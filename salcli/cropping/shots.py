"""Where the shots of a clip begin, told from small pictures of its frames."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["CUT", "shots"]

CUT = 0.1
"""Mean change of brightness from one frame to the next that is a cut, as a share of white."""

RISE = 2.0
"""How many times as large as the changes around it that of a cut is at least: what moves fast or
fades changes all the time."""

NEARBY = 4
"""Frames on each side that are around a change."""

FLASH = 6
"""Frames up to which a flash lasts, after which the same shot goes on."""

PIECE = 4096


def shots(thumbnails: npt.NDArray[np.uint8], cut: float = CUT) -> list[range]:
    """The frames of each shot, of small grey pictures `[n, m]` of all frames."""
    changes = _changes(thumbnails)
    starts = [0]
    cuts = [int(i) for i in np.flatnonzero(changes > cut) if _stands_out(changes, int(i))]
    position = 0
    while position < len(cuts):
        back = _end_of_flash(thumbnails, cuts[position:], cut)
        if back is None:
            starts.append(cuts[position])
            position += 1
        else:
            position += back
    return [range(a, b) for a, b in zip(starts, [*starts[1:], len(thumbnails)], strict=True)]


def _changes(thumbnails: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Mean change of each frame from the one before it, in [0, 1]; 0 for the first."""
    found = np.zeros(len(thumbnails), np.float32)
    for first in range(1, len(thumbnails), PIECE):
        piece = thumbnails[first - 1 : first + PIECE].astype(np.float32)
        found[first : first + PIECE] = np.abs(np.diff(piece, axis=0)).mean(axis=1) / 255
    return found


def _stands_out(changes: npt.NDArray[np.float32], index: int) -> bool:
    """Whether a change is much larger than those around it, the largest of which may be a cut."""
    around = [*changes[max(1, index - NEARBY) : index], *changes[index + 1 : index + 1 + NEARBY]]
    usual = float(np.median(around)) if around else 0.0
    return bool(changes[index] > RISE * usual)


def _end_of_flash(thumbnails: Any, cuts: list[int], cut: float) -> int | None:
    """How many of these cuts are the flash that begins with the first; `None` if it is a cut."""
    before = thumbnails[cuts[0] - 1].astype(np.float32)
    for number, other in enumerate(cuts[1:], start=2):
        if other - cuts[0] > FLASH:
            return None
        if np.abs(thumbnails[other] - before).mean() / 255 <= cut / 2:
            return number
    return None
