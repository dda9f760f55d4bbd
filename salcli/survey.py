"""From inputs and areas of interest to files that say how much attention these get."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from salcli import attentionfiles, attentionpictures
from salcli.areas import Area
from salcli.attention import Attention, attention
from salcli.manifest import Place
from salcli.media import Kind
from salcli.model import Loaded
from salcli.progress import Watcher

__all__ = ["Survey"]


@dataclass(frozen=True)
class Survey:
    """What is to be done with every input.

    Attributes:
        loaded: The model.
        kind, fps: How inputs are taken; see `salcli.media.open_stimulus`.
        watcher: Is told how far it is.
    """

    loaded: Loaded
    kind: Kind
    fps: float | None
    watcher: Watcher

    def measure(self, source: Path, place: Place, areas: Sequence[Area]) -> Attention:
        """Measure one input; write its document, its table and, unless it is a folder, a picture.

        Raises:
            InputError, OutputError, PluginError, SalcliError: See `salcli.attention.attention`.
        """
        found = self._attention(source, areas)
        document = attentionfiles.measured(self.loaded, found)
        rows = attentionfiles.frame_rows(found)
        attentionfiles.write_csv(_file(place, "csv"), attentionfiles.COLUMNS, rows)
        if found.stimulus.is_clip:
            attentionpictures.write_png(_file(place, "png"), attentionpictures.curves(found))
        elif len(found.instants) == 1:
            picture = attentionpictures.outlined(found, areas)
            attentionpictures.write_png(_file(place, "png"), picture)
        attentionfiles.write_json(_file(place, "json"), document)
        self.watcher.finish(f"{source}: {len(areas)} areas in {_file(place, 'json')}")
        return found

    def compare(
        self,
        first: tuple[Path, Sequence[Area]],
        second: tuple[Path, Sequence[Area]],
        place: Place,
    ) -> tuple[Attention, Attention]:
        """Measure two inputs; write the document, the table and the picture of what changed.

        Raises:
            InputError, OutputError, PluginError, SalcliError: See `salcli.attention.attention`.
        """
        a, b = (self._attention(source, areas) for source, areas in (first, second))
        rows = attentionfiles.changes(a, b)
        attentionfiles.write_csv(_file(place, "csv"), attentionfiles.CHANGES, list(rows))
        attentionpictures.write_png(_file(place, "png"), attentionpictures.moved(a, b))
        document = attentionfiles.compared(self.loaded, a, b)
        attentionfiles.write_json(_file(place, "json"), document)
        self.watcher.finish(f"{first[0]} against {second[0]}: {_file(place, 'json')}")
        return a, b

    def document(self, found: Sequence[Attention], failed: dict[Path, str]) -> dict[str, Any]:
        """What several inputs give, as one document."""
        return attentionfiles.several(self.loaded, found, failed)

    def _attention(self, source: Path, areas: Sequence[Area]) -> Attention:
        found = attention(
            source, self.loaded, areas, kind=self.kind, fps=self.fps, watcher=self.watcher
        )
        for problem in found.stimulus.problems:
            self.watcher.note(f"left out: {problem}")
        return found


def _file(place: Place, suffix: str) -> Path:
    return place.output / f"{place.name}.aoi.{suffix}"
