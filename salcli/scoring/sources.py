"""Where maps come from: what a model says on the fly, and what lies in a folder, look alike."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from salcli.scoring.incidents import Problems
from salcli.scoring.mapfiles import Map
from salcli.scoring.selection import FrameRef, Selection

__all__ = ["FrameMap", "MapSource"]


@dataclass(frozen=True)
class FrameMap:
    """The map of one frame, or why there is none.

    Attributes:
        spot: Which frame.
        saliency: `[h, w]`, uint8 or floating point.
        problem: What is wrong where there is no map.
    """

    spot: FrameRef
    saliency: Map | None
    problem: str = ""


class MapSource(Protocol):
    """Gives the maps of an agenda."""

    @property
    def label(self) -> str:
        """What it is called."""

    @property
    def rounding(self) -> Literal["floor", "nearest"]:
        """How floating-point maps become 8 bit where a protocol wants that."""

    @property
    def is_float(self) -> bool:
        """Whether its maps are floating point, and are usually stored as 8 bit."""

    @property
    def notes(self) -> Problems:
        """What is odd; complete when all maps have been given."""

    def maps(self, agenda: Selection, start: int = 0) -> Iterator[FrameMap]:
        """One for each frame of the agenda, in order, from a recording on."""

    def files(self, agenda: Selection) -> Iterable[Path]:
        """The files that the maps of the agenda are read from, if they are not predicted."""

    def statement(self) -> dict[str, Any]:
        """What it is, ready for JSON; complete when all maps have been given."""
