"""The folder of a training run: its log, the state from which it resumes, the best weights."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from salcli.errors import UsageError, WeightsError
from salcli.files import atomic, checkpoint
from salcli.files.atomic import reporting_os_errors
from salcli.scoring.document import differences
from salcli.training.distributed import Ranks
from salcli.training.signals import Stop, Stopped
from salcli.training.state import Progress
from salcli.weights.trained import BEST

__all__ = ["BEST", "LAST", "LOG", "ReportLine", "RunFolder", "differences"]

LAST, LOG = "last.pt", "log.jsonl"


ReportLine = Callable[[Mapping[str, Any]], None]
"""Receives what is also written as one line of the log."""


class RunFolder:
    """The folder of a run; all processes call every method, and process 0 alone writes.

    Args:
        output: The folder.
        parts: Objects whose `state_dict` resuming needs, by name.
        metadata: Of the training; only one with the same metadata resumes in the folder.
        report: Receives every line of the log.
        ranks: This process among those that train together.
        device: Where the network is.

    Attributes:
        progress: How far the training is.
    """

    def __init__(
        self,
        output: Path,
        parts: Mapping[str, Any],
        metadata: Mapping[str, Any],
        *,
        report: ReportLine,
        ranks: Ranks,
        device: torch.device,
    ) -> None:
        self.progress, self.ranks = Progress(), ranks
        self._output, self._parts, self._metadata = output, parts, metadata
        self._report, self._device = report, device
        self._saved = time.monotonic()

    def start(self) -> Progress:
        """Resume the training in the folder, or start one; returns its progress.

        Raises:
            UsageError: The folder holds a training with other settings, or remains of one; or each
                process sees another folder.
            WeightsError: Its state is damaged.
            OutputError: The folder cannot be written.
        """
        found = _resume(
            self._output, self._parts, self._metadata, ranks=self.ranks, device=self._device
        )
        # Nobody writes before all have read.
        places = self.ranks.gather(found and (found.epoch, found.step))
        if len(set(places)) > 1:
            raise UsageError(
                f"the processes find different states in '{self._output}'; choose an output "
                "folder that all nodes share"
            )
        if found is None:
            # Written at once, so that the folder belongs to this training from here on.
            self.save()
            return self.progress
        self.progress = found
        if self.ranks.number == 0:
            _trim_log(self._output / LOG, found)
        return found

    def write(self, line: Mapping[str, Any]) -> None:
        """Append one line to the log and report it.

        Raises:
            OutputError: The folder cannot be written.
        """
        if self.ranks.number:
            return
        path = self._output / LOG
        with reporting_os_errors(path), path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        self._report(line)

    def save(self) -> None:
        """Write everything that resuming needs.

        Raises:
            OutputError: The folder cannot be written.
        """
        random = self.ranks.gather(_random_state(self._device))
        self._saved = time.monotonic()
        if self.ranks.number:
            return
        content = {name: part.state_dict() for name, part in self._parts.items()}
        content |= {"progress": asdict(self.progress), "random": random}
        text = json.dumps(self._metadata, sort_keys=True)
        checkpoint.save_training(self._output / LAST, {**content, "metadata": text})

    def save_if_due(
        self, stop: Stop, *, seconds: float, first: Callable[[], None] = lambda: None
    ) -> None:
        """Write the state if that is so many seconds ago, or if a signal asks for the end.

        `first` is called before, by all processes; if it raises, nothing is written.

        Raises:
            Stopped: A signal does; the state is written.
            OutputError: The folder cannot be written.
        """
        late = time.monotonic() - self._saved >= seconds
        asked, due = divmod(self.ranks.largest(2 * stop.signal + late, self._device), 2)
        if asked or due:
            first()
            self.save()
        if asked:
            raise Stopped(asked, f"interrupted; the same command resumes in '{self._output}'")

    @contextmanager
    def aside(self, stop: Stop) -> Iterator[Callable[[], None]]:
        """Work such as validation that leaves the random generators as they were.

        Yields a function that all processes call equally often during the work: it ends the work
        if a signal asks for it, after writing the state from before the work.
        """
        random = _random_state(self._device)

        def pause() -> None:
            if self.ranks.largest(stop.signal, self._device):
                _set_random_state(random, self._device)
                self.save_if_due(stop, seconds=math.inf)

        yield pause
        _set_random_state(random, self._device)

    def save_best(self, network: nn.Module, *, epoch: int, scores: Mapping[str, Any]) -> None:
        """Write the weights of the best epoch, with the metadata and their scores.

        Raises:
            OutputError: The folder cannot be written.
        """
        if self.ranks.number == 0:
            content = {**self._metadata, "epoch": epoch, "validation": scores}
            checkpoint.save(self._output / BEST, network.state_dict(), metadata=content)


def _random_state(device: torch.device) -> dict[str, Tensor]:
    """States of the generators that networks draw from."""
    states = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    return states


def _set_random_state(states: Mapping[str, Tensor], device: torch.device) -> None:
    torch.set_rng_state(states["cpu"])
    if "cuda" in states:
        torch.cuda.set_rng_state(states["cuda"], device)


def _resume(
    output: Path,
    parts: Mapping[str, Any],
    metadata: Mapping[str, Any],
    *,
    ranks: Ranks,
    device: torch.device,
) -> Progress | None:
    """Restore the training in this folder; returns its progress, `None` if there is none.

    Raises:
        UsageError: The folder holds a training with other settings, or remains of one.
        WeightsError: Its state is damaged.
    """
    path = output / LAST
    if not path.exists():
        for leftover in (BEST, LOG):
            if (output / leftover).exists():
                raise UsageError(
                    f"'{output}' holds {leftover} of another training; choose another output folder"
                )
        return None
    content = checkpoint.read_training(path)
    try:
        differing = differences(json.loads(content["metadata"]), metadata)
        if differing:
            raise UsageError(
                f"'{output}' holds a training with other settings ({', '.join(differing)}); "
                "choose another output folder"
            )
        for name, part in parts.items():
            part.load_state_dict(content[name])
        _set_random_state(content["random"][ranks.number], device)
        return Progress(**content["progress"])
    except (KeyError, IndexError, ValueError, RuntimeError, TypeError) as error:
        raise WeightsError(
            f"'{path}' is not a state of this training; choose another output folder"
        ) from error


def _trim_log(path: Path, progress: Progress) -> None:
    """Cut the log down to its whole lines from before this point of the training.

    Raises:
        OutputError: The log cannot be written.
    """
    if not path.exists():
        return
    lines = []
    for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
        content = json.loads(line) if line.endswith("\n") else {"epoch": math.inf}
        # A validation ends its epoch, and has no step.
        if (content["epoch"], content.get("step", math.inf)) <= (progress.epoch, progress.step):
            lines.append(line)
    atomic.write(path, "".join(lines))
