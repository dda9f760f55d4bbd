"""Progress of a training, and which epoch is the best."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from salcli.errors import SalcliError
from salcli.plugins import registry
from salcli.recipe import Recipe
from salcli.training.distributed import Ranks

__all__ = ["Progress", "Unread", "out_of_patience", "losses_line", "rank"]


@dataclass
class Progress:
    """How far a training is, between two steps.

    Attributes:
        epoch: The one that is under way, from 0.
        step: Batches of it that are done.
        sums: Of the losses of this epoch, by source of their data and by name.
        losses: How many were added up there, by source.
        seconds: That this epoch took so far.
        best: Score of the best epoch, more being better; `None` before the first.
        stale: Epochs since then.
    """

    epoch: int = 0
    step: int = 0
    sums: dict[str, dict[str, float]] = field(default_factory=dict)
    losses: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    best: float | None = None
    stale: int = 0

    def add(self, source: str, loss: Mapping[str, float]) -> None:
        """Count one more loss on data of a source."""
        sums = self.sums.setdefault(source, {})
        self.losses[source] = self.losses.get(source, 0) + 1
        for name, value in loss.items():
            sums[name] = sums.get(name, 0.0) + value

    @property
    def means(self) -> dict[str, float]:
        """Mean losses of this epoch so far."""
        total = sum(self.losses.values())
        names = dict.fromkeys(name for sums in self.sums.values() for name in sums)
        return {
            name: sum(sums.get(name, 0.0) for sums in self.sums.values()) / total for name in names
        }

    @property
    def means_by_source(self) -> dict[str, dict[str, float]]:
        """The same for each source that has had a batch."""
        return {
            source: {name: value / self.losses[source] for name, value in sums.items()}
            for source, sums in self.sums.items()
        }

    @property
    def is_new(self) -> bool:
        """Whether nothing was done yet."""
        return not self.epoch and not self.step and self.best is None

    def is_best(self, score: float) -> bool:
        """Whether this epoch, which counts, is the best so far."""
        better = self.best is None or score > self.best
        self.best, self.stale = (score, 0) if better else (self.best, self.stale + 1)
        return better

    def next_epoch(self) -> None:
        """Begin the next epoch."""
        self.epoch, self.step, self.seconds = self.epoch + 1, 0, 0.0
        self.sums, self.losses = {}, {}


class Unread:
    """Losses of an epoch that are still on the device: to read one is to wait for it.

    Args:
        ranks: Processes whose losses are averaged.
    """

    def __init__(self, ranks: Ranks) -> None:
        self._ranks = ranks
        self._losses: list[tuple[int, str, Mapping[str, Tensor]]] = []

    def add(self, step: int, source: str, loss: Mapping[str, Tensor]) -> None:
        """Keep the scalars of one more loss, among them `loss`, of a step counted from 0."""
        values = {name: value.detach() for name, value in loss.items()}
        self._losses.append((step, source, values))

    def read(self, progress: Progress) -> None:
        """Count what was kept since the last time, in all processes at once.

        Raises:
            SalcliError: A loss is infinite or no number.
        """
        losses, self._losses = self._losses, []
        means = self._ranks.mean([values for _, _, values in losses])
        for (step, source, _), values in zip(losses, means, strict=True):
            if not math.isfinite(values["loss"]):
                raise SalcliError(
                    f"the loss became {values['loss']} in epoch {progress.epoch + 1}, step "
                    f"{step + 1}; start again with a smaller learning rate, in another output "
                    "folder"
                )
            progress.add(source, values)


def out_of_patience(progress: Progress, recipe: Recipe) -> bool:
    """Whether too many epochs in a row were not the best."""
    return recipe.patience is not None and progress.stale >= recipe.patience


def losses_line(progress: Progress, steps: int, recipe: Recipe, *, rate: float) -> dict[str, Any]:
    """A line of the log: mean losses so far in this epoch, and the seconds left without pauses.

    Losses are over all batches, and once more for each source of data.
    """
    rest = (recipe.epochs - progress.epoch) * steps - progress.step
    return {
        "epoch": progress.epoch,
        "epochs": recipe.epochs,
        "step": progress.step,
        "steps": steps,
        "seconds": round(progress.seconds, 3),
        "left": round(progress.seconds / progress.step * rest, 3),
        "rate": rate,
        "losses": progress.means,
        "sources": progress.means_by_source,
    }


def rank(score: float, recipe: Recipe) -> float:
    """The selecting score such that more is better; one that is undefined is the worst."""
    if math.isnan(score):
        return -math.inf
    if recipe.select == "loss":
        return -score
    return score if registry.metrics()[recipe.select].higher_is_better else -score
