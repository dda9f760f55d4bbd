"""The pictures of many inputs as an order."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

from salcli.models.loading import Loaded, load_model
from salcli.panels.draw import DrawnInput, Visualizer
from salcli.prediction import manifest
from salcli.prediction.manifest import OutputPaths
from salcli.terminal.events import Watcher

__all__ = ["DrawingOrder"]

Unit: TypeAlias = tuple[Path, OutputPaths]
"""An input, and where its pictures go."""


@dataclass(frozen=True)
class DrawingOrder:
    """Everything that determines the pictures; an `Order`.

    Attributes:
        models: Arguments of `salcli.models.loading.load_model` besides the device, for each model.
        settings: Arguments of `salcli.panels.draw.Visualizer` besides the models.
    """

    models: Sequence[Mapping[str, Any]]
    settings: Mapping[str, Any]

    def begin(self, device: str) -> Callable[[Unit, Watcher], DrawnInput]:
        """Load the models."""
        return self.work([load_model(**model, device=device) for model in self.models])

    def work(self, loaded: Sequence[Loaded]) -> Callable[[Unit, Watcher], DrawnInput]:
        """What is done with each input, by models that are loaded already."""
        return partial(_draw, Visualizer(loaded, **self.settings))

    def title(self, unit: Unit) -> str:
        """The input."""
        return str(unit[0])

    def size(self, unit: Unit) -> int:
        """The bytes of the input: about proportional to its length."""
        return manifest.size_of(unit[0])

    def died(self, unit: Unit, worker: str) -> None:
        """Nothing is left of what it did: pictures get their names when they are whole."""

    def failed(self, unit: Unit, error: str, *, died: bool) -> DrawnInput:
        """What says why."""
        return DrawnInput(unit[0], error=error)


def _draw(visualizer: Visualizer, unit: Unit, watcher: Watcher) -> DrawnInput:
    path, place = unit
    drawn = visualizer.draw(path, place, watcher=watcher)
    for problem in drawn.problems:
        watcher.note(problem)
    where = ", ".join(map(str, drawn.files[:1])) or "no file"
    if len(drawn.files) > 1:
        where = f"{len(drawn.files)} files in {drawn.files[0].parent}"
    watcher.finish(f"{path}: {drawn.frames} frame{'s' * (drawn.frames != 1)} in {where}")
    return drawn
