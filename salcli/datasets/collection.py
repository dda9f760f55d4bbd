"""The dataset class of every layout: recordings by split, and what is missing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from salcli.errors import InputError, UnknownName, UsageError
from salcli.types import Recording, Submission

__all__ = ["Collection", "Found", "lacking", "lone_root", "some"]

Found: TypeAlias = Iterable[Recording | str]
"""Recordings in order and, as text, what is missing or wrong."""


@dataclass(frozen=True)
class Collection:
    """A `salcli.Dataset` that searches the disk for a split when it is asked for.

    Attributes:
        name, edition, evaluated, kernel, submission: As in `salcli.Dataset`.
        finders: What searches for each split.
        expected, frame_counts: As in `salcli.types.PublishedContents`.
    """

    name: str
    finders: Mapping[str, Callable[[], Found]]
    evaluated: str
    edition: str = ""
    kernel: str = "default"
    submission: Submission | None = None
    expected: Mapping[str, int | Sequence[str]] = field(default_factory=dict)
    frame_counts: Mapping[str, int] = field(default_factory=dict)
    _found: dict[str, tuple[Sequence[Recording], Sequence[str]]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @property
    def splits(self) -> Sequence[str]:
        """Names that `recordings` takes."""
        return tuple(self.finders)

    @property
    def problems(self) -> Sequence[str]:
        """What was found missing or wrong in the splits that were asked for so far."""
        return [problem for _, problems in self._found.values() for problem in problems]

    def recordings(self, split: str, /) -> Sequence[Recording]:
        """Recordings of one split in natural order.

        Raises:
            UnknownName: There is no such split.
            InputError: Nothing of it is there.
        """
        if split not in self.finders:
            raise UnknownName(f"split of dataset '{self.name}'", split, self.finders)
        if split not in self._found:
            everything = list(self.finders[split]())
            recordings = [each for each in everything if isinstance(each, Recording)]
            problems = [each for each in everything if isinstance(each, str)]
            problems += _missing(recordings, self.expected.get(split))
            self._found[split] = recordings, [f"{split}: {each}" for each in problems]
        recordings_, problems_ = self._found[split]
        if not recordings_:
            reason = f": {problems_[0].partition(': ')[2]}" if problems_ else ""
            raise InputError(
                f"nothing of the split '{split}' of dataset '{self.name}' was found{reason}; "
                f"'salcli datasets list {self.name}' shows the layout"
            )
        return recordings_


def _missing(recordings: Sequence[Recording], expected: int | Sequence[str] | None) -> list[str]:
    """One line about published recordings that are missing, if there are any."""
    if expected is None or not recordings:
        return []
    if isinstance(expected, int):
        count = len(recordings)
        return [] if count == expected else [f"{count} recordings, {expected} are published"]
    there = {recording.name.rpartition("/")[2] for recording in recordings}
    return (
        [f"missing: {some(absent)}"] if (absent := [n for n in expected if n not in there]) else []
    )


def lacking(kind: str, files: Mapping[str, Path | None]) -> Iterable[str]:
    """One line about the names without such a file, if there are any."""
    absent = [name for name, file in files.items() if file is None]
    return [f"no {kind} of {some(absent)}"] if absent else []


def some(names: Sequence[str]) -> str:
    """The first few names, and the number of the others."""
    shown = ", ".join(f"'{name}'" for name in names[:3])
    return shown + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def lone_root(name: str, roots: Sequence[Path]) -> Path:
    """The only one of the `roots` of a dataset, whose `name` an error tells.

    Raises:
        UsageError: There are several, or none.
    """
    if len(roots) != 1:
        raise UsageError(f"dataset '{name}' has one root folder, not {len(roots)}")
    return roots[0]
