"""Exports a model: the file, what a program must know to use it, and a check of both."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from salcli._version import __version__
from salcli.blame import failures_of
from salcli.engines.graph import difference, examples
from salcli.errors import PluginError
from salcli.export import files
from salcli.files import atomic, checkpoint
from salcli.models.loading import Loaded
from salcli.plugins import registry
from salcli.specs import as_json

__all__ = ["Export", "export"]

MOST = 1e-4
"""How far a file's maps may be from those of salcli."""


@dataclasses.dataclass(frozen=True)
class Export:
    """A written file.

    Attributes:
        file: The network.
        facts: The file beside it that says how to use it.
        difference: How far its maps are from those of salcli, on noise.
    """

    file: Path
    facts: Path
    difference: float


def export(
    loaded: Loaded, format_: str, folder: Path, *, size: tuple[int, int], batch: int | None
) -> Export:
    """Write the network of a loaded model, for frames of one size, and check it.

    Args:
        loaded: The model.
        format_: One of `salcli.export.files.FORMATS`.
        folder: Where the files go; their name is that of the model and its weights.
        size: `(H, W)` of the frames, which is that of the maps.
        batch: Size of the batch; `None` for any.

    Raises:
        UsageError: The model cannot be exported, or the format's libraries are missing.
        PluginError: The export fails, or its maps differ by more than 1e-4 from those of salcli.
        OutputError: The folder cannot be written.
    """
    files.check_installed(format_)
    model = loaded.model
    given = model.exportable(size)
    whole = files.published(given)
    name = "-".join([model.spec.name, *([loaded.row.tag] if loaded.row else [])])
    target = folder / f"{name}{files.SUFFIXES[format_]}"
    with atomic.temporary_folder() as desk, failures_of(f"the export of model '{model.spec.name}'"):
        made = desk / target.name
        files.write(whole, format_, made, batch=batch)
        with torch.inference_mode():
            apart = difference(whole, files.load(format_, made), batch=batch or 2)
            shape = list(whole.network(*examples(whole, 1))[0].shape[1:])
        if not apart <= MOST:
            raise PluginError(
                f"the exported network is not kept: its maps differ by {apart:.2g} from those of "
                f"salcli, more than {MOST:.0e}"
            )
        digests = {part.name: checkpoint.sha256(part) for part in sorted(desk.iterdir())}
        for part in digests:
            with atomic.replacing(folder / part) as copy:
                shutil.copyfile(desk / part, copy)
    facts = {
        "salcli": __version__,
        "model": loaded.label,
        "files": digests,
        "batch": batch or "any",
        "frame_size": list(size),
        "inputs": {
            n: {"shape": list(s), **given.facts.get(n, {})} for n, s in given.inputs.items()
        },
        "states": {n: {"shape": list(s), "after": f"{n}_after"} for n, s in given.states.items()},
        "outputs": {"map": {"shape": shape, "range": [0, 1], "rounding": model.spec.rounding}},
        **{name: value for name, value in given.facts.items() if name not in given.inputs},
        **_origin(loaded),
        "difference": apart,
    }
    beside = target.with_name(f"{target.name}.json")
    atomic.write(beside, json.dumps(facts, indent=2) + "\n")
    return Export(target, beside, apart)


def _origin(loaded: Loaded) -> Mapping[str, Any]:
    plugin = registry.provider(loaded.model.spec.name)
    licence = loaded.row.licence if loaded.row and loaded.row.licence else loaded.model.spec.licence
    return {
        "options": as_json(loaded.model.options),
        "weights_sha256": loaded.digest,
        "licence": licence,
        "versions": {plugin.distribution: plugin.version, "torch": torch.__version__},
    }
