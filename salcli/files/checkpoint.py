"""Reads published weights files safely and writes salcli's own.

Only tensors, arrays and plain containers are read (`weights_only=True`, no pickled objects); a file
that needs arbitrary code is refused. salcli writes safetensors, with JSON text under the metadata
key `salcli`.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import pickle
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from salcli.errors import WeightsError
from salcli.files.arrayfile import read_arrays
from salcli.files.atomic import replacing
from salcli.files.jsonfile import parse_json
from salcli.inputs import Standardisation

__all__ = [
    "Checkpoint",
    "fold_inputs",
    "load_strict",
    "mismatches",
    "read",
    "read_training",
    "save",
    "save_training",
    "sha256",
]

WRAPPERS = ("model_state_dict", "state_dict", "model")
"""Keys under which training checkpoints store the state dict."""

COUNTER = "num_batches_tracked"
"""Last part of the key of a batch norm counter."""


@dataclass(frozen=True)
class Checkpoint:
    """A state dict, and the metadata of its file.

    Attributes:
        state: Tensors on the CPU by published key.
        path: The file.
        metadata: What salcli wrote with the tensors; empty for published files.
    """

    state: Mapping[str, Tensor]
    path: Path
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @property
    def options(self) -> Mapping[str, Any]:
        """Model options that the file requires."""
        options: Mapping[str, Any] = self.metadata.get("options", {})
        return options


def read(path: Path) -> Checkpoint:
    """Read a `.safetensors`, `.npz` or PyTorch file, plain or wrapped in a training checkpoint.

    Raises:
        WeightsError: The file is missing, not a weights file, or needs arbitrary pickle code.
    """
    if not path.is_file():
        raise WeightsError(f"weights file '{path}' does not exist")
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    if path.suffix == ".npz":
        return _read_arrays(path)
    content = _unpickle(path, mapped=_is_zip(path))
    for key in WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
            break
    if not isinstance(content, Mapping) or not content:
        raise WeightsError(f"'{path}' holds no state dict (a mapping from names to tensors)")
    strangers = [key for key, value in content.items() if not isinstance(value, Tensor)]
    if strangers:
        raise WeightsError(f"'{path}' is not a state dict: '{strangers[0]}' is not a tensor")
    return Checkpoint({_unwrapped(key): tensor for key, tensor in content.items()}, path)


def _is_zip(path: Path) -> bool:
    try:
        return zipfile.is_zipfile(path)
    except zipfile.BadZipFile:  # raised for some damaged archives
        return False


def _unwrapped(key: str) -> str:
    """The key without the prefixes that `DataParallel` added, at any level, any number of times."""
    return ".".join(part for part in key.split(".") if part != "module")


def _read_safetensors(path: Path) -> Checkpoint:
    try:
        with safe_open(path, framework="pt") as file:
            state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (no mapping)
            metadata = parse_json((file.metadata() or {}).get("salcli", "{}"), dict[str, Any])
        if not isinstance(metadata.get("options", {}), dict):
            raise ValueError("its options are no mapping")
        return Checkpoint(state, path, metadata)
    except (SafetensorError, OSError, ValueError) as error:
        raise WeightsError(f"'{path}' is not a safetensors file: {error}") from error


def _read_arrays(path: Path) -> Checkpoint:
    """The arrays of a NumPy archive by name; models older than PyTorch were published this way."""
    try:
        arrays = read_arrays(path)
        return Checkpoint({key: torch.from_numpy(arrays[key]) for key in arrays}, path)
    except (ValueError, TypeError) as error:  # TypeError: of a type that torch lacks
        raise WeightsError(f"'{path}' cannot be read as weights: {error}") from error


def _unpickle(path: Path, *, mapped: bool = False) -> Any:
    """The file's content; tensors of a `mapped` file take memory only where they are accessed."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except pickle.UnpicklingError as error:
        raise WeightsError(
            f"'{path}' is not a weights file, or needs arbitrary pickle code, which salcli "
            "refuses; re-save it as a plain state dict"
        ) from error
    except Exception as error:  # torch.load raises many types for a damaged file
        reason = " ".join(str(error).split())
        raise WeightsError(f"'{path}' cannot be read as weights: {reason}") from error


