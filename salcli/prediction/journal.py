"""The stills that a run has done so far, so that a run that dies can be continued."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from salcli.atomic import reporting_os_errors
from salcli.output import writers
from salcli.types import Result

__all__ = ["Journal", "remove"]

NAME = "salcli.part.json"


def remove(folder: Path) -> None:
    """The run in this folder is finished, or shall not be continued."""
    with reporting_os_errors(folder / NAME):
        if folder.is_dir():
            (folder / NAME).unlink(missing_ok=True)


class Journal:
    """One JSON line for what the run is, then one for each still: label and shape of the frame.

    A run is continued behind its last whole batch, because a network's last bits may depend on the
    pictures that share a batch: so the bytes are those of an undisturbed run.
    """

    def __init__(
        self, folder: Path, *, settings: Mapping[str, Any], formats: Sequence[str], batch_size: int
    ) -> None:
        self._folder = folder
        self._path = folder / NAME
        self._batch_size = batch_size
        head = {"settings": settings, "formats": sorted(formats), "batch_size": batch_size}
        self._head = json.loads(json.dumps(head))

    def resume(self) -> list[str]:
        """The stills that need not be predicted again; the journal is cut down to them.

        What is left of a run with other settings is removed.

        Raises:
            OutputError: The folder cannot be written.
        """
        head, entries = self._read()
        done = self._whole_batches(entries) if head == self._head else []
        with reporting_os_errors(self._path):
            if head is not None and head != self._head:
                for label, *_ in entries:
                    for file in self._files(label, head["formats"]):
                        file.unlink(missing_ok=True)
            self._folder.mkdir(parents=True, exist_ok=True)
            lines = (json.dumps(line) + "\n" for line in (self._head, *done))
            self._path.write_text("".join(lines), "utf-8")
        return [label for label, *_ in done]

    def add(self, result: Result) -> None:
        """Note a still whose files are about to be written.

        Raises:
            OutputError: The journal cannot be written.
        """
        shape = [] if result.frame is None else list(result.frame.shape)
        with reporting_os_errors(self._path), self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps([result.label, *shape]) + "\n")

    def _read(self) -> tuple[Any, list[Any]]:
        try:
            lines = self._path.read_text("utf-8").splitlines()
            # a line that a killed run did not finish does not end like this
            head, *entries = [json.loads(line) for line in lines if line.endswith(("]", "}"))]
        except (OSError, ValueError):
            return None, []  # there is none, or it is not ours
        known = isinstance(head, dict) and head.keys() == self._head.keys()
        return (head, entries) if known else (None, [])

    def _whole_batches(self, entries: Sequence[Any]) -> list[Any]:
        """The first entries whose files all exist, up to where a batch ended for certain."""
        start = 0
        for index, (label, *shape) in enumerate(entries):
            if index - start == self._batch_size or shape != entries[start][1:]:
                start = index
            if not all(file.is_file() for file in self._files(label, self._head["formats"])):
                return list(entries[:start])
        full = len(entries) - start == self._batch_size
        return list(entries if full else entries[:start])

    def _files(self, label: str, formats: Sequence[str]) -> list[Path]:
        return writers.files_of(label, formats, self._folder, single=False, clip=False)
