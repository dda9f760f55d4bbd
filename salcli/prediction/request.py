"""What a command asks for, as it is known before a model is loaded or torch imported.

The record of a finished input has it, too: an equal request has equal results.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from salcli.errors import SalcliError, WeightsError
from salcli.plugins import loader, registry
from salcli.prediction import manifest
from salcli.prediction.manifest import OutputPaths
from salcli.types import Kind
from salcli.weights.trained import chosen

__all__ = ["FinishedInput", "all_finished", "describe"]


@dataclass(frozen=True)
class FinishedInput:
    """An input whose results are all there.

    Attributes:
        source: The input.
        folder: Holds the results.
        frames: Number of maps.
        files: The results.
    """

    source: Path
    folder: Path
    frames: int
    files: Sequence[Path]


def describe(model: str, weights: Path | None, **settings: Any) -> dict[str, Any]:
    """A request, as it reads back from JSON.

    Args:
        model: `NAME[:TAG]`, or the folder of a training.
        weights: A weights file.
        settings: All else that the results depend on.

    Raises:
        UnknownName, UsageError, WeightsError: There is no such model, or no such file.
    """
    name, file = chosen(model, weights)
    spec, row = registry.model(name)
    bytes_ = None
    if file is not None:
        try:
            with Path(file).open("rb") as opened:
                bytes_ = hashlib.file_digest(opened, "sha256").hexdigest()
        except OSError as error:
            raise WeightsError(f"cannot read weights '{file}': {error.strerror}") from error
    published = [row.tag, row.hash] if row else None
    facts = {
        "model": spec.name,
        "weights": bytes_ or published,
        "versions": {each.distribution: each.version for each in loader.load()},
        **settings,
    }
    found: dict[str, Any] = json.loads(json.dumps(facts, default=str))
    return found


def all_finished(
    inputs: Sequence[tuple[Path, OutputPaths]],
    request: Mapping[str, Any],
    *,
    formats: Sequence[str],
    kind: Kind,
) -> list[FinishedInput] | None:
    """All inputs, if each was finished by an equal request and has not changed; else `None`."""
    found = []
    for source, place in inputs:
        single = manifest.is_single(source, kind)
        record = place.read(single=single)
        if record is None or record.get("request") != request or record["problems"]:
            return None
        if not set(formats) <= set(record["formats"]) or not place.is_whole(record):
            return None
        try:
            if manifest.fingerprint(source) != record["settings"].get("source"):
                return None
        except SalcliError:
            return None  # predicting it says why
        folder = place.output if single else place.folder
        found.append(FinishedInput(source, folder, record["frames"], list(place.files(record))))
    return found