def load_strict(network: nn.Module, saved: Checkpoint) -> None:
    """Copy the tensors of `saved` into the network; every key and shape must agree.

    Only batch norm counters may be missing: PyTorch did not write them before 0.4.1, and salcli
    never reads them.

    Raises:
        WeightsError: Names the file and the first five mismatches of each kind.
    """
    wanted = network.state_dict()
    needed = {k: t for k, t in wanted.items() if k in saved.state or not k.endswith(COUNTER)}
    complaint = mismatches(saved.state, needed)
    if complaint:
        raise WeightsError(f"'{saved.path}' does not fit the network: {complaint}")
    network.load_state_dict({**wanted, **saved.state})


def mismatches(found: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> str:
    """How keys and shapes of two state dicts differ, the first five of each kind; empty if not."""
    kinds = {
        "missing keys": [key for key in wanted if key not in found],
        "unexpected keys": [key for key in found if key not in wanted],
        "wrong shapes": [
            f"{key} {list(found[key].shape)} instead of {list(tensor.shape)}"
            for key, tensor in wanted.items()
            if key in found and found[key].shape != tensor.shape
        ],
    }
    return "; ".join(
        f"{len(keys)} {kind}: {', '.join(keys[:5])}{', ...' if len(keys) > 5 else ''}"
        for kind, keys in kinds.items()
        if keys
    )


def fold_inputs(
    weight: Tensor, *, was: Standardisation, now: Standardisation
) -> tuple[Tensor, Tensor]:
    """Change a first convolution to take inputs that are standardised in another way.

    With z the new input, the old one is `scale z + offset`.

    Args:
        weight: `[outputs, 3, ...]`, for red, green and blue.
        was: Standardisation of the inputs that it was trained on.
        now: Standardisation of those that it will get.

    Returns:
        The weight for the new inputs, and what to add to each output `[outputs]`. If the
        convolution pads with zeros, this is exact except at the border.
    """
    old, new = (torch.tensor(standard) for standard in (was, now))
    channels = (1, -1, *[1] * (weight.ndim - 2))
    scale, offset = new[1] / old[1], (new[0] - old[0]) / old[1]
    constant = (weight * offset.view(channels)).flatten(1).sum(1)
    return weight * scale.view(channels), constant


def save(
    path: Path,
    state: Mapping[str, Tensor],
    *,
    metadata: Mapping[str, Any],
    dtype: torch.dtype | None = None,
) -> None:
    """Write safetensors atomically; `dtype` converts the floating-point tensors.

    Raises:
        OutputError: The folder cannot be written or is full.
    """
    tensors = {
        key: (t.to(dtype) if dtype and t.is_floating_point() else t).detach().cpu().contiguous()
        for key, t in state.items()
    }
    text = json.dumps(metadata, sort_keys=True)
    with replacing(path) as part:
        part.touch()
        mode = part.stat().st_mode  # follows the umask; safetensors creates a private file
        try:
            save_file(tensors, part, {"format": "pt", "salcli": text})
            part.chmod(mode)
        except SafetensorError as error:
            # The only trace of the reason is the error number in the text.
            found = re.search(r"(?:os error|code:) (\d+)", str(error))
            number = int(found[1]) if found else errno.EIO
            raise OSError(number, os.strerror(number)) from error


def save_training(path: Path, content: Mapping[str, Any]) -> None:
    """Atomically write everything needed to resume (tensors, numbers, strings, containers).

    Raises:
        OutputError: The folder cannot be written or is full.
    """
    with replacing(path) as part, part.open("wb") as file:
        try:
            torch.save(dict(content), file)
        except RuntimeError as error:
            # torch closes its archive even after a disk error, and then raises about that instead.
            raise _disk_error(error) from error


def _disk_error(error: BaseException) -> OSError:
    """The operating system's error from anywhere in the chain, or a new one with the same text."""
    link: BaseException | None = error
    while link is not None:
        if isinstance(link, OSError):
            return link
        link = link.__cause__ or link.__context__
    return OSError(errno.EIO, " ".join(str(error).split()))


def read_training(path: Path) -> dict[str, Any]:
    """What `save_training` wrote.

    Raises:
        WeightsError: The file cannot be read.
    """
    content = _unpickle(path)
    if not isinstance(content, dict):
        raise WeightsError(f"'{path}' is not a training state")
    return content


def sha256(path: Path) -> str:
    """SHA-256 of a weights file's content, hexadecimal.

    Raises:
        WeightsError: The file is missing.
    """
    if not path.is_file():
        raise WeightsError(f"weights file '{path}' does not exist")
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
