"""The record of how the results of one input were made (`salcli.json`), and where they go.

`salcli.json` is written last, so its presence means that everything beside it is complete.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any, TypedDict, get_args

from salcli.errors import InputError, OutputError
from salcli.files import atomic
from salcli.files.atomic import reporting_os_errors
from salcli.files.jsonfile import read_json
from salcli.media.images import kind_of
from salcli.types import Format, Kind, Labels

__all__ = ["OutputPaths", "fingerprint", "is_plain_name", "is_single", "places", "size_of"]


CLAIM = ".salcli-claim"

FORMATS: tuple[str, ...] = get_args(Format)

RESULTS = (".png", ".npy", ".npz", ".csv", ".mp4")
"""Endings of what a record may cover."""

MOST_FRAMES = 10_000_000
"""Limit of frames in a valid record: four days at 30 frames/s."""


class Failure(TypedDict):
    """What `salcli.failed.json` says."""

    error: str
    host: str
    tries: int


@dataclass(frozen=True)
class OutputPaths:
    """Where the results of one input go.

    Attributes:
        output: The folder that the user named.
        name: The input's own name in that folder.
    """

    output: Path
    name: str

    @property
    def folder(self) -> Path:
        """The folder of a clip or of several stills; a single image goes directly into `output`."""
        return self.output / self.name

    def record_file(self, *, single: bool) -> Path:
        """Path of the record."""
        return self.output / f"{self.name}.salcli.json" if single else self.folder / "salcli.json"

    def claim_file(self, *, single: bool) -> Path:
        """Path of the claim of whoever works on the input; see `salcli.prediction.claims`."""
        return self.output / f".{self.name}.salcli-claim" if single else self.folder / CLAIM

    def failure_file(self, *, single: bool) -> Path:
        """Path of what is known about an input that failed."""
        name = "salcli.failed.json"
        return self.output / f"{self.name}.{name}" if single else self.folder / name

    def read(self, *, single: bool) -> dict[str, Any] | None:
        """The record of a finished run; `None` if it is missing or unreadable."""
        try:
            record = json.loads(self.record_file(single=single).read_text("utf-8"))
        except (OSError, ValueError, RecursionError):
            return None  # missing, or not ours: the input counts as unfinished
        ours = isinstance(record, dict) and _is_ours(record) and record["single"] is single
        if (
            ours
            and single
            and not all(name.startswith(f"{self.name}.") for name in record["files"])
        ):
            return None
        return record if ours else None

    def write(self, record: Mapping[str, Any]) -> None:
        """Write the record: from now on the input is finished.

        Raises:
            OutputError: It cannot be written.
        """
        atomic.write(self.record_file(single=record["single"]), json.dumps(record, indent=2) + "\n")
        with reporting_os_errors(self.folder):
            self.failure_file(single=record["single"]).unlink(missing_ok=True)

    def failure(self, *, single: bool) -> Failure | None:
        """What is known about an input that failed."""
        try:
            return read_json(self.failure_file(single=single), Failure)
        except InputError:
            return None

    def note_failure(self, error: str, *, single: bool) -> None:
        """Leave a note about an input that failed: the error, where, and after how many tries."""
        file, before = self.failure_file(single=single), self.failure(single=single)
        tries = 1 + (before["tries"] if before else 0)
        known: Failure = {"error": error, "host": platform.node(), "tries": tries}
        with suppress(OutputError):  # if even this cannot be written, the error itself says so
            atomic.write(file, json.dumps(known, indent=2) + "\n")

    def files(self, record: Mapping[str, Any]) -> dict[Path, int]:
        """Every file that a record covers, with its size in bytes."""
        folder = self.output if record["single"] else self.folder
        return {folder / name: size for name, size in record["files"].items()}

    def is_whole(self, record: Mapping[str, Any]) -> bool:
        """Whether every file that a record covers has the size that it says."""
        try:
            return all(file.stat().st_size == size for file, size in self.files(record).items())
        except OSError:
            return False

    def discard(self, record: Mapping[str, Any]) -> None:
        """Remove the record, then the files it covers, so that no other run's files stay behind.

        Raises:
            OutputError: A file cannot be removed.
        """
        own = self.record_file(single=record["single"])
        with reporting_os_errors(own):
            own.unlink(missing_ok=True)
            for file in self.files(record):
                file.unlink(missing_ok=True)


def is_single(source: Path, kind: Kind) -> bool:
    """Whether it is a lone image, taken as one: its results lie beside those of others."""
    try:
        return source.is_file() and kind != "clip" and kind_of(source) == "still"
    except (InputError, OSError):
        return False  # opening it says why


def is_plain_name(name: object) -> bool:
    """Whether a text names something inside a folder, and nothing above or beside it."""
    plain = isinstance(name, str) and "\0" not in name and PurePath(name).name == name
    return plain and name not in ("", "..")


def _is_ours(record: Mapping[str, Any]) -> bool:
    """Whether a record has the shape of ours; this decides which files are removed."""
    frames, files = record.get("frames"), record.get("files")
    formats, problems = record.get("formats"), record.get("problems")
    return (
        record.keys() >= {"labels", "single"}
        and isinstance(record.get("settings"), dict)
        and record.get("kind") in ("clip", "stills")
        and type(frames) is int
        and 0 <= frames <= MOST_FRAMES
        and isinstance(formats, list)
        and all(format_ in FORMATS for format_ in formats)
        and isinstance(problems, list)
        and all(isinstance(problem, str) for problem in problems)
        and isinstance(files, dict)
        and all(is_plain_name(name) and type(size) is int for name, size in files.items())
        and all(name.endswith(RESULTS) for name in files)
    )


def places(inputs: Sequence[Path], output: Path) -> list[OutputPaths]:
    """A distinct output path for each input, even where names differ only in case.

    The first input with a name gets its stem; later ones add their extension, then their parent's
    name, then a number.
    """
    labels = Labels()
    full = [Path(os.path.abspath(path)) for path in inputs]  # noqa: PTH100 (a link keeps its name)
    return [OutputPaths(output, labels.take(_names(path))) for path in full]


def _names(path: Path) -> Iterator[str]:
    stem = (path.name if path.is_dir() else path.stem) or "input"
    yield stem
    yield path.name or stem
    yield f"{path.parent.name}-{path.name}"
    number = 2
    while True:
        yield f"{stem}-{number}"
        number += 1


def fingerprint(path: Path) -> dict[str, Any]:
    """Identify the state of an input without reading it: files, bytes, latest modification.

    Raises:
        InputError: It cannot be accessed.
    """
    try:
        states = _states(path)
    except OSError as error:
        raise InputError(f"'{path}' cannot be read: {error.strerror}") from error
    return {
        "name": path.name,
        "files": len(states),
        "bytes": sum(state.st_size for state in states),
        "modified_ns": max((state.st_mtime_ns for state in states), default=0),
    }


def size_of(path: Path) -> int:
    """The bytes of an input; 0 if it cannot be accessed."""
    try:
        return sum(state.st_size for state in _states(path))
    except OSError:
        return 0


def _states(path: Path) -> list[os.stat_result]:
    files = [path]
    if path.is_dir():
        folders = (path, path / "images")
        files = [f for folder in folders if folder.is_dir() for f in folder.iterdir()]
    return [file.stat() for file in files if file.is_file()]
