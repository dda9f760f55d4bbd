"""The stills that a run has finished so far, so that a killed run can be resumed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from salcli.atomic import reporting_os_errors
from salcli.output import writers
from salcli.prediction.journal import Journal, read
from salcli.types import Result

__all__ = ["FinishedStills", "forget"]

NAME = "salcli.part.json"


def forget(folder: Path) -> None:
    """Delete the journal: the run in this folder is finished, or will not be resumed.

    Raises:
        OutputError: The folder cannot be written.
    """
    Journal(folder / NAME, None).remove()


class FinishedStills:
    """A journal with the label and the frame shape of each still.

    A run resumes after its last whole batch, because the last bits of a network's output may depend
    on the pictures in a batch: this way the bytes equal those of an uninterrupted run.
    """

    def __init__(
        self, folder: Path, *, settings: Mapping[str, Any], formats: Sequence[str], batch_size: int
    ) -> None:
        head = {"settings": settings, "formats": sorted(formats), "batch_size": batch_size}
        self._folder, self._batch_size = folder, batch_size
        self._journal = Journal(folder / NAME, head)

    def resume(self) -> list[str]:
        """Labels of the stills that need not be predicted again; truncates the journal to them.

        Removes the results of a run with other settings.

        Raises:
            OutputError: The folder cannot be written.
        """
        head, *entries = list(read(self._journal.path)) or [None]
        if head == self._journal.head:
            done = self._whole_batches(entries)
        else:
            done = []
            if isinstance(head, dict) and head.keys() == self._journal.head.keys():
                self._remove_results(entries, head["formats"])
        self._journal.cut(len(done))
        return [label for label, *_ in done]

    def add(self, result: Result) -> None:
        """Add a still whose files are about to be written.

        Raises:
            OutputError: The journal cannot be written.
        """
        shape = [] if result.frame is None else list(result.frame.shape)
        self._journal.add([result.label, *shape])

    def _whole_batches(self, entries: Sequence[Any]) -> Sequence[Any]:
        """The first entries whose files all exist, up to the last certain end of a batch."""
        start = 0
        for index, (label, *shape) in enumerate(entries):
            if index - start == self._batch_size or shape != entries[start][1:]:
                start = index
            if not all(
                file.is_file() for file in self._files(label, self._journal.head["formats"])
            ):
                return entries[:start]
        full = len(entries) - start == self._batch_size
        return entries if full else entries[:start]

    def _remove_results(self, entries: Sequence[Any], formats: Sequence[str]) -> None:
        with reporting_os_errors(self._folder):
            for label, *_ in entries:
                for file in self._files(label, formats):
                    file.unlink(missing_ok=True)

    def _files(self, label: str, formats: Sequence[str]) -> list[Path]:
        return writers.files_of(label, formats, self._folder, single=False, clip=False)
