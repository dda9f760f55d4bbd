"""The folder of a training run: its log, the state from which it goes on, the best weights."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from salcli import checkpoint
from salcli.atomic import told
from salcli.errors import UsageError, WeightsError

__all__ = ["BEST", "LAST", "LOG", "Report", "resume", "save_state", "write"]

LAST, BEST, LOG = "last.pt", "best.safetensors", "log.jsonl"


Report = Callable[[Mapping[str, Any]], None]
"""Receives what is also written as one line of the log."""


def write(output: Path, line: Mapping[str, Any], report: Report) -> None:
    """Append one line to the log and report it.

    Raises:
        OutputError: The folder cannot be written.
    """
    path = output / LOG
    with told(path), path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
    report(line)


def save_state(
    output: Path,
    parts: Mapping[str, Any],
    metadata: Mapping[str, Any],
    *,
    epoch: int,
    best: float | None,
) -> None:
    """Write everything that resuming needs: `epoch` is the next one.

    Raises:
        OutputError: The folder cannot be written.
    """
    content = {name: part.state_dict() for name, part in parts.items()}
    content |= {"epoch": epoch, "best": best, "metadata": json.dumps(metadata, sort_keys=True)}
    checkpoint.save_training(output / LAST, {**content, "random": torch.get_rng_state()})


def resume(
    output: Path, parts: Mapping[str, Any], metadata: Mapping[str, Any]
) -> tuple[int, float | None]:
    """Go on from the training in this folder, or start one: the next epoch, the best score so far.

    The log of an epoch that was not finished is forgotten.

    Raises:
        UsageError: The folder holds a training with other settings.
        WeightsError: Its state is damaged.
        OutputError: The folder cannot be written.
    """
    path = output / LAST
    if not path.exists():
        for leftover in (BEST, LOG):
            if (output / leftover).exists():
                raise UsageError(
                    f"'{output}' holds {leftover} of another training; choose another -o"
                )
        # Written at once, so that the folder belongs to this training from here on.
        save_state(output, parts, metadata, epoch=0, best=None)
        return 0, None
    content = checkpoint.read_training(path)
    try:
        differing = differences(json.loads(content["metadata"]), metadata)
        if differing:
            raise UsageError(
                f"'{output}' holds a training with other settings ({', '.join(differing)}); "
                "choose another -o"
            )
        for name, part in parts.items():
            part.load_state_dict(content[name])
        torch.set_rng_state(content["random"])
        epoch, best = content["epoch"], content["best"]
    except (KeyError, ValueError, RuntimeError, TypeError) as error:
        raise WeightsError(
            f"'{path}' is not a state of this training; choose another -o"
        ) from error
    trim_log(output / LOG, epoch)
    return epoch, best


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Names of the settings that differ, nested ones with dots."""
    now = json.loads(json.dumps(now))
    found = []
    for key in sorted({*before, *now}):
        old, new = before.get(key), now.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            found += [f"{key}.{name}" for name in differences(old, new)]
        elif old != new:
            found.append(key)
    return found


def trim_log(path: Path, epoch: int) -> None:
    """Keep only the log's whole lines of the epochs before `epoch`."""
    if not path.exists():
        return
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    kept = [line for line in lines if line.endswith("\n") and json.loads(line)["epoch"] < epoch]
    checkpoint.write_atomically(path, "".join(kept).encode())
