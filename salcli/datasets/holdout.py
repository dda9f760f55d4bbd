"""Holds out recordings for validation where no split is published."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from salcli.errors import UsageError
from salcli.specs import option

__all__ = ["HoldOut", "HoldOutOption"]

Item = TypeVar("Item")


@dataclass(frozen=True)
class HoldOut:
    """Positions `first`, `first + every`, ... from 0 are held out for validation."""

    every: int
    first: int = 0

    @classmethod
    def parse(cls, text: str) -> HoldOut:
        """`EVERY` or `EVERY:FIRST`.

        Raises:
            UsageError: Not two whole numbers with 0 <= FIRST < EVERY and EVERY >= 2.
        """
        every, _, first = text.partition(":")
        try:
            rule = cls(int(every), int(first or 0))
        except ValueError:
            raise UsageError(f"hold-out takes EVERY or EVERY:FIRST, not '{text}'") from None
        if rule.every < 2 or not 0 <= rule.first < rule.every:
            raise UsageError(f"hold-out {text}: EVERY must be at least 2 and FIRST below it")
        return rule

    def holds(self, position: int) -> bool:
        """Whether the recording at this position is held out for validation."""
        return position % self.every == self.first

    def part(self, items: Iterable[Item], split: str) -> Sequence[Item]:
        """The items that belong to `"train"` or `"valid"`; all of them for any other split."""
        if split not in ("train", "valid"):
            return list(items)
        return [item for i, item in enumerate(items) if self.holds(i) == (split == "valid")]


@dataclass(frozen=True)
class HoldOutOption:
    """The only option of some layouts."""

    hold_out: str = option("10", "EVERY or EVERY:FIRST: part of the training data that is held out")
