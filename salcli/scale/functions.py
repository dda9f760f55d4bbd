"""Orders of plain functions: work that needs no model, such as that on the files of a dataset."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from salcli.prediction import claims
from salcli.terminal.events import Watcher

__all__ = ["FunctionOrder"]

Unit = TypeVar("Unit")
Done = TypeVar("Done")


def _name(unit: Any) -> str:
    return str(unit.name)


@dataclass(frozen=True)
class FunctionOrder(Generic[Unit, Done]):
    """Calls a function with each unit; an `Order`.

    The functions can be sent to other processes: they are those of modules, or `partial`s of these.

    Attributes:
        work: Does a unit.
        lost: The result of a unit that failed.
        name: Name of a unit in messages.
        claim: The claim that the work holds on a unit, if it holds one.
    """

    work: Callable[[Unit, Watcher], Done]
    lost: Callable[[Unit, str], Done]
    name: Callable[[Unit], str] = _name
    claim: Callable[[Unit], Path] | None = None

    def begin(self, device: str) -> Callable[[Unit, Watcher], Done]:
        """Nothing is loaded."""
        return self.work

    def title(self, unit: Unit) -> str:
        """Its name."""
        return self.name(unit)

    def size(self, unit: Unit) -> int:
        """Nobody knows: units are handed out in their order."""
        return 0

    def died(self, unit: Unit, worker: str) -> None:
        """Take the claim on the unit from the worker."""
        if self.claim is not None:
            claims.abandon(self.claim(unit), worker)

    def failed(self, unit: Unit, error: str, *, died: bool) -> Done:
        """What says so."""
        return self.lost(unit, error)
