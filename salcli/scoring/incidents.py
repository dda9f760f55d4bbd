"""What went wrong with single frames, counted per recording and reason."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

__all__ = ["Problem", "Problems"]


@dataclass
class Problem:
    """One reason on one recording.

    Attributes:
        recording: Its name.
        reason: What happened.
        first: Label of the first frame; empty where it is no matter of frames.
        frames: How many.
    """

    recording: str
    reason: str
    first: str = ""
    frames: int = 0

    @property
    def line(self) -> str:
        """All of it in one line."""
        where = self.recording
        if self.frames > 1:
            where += f", {self.frames} frames from {self.first} on"
        elif self.first and self.first != self.recording.rpartition("/")[2]:
            where += f", frame {self.first}"
        return f"{where}: {self.reason}"


class Problems:
    """Many of them; iterating gives them in the order in which they were first met."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], Problem] = {}

    def add(self, recording: str, reason: str, *, label: str = "") -> None:
        """Count one more; without a label it concerns no single frame."""
        incident = self._found.setdefault(
            (recording, reason), Problem(recording, reason, first=label)
        )
        incident.frames += bool(label)

    def __iter__(self) -> Iterator[Problem]:
        return iter(self._found.values())

    def __len__(self) -> int:
        return len(self._found)

    @property
    def frames(self) -> int:
        """How many frames there are in all of them."""
        return sum(incident.frames for incident in self)

    def document(self) -> list[dict[str, Any]]:
        """Ready for JSON."""
        return [dict(vars(incident)) for incident in self]
