"""What is said of a run that has ended: counts, a document, the files worth looking at."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from salcli.models.loading import Loaded
    from salcli.prediction.job import Outcome
    from salcli.prediction.task import PredictionTask

__all__ = ["best", "document", "results_of", "summary"]

LOOKED_AT = ("overlay", "heatmap")
"""Parts of the names of the pictures that are worth looking at, the best first."""


def results_of(task: PredictionTask, outcome: Outcome) -> list[Path]:
    """The files that an input has now."""
    place = task.place
    record = place.read(single=outcome.results == place.output)
    return [] if record is None else [file for file in place.files(record) if file.is_file()]


def best(files: Sequence[Path]) -> Path | None:
    """The picture or movie that is worth looking at most; overlays are first."""
    pictures = [file for file in files if file.suffix in (".png", ".mp4")]
    rank = [[name not in file.name for name in LOOKED_AT] for file in pictures]
    return pictures[rank.index(min(rank))] if pictures else None


def summary(outcomes: Sequence[Outcome], seconds: float) -> str:
    """A line about several inputs, which took so long together."""
    kinds = [outcome.status for outcome in outcomes]
    counts = {"done": kinds.count("done"), "already done": kinds.count("skipped")}
    counts |= {"left to other processes": kinds.count("elsewhere"), "failed": kinds.count("failed")}
    shown = ", ".join(f"{many} {name}" for name, many in counts.items() if many)
    frames = sum(outcome.frames for outcome in outcomes if outcome.status == "done")
    speed = f", {frames} maps, {frames / seconds:.1f} frames/s" if frames else ""
    return f"{len(outcomes)} inputs: {shown}{speed}"


def document(loaded: Loaded, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """The same as data, for programs."""
    return {
        "model": loaded.label,
        "weights": str(loaded.path) if loaded.path else None,
        "weights_sha256": loaded.digest,
        "device": str(loaded.model.device),
        "inputs": [
            {
                "source": str(outcome.source),
                "results": str(outcome.results),
                "status": outcome.status,
                "frames": outcome.frames,
                "seconds": outcome.seconds,
                "problems": outcome.problems,
                "error": outcome.error or None,
            }
            for outcome in outcomes
        ],
    }
