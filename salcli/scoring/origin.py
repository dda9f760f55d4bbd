"""Where stored maps come from, as the records of `salcli predict` beside them say."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Literal, NotRequired, TypedDict

from salcli.errors import InputError
from salcli.files.jsonfile import read_json
from salcli.specs import TrainedOn

__all__ = ["Origin", "origin_of"]


@dataclass(frozen=True)
class Origin:
    """What made the maps of a folder.

    Attributes:
        models: Names of the models with their weights; empty if that is unknown.
        rounding: How they round to 8 bit; `None` if that is unknown, or if they differ.
        trained_on: What they were trained on.
    """

    models: Sequence[str] = ()
    rounding: Literal["floor", "nearest", "up"] | None = None
    trained_on: Sequence[TrainedOn] = ()


class _Record(TypedDict):
    """What scores need of a `salcli.json`."""

    model: str
    rounding: NotRequired[Literal["floor", "nearest", "up"]]
    trained_on: NotRequired[list[TrainedOn]]


def origin_of(folder: Path) -> Origin:
    """Read the records in a folder of maps, and in the folders of its clips."""
    records = list(_records(folder))
    rules = {record.get("rounding") for record in records}
    return Origin(
        sorted({record["model"] for record in records}),
        rules.pop() if len(rules) == 1 else None,
        list(dict.fromkeys(chain(*(record.get("trained_on", ()) for record in records)))),
    )


def _records(folder: Path) -> Iterator[_Record]:
    for pattern in ("salcli.json", "*.salcli.json", "*/salcli.json"):
        for path in sorted(folder.glob(pattern)):
            try:
                yield read_json(path, _Record)
            except InputError:
                continue  # not ours; the maps count all the same
