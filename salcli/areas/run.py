"""From inputs and areas of interest to files that say how much attention these get."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from salcli.areas import documents, pictures
from salcli.areas.geometry import Area
from salcli.areas.measure import Attention, attention
from salcli.loading import Loaded
from salcli.prediction.manifest import OutputPaths
from salcli.progress import Watcher
from salcli.types import Kind

__all__ = ["Survey"]


@dataclass(frozen=True)
class Survey:
    """What is to be done with every input.

    Attributes:
        loaded: The model.
        kind, fps: How inputs are taken; see `salcli.media.open.open_stimulus`.
        watcher: Is told how far it is.
    """

    loaded: Loaded
    kind: Kind
    fps: float | None
    watcher: Watcher

    def measure(self, source: Path, place: OutputPaths, *, areas: Sequence[Area]) -> Attention:
        """Measure one input; write its document, its table and, unless it is a folder, a picture.

        Raises:
            InputError, OutputError, PluginError, SalcliError: See `salcli.areas.measure.attention`.
        """
        found = self._attention(source, areas)
        document = documents.measured(self.loaded, found)
        rows = documents.frame_rows(found)
        documents.write_csv(_file(place, "csv"), rows, columns=documents.COLUMNS)
        if found.stimulus.is_clip:
            pictures.write_png(_file(place, "png"), pictures.curves(found))
        elif len(found.instants) == 1:
            picture = pictures.outlined(found, areas)
            pictures.write_png(_file(place, "png"), picture)
        documents.write_json(_file(place, "json"), document)
        many = "1 area" if len(areas) == 1 else f"{len(areas)} areas"
        self.watcher.finish(f"{source}: {many} in {_file(place, 'json')}")
        return found

    def compare(
        self,
        source: tuple[Path, Sequence[Area]],
        against: tuple[Path, Sequence[Area]],
        *,
        place: OutputPaths,
    ) -> tuple[Attention, Attention]:
        """Measure two inputs; write the document, the table and the picture of what changed.

        Args:
            source: The input and its areas.
            against: What it is compared against, and the areas there.
            place: Where the files go.

        Raises:
            InputError, OutputError, PluginError, SalcliError: See `salcli.areas.measure.attention`.
        """
        found, other = (self._attention(path, areas) for path, areas in (source, against))
        rows = documents.changes(found, other)
        documents.write_csv(_file(place, "csv"), rows, columns=documents.CHANGES)
        pictures.write_png(_file(place, "png"), pictures.moved(found, other))
        document = documents.compared(self.loaded, found, against=other)
        documents.write_json(_file(place, "json"), document)
        self.watcher.finish(f"{source[0]} against {against[0]}: {_file(place, 'json')}")
        return found, other

    def document(self, found: Sequence[Attention], *, failed: dict[Path, str]) -> dict[str, Any]:
        """What several inputs give, as one document."""
        return documents.several(self.loaded, found, failed=failed)

    def _attention(self, source: Path, areas: Sequence[Area]) -> Attention:
        found = attention(
            source,
            self.loaded,
            areas=areas,
            kind=self.kind,
            fps=self.fps,
            watcher=self.watcher,
        )
        for problem in found.stimulus.problems:
            self.watcher.note(f"left out: {problem}")
        return found


def _file(place: OutputPaths, suffix: str) -> Path:
    return place.output / f"{place.name}.aoi.{suffix}"
