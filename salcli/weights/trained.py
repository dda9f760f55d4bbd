"""Weights that salcli has trained, named by the folder of their training or by their file."""

from __future__ import annotations

from pathlib import Path
from typing import TypedDict

from salcli.errors import UsageError, WeightsError
from salcli.files.jsonfile import parse_json

__all__ = ["BEST", "chosen"]

BEST = "best.safetensors"
"""The weights of the best epoch, in the folder of a training."""

LONGEST = 2**24
"""Limit in bytes of the header of a weights file."""


class _SalcliMetadata(TypedDict):
    salcli: str


class _SafetensorsHeader(TypedDict):
    __metadata__: _SalcliMetadata


class _TrainedModel(TypedDict):
    model: str


def chosen(name: str, weights: str | Path | None) -> tuple[str, str | Path | None]:
    """Model and weights file that a name means; only that of a training stands for both.

    Args:
        name: `NAME[:TAG]`, the folder of a training, or the file of its weights.
        weights: The file that the user names; then `name` is none of these.

    Raises:
        UsageError: Both say which weights are meant.
        WeightsError: The file is damaged, or salcli has not trained it.
    """
    path = Path(name)
    file = path / BEST if path.is_dir() else path
    if file.name == name or not file.is_file():  # a plain name is never a file
        return name, weights
    if weights is not None:
        raise UsageError(f"'{name}' and '{weights}' both name weights; drop one")
    return _model_of(file), file


def _model_of(file: Path) -> str:
    """The model that a weights file belongs to, from its header alone."""
    try:
        with file.open("rb") as opened:
            length = int.from_bytes(opened.read(8), "little")
            text = opened.read(min(length, LONGEST))
        header = parse_json(text, _SafetensorsHeader)
        return parse_json(header["__metadata__"]["salcli"], _TrainedModel)["model"]
    except OSError as error:
        raise WeightsError(f"'{file}' cannot be read: {error.strerror}") from error
    except (ValueError, KeyError) as error:
        raise WeightsError(
            f"'{file}' does not say which model it is for, as files of salcli's trainings do; name "
            "the model, and the file as its weights"
        ) from error
