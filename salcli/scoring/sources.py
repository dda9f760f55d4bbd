"""Sources of maps: a model that predicts on the fly and a folder of stored maps look alike."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from salcli.scoring.mapfiles import Map
from salcli.scoring.results import Problems
from salcli.scoring.selection import FrameRef, Selection
from salcli.specs import TrainedOn

__all__ = ["FrameMap", "MapSource"]


@dataclass(frozen=True)
class FrameMap:
    """The map of one frame, or why there is none.

    Attributes:
        ref: The frame.
        saliency: `[h, w]`, uint8, or floating point in [0, 1].
        problem: Why there is no map.
    """

    ref: FrameRef
    saliency: Map | None
    problem: str = ""


class MapSource(Protocol):
    """Gives the maps of a selection of frames."""

    @property
    def label(self) -> str:
        """What it is called."""

    @property
    def rounding(self) -> Literal["floor", "nearest", "up"]:
        """How floating-point maps become 8 bit where a protocol requires it."""

    @property
    def is_float(self) -> bool:
        """Whether its maps are floating point, and would usually be stored as 8 bit."""

    @property
    def notes(self) -> Problems:
        """Oddities found; complete when all maps have been given."""

    @property
    def trained_on(self) -> Sequence[TrainedOn]:
        """What the model that made the maps was trained on, as far as that is known."""

    def maps(self, selection: Selection, start: int = 0) -> Iterator[FrameMap]:
        """One map for each frame of the selection, in order, from recording `start` on."""

    def files(self, selection: Selection) -> Iterable[Path]:
        """The files that the maps are read from; none for maps that are predicted."""

    def statement(self) -> dict[str, Any]:
        """Description of the source, ready for JSON; complete when all maps have been given."""
