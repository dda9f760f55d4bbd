"""How far the inputs of an output folder are, by records, claims, journals and failures."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from salcli.errors import InputError
from salcli.prediction import claims, finished, manifest, parts
from salcli.prediction.manifest import OutputPaths

__all__ = ["STATES", "InputStatus", "survey"]

State = Literal["done", "in work", "failed", "left"]

STATES: tuple[State, ...] = ("done", "in work", "failed", "left")

OF_FOLDERS = {"salcli.json", "salcli.failed.json", finished.NAME, manifest.CLAIM}
"""Files in the folder of an input."""

OF_STILLS = ((".salcli.json", ""), (".salcli.failed.json", ""), (f"{manifest.CLAIM[1:]}", "."))
"""Ends, and beginnings, of the names of the files beside the map of a lone image."""


@dataclass(frozen=True)
class InputStatus:
    """How far one input is.

    Attributes:
        name: Of its results, below the output folder.
        state: `left` is what nobody has begun, or what was stopped.
        frames: How many maps there are.
        worker: Who works on it, as `pid@host`.
        since: Since when, as ISO 8601.
        error, tries: Why it failed, and how often.
    """

    name: str
    state: State
    frames: int = 0
    worker: str = ""
    since: str = ""
    error: str = ""
    tries: int = 0


def survey(output: Path, inputs: Sequence[Path] = ()) -> list[InputStatus]:
    """How far all inputs are that have left a trace in a folder, and those that are named.

    Args:
        output: The folder of the results.
        inputs: As `salcli.media.open.find_inputs` gives them; of these, what has left no trace is
            `left`, too.

    Raises:
        InputError: There is no such folder.
    """
    if not output.is_dir():
        raise InputError(f"'{output}' is no folder; name the output folder of a prediction")
    found = {place.folder: (place, single) for place, single in _traces(output)}
    statuses = [_status(output, place, single=single) for place, single in found.values()]
    missing = [place for place in manifest.places(inputs, output) if place.folder not in found]
    return [*statuses, *(InputStatus(place.name, "left") for place in missing)]


def _traces(output: Path) -> Iterator[tuple[OutputPaths, bool]]:
    """Inputs with a record, claim, journal or note, and whether each is a lone image."""
    for name, folders, files in os.walk(output):
        folder, cut = Path(name), parts.FOLDER in folders
        folders[:] = sorted(each for each in folders if not each.startswith("."))
        if cut or not OF_FOLDERS.isdisjoint(files):
            yield OutputPaths(folder.parent, folder.name), False
        for file in sorted(files):
            for end, beginning in OF_STILLS:
                if file.endswith(end) and file.startswith(beginning) and file != end:
                    yield OutputPaths(folder, file[len(beginning) : -len(end)]), True


def _status(output: Path, place: OutputPaths, *, single: bool) -> InputStatus:
    name = str(place.folder.relative_to(output))
    frames = 0 if single else finished.count(place.folder)
    files = [place.claim_file(single=single), *parts.claim_files(place.folder)]
    holder = next(filter(None, map(claims.holder_of, files)), None)
    if holder is not None:
        return InputStatus(name, "in work", frames, worker=holder.name, since=holder.since)
    record = place.read(single=single)
    if record is not None:
        return InputStatus(name, "done", record["frames"])
    failure = place.failure(single=single)
    if failure is not None:
        return InputStatus(name, "failed", frames, error=failure["error"], tries=failure["tries"])
    return InputStatus(name, "left", frames)
