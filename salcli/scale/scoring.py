"""The scoring of models as an order: recordings are predicted and scored by different workers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from salcli import devices
from salcli.datasets.open import open_dataset
from salcli.models.loading import Loaded, load_model
from salcli.prediction import claims
from salcli.prediction.claims import ClaimedElsewhere, claimed
from salcli.scoring.evaluate import FrameScores, evaluate
from salcli.scoring.finished import ScoredPart
from salcli.scoring.predicted import PredictedMaps
from salcli.scoring.run import predicted_maps
from salcli.scoring.session import Session, open_session
from salcli.scoring.sources import MapSource
from salcli.terminal.events import Watcher

__all__ = ["ScoringOrder", "cut", "score_part"]


@dataclass(frozen=True)
class ScoringOrder:
    """Everything that determines the scores; an `Order`, whose units are done if that is true.

    Attributes:
        models: Arguments of `salcli.models.loading.load_model` besides the device, for each model.
        data: Arguments of `salcli.datasets.open.open_dataset`.
        session: Arguments of `salcli.scoring.session.open_session` besides dataset and device.
        save: Where the maps are kept, if they are.
    """

    models: Sequence[Mapping[str, Any]]
    data: Mapping[str, Any]
    session: Mapping[str, Any]
    save: Path | None = None

    def begin(self, device: str) -> Callable[[ScoredPart, Watcher], bool]:
        """Load the models, and open the dataset."""
        metrics = devices.for_metrics(device)
        session = open_session(open_dataset(**self.data), **self.session, device=metrics)
        return self.work(session, [load_model(**model, device=device) for model in self.models])

    def work(
        self, session: Session, loaded: Sequence[Loaded]
    ) -> Callable[[ScoredPart, Watcher], bool]:
        """What is done with each part, by models that are loaded already."""
        sources = predicted_maps(loaded, self.data["name"], Watcher(), save=self.save)
        return partial(score_part, session, sources)

    def title(self, unit: ScoredPart) -> str:
        """Its report, and the number of its first recording."""
        return f"{unit.folder} from {unit.first + 1}"

    def size(self, unit: ScoredPart) -> int:
        """Nobody knows: parts are handed out in their order."""
        return 0

    def died(self, unit: ScoredPart, worker: str) -> None:
        """Take the claim on the part from the worker."""
        claims.abandon(unit.claim_file, worker)

    def failed(self, unit: ScoredPart, error: str, *, died: bool) -> bool:
        """It is not done."""
        return False


def cut(
    session: Session, sources: Sequence[PredictedMaps], folders: Sequence[Path]
) -> dict[Path, list[ScoredPart]]:
    """The parts of each report that can be scored apart.

    Args:
        session: What is scored.
        sources: The maps of each model.
        folders: Of their reports.

    Raises:
        UsageError: A model does not take what the dataset has.
    """
    found: dict[Path, list[ScoredPart]] = {}
    for source, (each, folder) in enumerate(zip(sources, folders, strict=True)):
        digest, numbers = session.digest(each), each.parts(session.selection)
        found[folder] = [ScoredPart(source, folder, n.start, n.stop, digest) for n in numbers]
    return found


def score_part(
    session: Session, sources: Sequence[MapSource], part: ScoredPart, watcher: Watcher
) -> bool:
    """Score what is not scored yet of a part, unless another process does; gives `True`.

    Raises:
        OutputError: The folder cannot be written.
        PluginError: A model broke its contract.
    """
    source = sources[part.source]
    name = f"{source.label} {part.first + 1}"
    try:
        with claimed(part.claim_file) as claim:
            selection, finished = part.selected(session.selection), part.finished(session.selection)

            def done(row: FrameScores) -> None:
                finished.add(row)
                claim.touch()
                watcher.step()

            watcher.start(name, selection.total)
            reader = session.reader()
            references = session.references(source, reader)
            evaluate(
                source,
                selection,
                reader,
                session.scorer,
                references=references,
                start=finished.start,
                done=done,
            )
    except ClaimedElsewhere as error:
        watcher.finish(f"{name}: left to another process; {error}")
        return True
    watcher.finish(f"{name}: {selection.total} frames")
    return True
