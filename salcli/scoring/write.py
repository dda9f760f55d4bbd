"""The files of a report: JSON, Markdown, a row per frame, a row per video, pictures."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypedDict

from salcli.errors import InputError, UsageError
from salcli.files import atomic
from salcli.files.atomic import ESCAPED, replacing
from salcli.files.jsonfile import read_json
from salcli.scoring import plots, tables
from salcli.scoring.document import differences
from salcli.scoring.evaluate import FrameScores
from salcli.scoring.results import Results
from salcli.scoring.selection import Selection
from salcli.specs import resolve

__all__ = ["SCORES", "FrameTable", "check_free", "frame_table", "identity", "write"]

SCORES = "scores.json"


class FrameTable:
    """`scores.csv`: a row per frame, as soon as it is measured."""

    def __init__(self, writer: Any, selection: Selection, metrics: Sequence[str]) -> None:
        self._writer, self._selection, self._metrics = writer, selection, metrics
        writer.writerow(["recording", "group", "frame", *metrics, "problem"])

    def add(self, row: FrameScores) -> None:
        """Write one frame; a value that is undefined or not computed stays empty."""
        recording = self._selection.recordings[row.ref[0]]
        label = self._selection.annotation(row.ref).label
        cells = [_text(row.values.get(name, math.nan)) for name in self._metrics]
        self._writer.writerow([recording.name, recording.group, label, *cells, row.problem])


def check_free(folder: Path, now: Mapping[str, Any]) -> None:
    """Refuse a folder that holds scores of other maps or data, or by another protocol.

    Args:
        folder: Where the report will be written.
        now: `identity` of the new report.

    Raises:
        UsageError: It does.
    """
    if not (folder / SCORES).exists():
        return
    try:
        before = identity(**read_json(folder / SCORES, _Subject))
    except InputError:
        before = {}
    found = differences(before, now)
    if found:
        raise UsageError(
            f"'{folder}' holds scores of something else (another {', '.join(found)}); choose "
            "another output folder, or overwrite them"
        )


class _DatasetName(TypedDict):
    name: str
    edition: str
    split: str


class _ProtocolName(TypedDict):
    name: str


class _Subject(TypedDict):
    """What the scores in a folder are about."""

    predictions: dict[str, Any]
    dataset: _DatasetName
    protocol: _ProtocolName


def identity(
    predictions: Mapping[str, Any], dataset: Mapping[str, Any], protocol: Mapping[str, Any]
) -> dict[str, Any]:
    """What a report is about."""
    keys = ("kind", "folder", "model", "weights", "options")
    return {
        **{key: predictions[key] for key in keys if key in predictions},
        "dataset": dataset["name"],
        "edition": dataset["edition"],
        "split": dataset["split"],
        "protocol": protocol["name"],
    }


@contextmanager
def frame_table(folder: Path, selection: Selection, metrics: Sequence[str]) -> Iterator[FrameTable]:
    """A table that appears when everything is scored, or not at all.

    Raises:
        OutputError: The folder cannot be written.
    """
    path = folder / "scores.csv"
    with (
        replacing(path) as part,
        part.open("w", newline="", encoding="utf-8", errors=ESCAPED) as file,
    ):
        yield FrameTable(csv.writer(file), selection, metrics)


def write(
    folder: Path, document: Mapping[str, Any], results: Results, *, files: str, plot: str
) -> None:
    """Write everything but the table of frames.

    Args:
        folder: Of the report.
        document: The content of `scores.json`.
        results: The scores of all frames.
        files: `"package.module:function"` that makes further files; see `Protocol.files`.
        plot: Format of the plots, one of `plots.FORMATS`.

    Raises:
        OutputError: The folder cannot be written.
    """
    metrics = results.metrics
    with (
        replacing(folder / "videos.csv") as part,
        part.open("w", newline="", encoding="utf-8", errors=ESCAPED) as file,
    ):
        writer = csv.writer(file)
        writer.writerow(["recording", "group", "frames", *metrics])
        for video in document["videos"]:
            means = [_text(video["means"][name]) for name in metrics]
            writer.writerow([video["name"], video["group"], video["frames"], *means])
    if results.numbers:
        plots.distribution(folder / f"distribution.{plot}", document)
        plots.over_time(folder / f"over-time.{plot}", document["name"], results)
    further = resolve(files)(document) if files else {}
    for name, content in further.items():
        atomic.write(folder / name, content)
    atomic.write(folder / "scores.md", tables.markdown(document))
    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
    atomic.write(folder / SCORES, text)


def _text(value: float | None) -> str:
    return "" if value is None or math.isnan(value) else repr(float(value))
