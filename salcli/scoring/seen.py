"""Which of the scored recordings the weights have seen in their training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from salcli.errors import InputError
from salcli.scoring.selection import Selection
from salcli.specs import TrainedOn

__all__ = ["Seen", "find_seen"]


@dataclass(frozen=True)
class Seen:
    """What weights know of the recordings that are scored.

    Attributes:
        trained_on: All that the weights were trained on.
        scored: Number of recordings that are scored.
        trained: How many of them the weights were trained on; `None` if that is unknown.
        chosen_by: How many of them chose the epoch; `None` if that is unknown.
    """

    trained_on: Sequence[TrainedOn]
    scored: int
    trained: int | None = 0
    chosen_by: int | None = 0

    def warnings(self, data: str) -> list[str]:
        """A line for each reason why the scores on this dataset are better than on other data."""
        own = " and ".join(str(each) for each in self.trained_on if each.data == data)
        lines = []
        if self.trained is None:
            lines.append(
                f"the weights were trained on {own}; on which of the scored recordings is unknown, "
                "so scores may be too good"
            )
        if self.trained:
            lines.append(
                f"the weights were trained on {self.trained} of the {self.scored} scored "
                f"recordings ({own}); scores of these say little about other data"
            )
        if self.chosen_by:
            lines.append(
                f"{self.chosen_by} of the {self.scored} scored recordings chose the epoch of the "
                f"weights ({own}); scores of these are slightly too good"
            )
        return lines

    def document(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {
            "of the weights": [asdict(each) for each in self.trained_on],
            "recordings trained on": self.trained,
            "recordings that chose the epoch": self.chosen_by,
        }


def find_seen(trained_on: Sequence[TrainedOn], selection: Selection) -> Seen:
    """Compare the recordings of a selection, by their names, with the splits of a training."""
    scored = [
        recording
        for recording, chosen in zip(selection.recordings, selection.chosen, strict=True)
        if chosen
    ]
    seen = {"splits": set[str](), "chosen_by": set[str]()}
    unknown = False
    for each in trained_on:
        names = {r.name for r in scored if not each.groups or r.group in each.groups}
        if each.data != selection.dataset.name or not names:
            continue
        if not each.splits or not selection.dataset.edition.startswith(each.edition):
            unknown = True
            continue
        for kind, found in seen.items():
            for split in getattr(each, kind):
                found |= names & _names(selection, split)
    trained = None if unknown else len(seen["splits"])
    chosen_by = None if unknown else len(seen["chosen_by"] - seen["splits"])
    return Seen(trained_on, len(scored), trained, chosen_by)


def _names(selection: Selection, split: str) -> set[str]:
    """Names of the recordings of a split; none if nothing of it is there."""
    if split not in selection.dataset.splits:
        return set()
    try:
        return {recording.name for recording in selection.dataset.recordings(split)}
    except InputError:
        return set()
