"""The frame of a plot: panels one above the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["stacked"]


def stacked(panels: int, *, title: str = "", sharex: bool = False) -> tuple[Figure, Sequence[Any]]:
    """A figure with so many panels, one above the other, and their axes from the top."""
    from matplotlib.figure import Figure  # takes half a second to import

    height = 1 + 2 * panels
    figure = Figure(figsize=(8, height))
    # margins in inches, since layout="constrained" takes as long as everything else together
    figure.subplots_adjust(
        left=0.9 / 8, right=7.9 / 8, bottom=0.5 / height, top=1 - 0.5 / height, hspace=0.4
    )
    if title:
        figure.suptitle(title, y=1 - 0.15 / height, verticalalignment="top")
    return figure, list(figure.subplots(panels, squeeze=False, sharex=sharex)[:, 0])
