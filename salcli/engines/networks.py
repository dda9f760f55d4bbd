"""Networks that an engine runs: exported once, kept, and checked against PyTorch before use."""

from __future__ import annotations

import hashlib
import json
import logging
import threading
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypedDict

import torch
from torch import Tensor

from salcli._version import __version__
from salcli.blame import failures_of
from salcli.engines.graph import Exportable, RunNetwork, difference
from salcli.engines.onnxfile import write_onnx
from salcli.errors import InputError, PluginError
from salcli.files import atomic, checkpoint
from salcli.files.jsonfile import read_json
from salcli.specs import ArrayNetwork, EngineSpec, resolve
from salcli.weights.cache import cache_root, locked

__all__ = ["EngineNetworks", "kept_in", "on_tensors"]

logger = logging.getLogger(__name__)


class _Receipt(TypedDict):
    """What is known about an exported file: its hash, and the versions of engines that passed."""

    sha256: str
    passed: dict[str, str]


class EngineNetworks:
    """The networks of one model in one engine, each made when it is first needed.

    Attributes:
        spec: The engine.
        version: Of the engine.

    Args:
        spec: The engine.
        version: Of the engine.
        digest: SHA-256 of the weights, which names the folder of the exported files; `None` for
            random weights, whose files are not kept.
        made_by: Whatever else determines the exported files, ready for JSON.
    """

    def __init__(
        self, spec: EngineSpec, *, version: str, digest: str | None, made_by: Mapping[str, Any]
    ) -> None:
        self.spec, self.version = spec, version
        self._folder = kept_in(digest) if digest else None
        self._made_by = {**made_by, "salcli": __version__, "torch": torch.__version__}
        self._lock = threading.Lock()
        self._ready: dict[str, RunNetwork] = {}

    def network(
        self, exportable: Exportable, options: Mapping[str, Any], *, calls: int
    ) -> RunNetwork:
        """The network, run by this engine.

        Args:
            exportable: The network.
            options: Those of the model, which tell its networks of the same shapes apart.
            calls: How many threads call it at once.

        Raises:
            PluginError: The engine fails, or its maps differ too much from those of PyTorch.
            WeightsError: The exported file cannot be kept.
        """
        what = {**self._made_by, "options": options, "shapes": exportable.given}
        key = hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:16]
        with self._lock:
            if key not in self._ready:
                self._ready[key] = self._made(exportable, key, calls)
            return self._ready[key]

    def _made(self, exportable: Exportable, key: str, calls: int) -> RunNetwork:
        place = nullcontext(self._folder) if self._folder else TemporaryDirectory()
        with place as folder:
            path = Path(folder) / f"{key}.onnx"
            with locked(path):
                passed = _passed(path)
                if passed is None:
                    logger.warning("preparing the network for %s, once", self.spec.name)
                    with atomic.replacing(path) as part, failures_of("the export of the network"):
                        write_onnx(exportable, part)
                run = self._loaded(exportable, path, calls)
                if passed is None or passed.get(self.spec.name) != self.version:
                    self._check(exportable, run)
                    passed = {**(passed or {}), self.spec.name: self.version}
                    receipt = {"sha256": checkpoint.sha256(path), "passed": passed}
                    atomic.write(path.with_suffix(".json"), json.dumps(receipt))
        return run

    def _loaded(self, exportable: Exportable, path: Path, calls: int) -> RunNetwork:
        who = f"engine '{self.spec.name}'"
        with failures_of(who):
            run: ArrayNetwork = resolve(self.spec.load)(path, torch.get_num_threads(), calls)

        compute = on_tensors(run)

        def guarded(*tensors: Tensor) -> tuple[Tensor, ...]:
            with failures_of(who):
                return compute(*tensors)

        return guarded

    def _check(self, exportable: Exportable, run: RunNetwork) -> None:
        with torch.inference_mode():
            apart = difference(exportable, run)
        if not apart <= exportable.tolerance:
            raise PluginError(
                f"engine '{self.spec.name}' {self.version} is not used: its maps differ from those "
                f"of PyTorch by {apart:.2g}, and this model allows {exportable.tolerance:.2g}"
            )
        logger.info("engine %s: maps differ by %.2g from PyTorch's", self.spec.name, apart)


def on_tensors(run: ArrayNetwork) -> RunNetwork:
    """A network of arrays as one of tensors."""
    return lambda *tensors: tuple(
        map(torch.from_numpy, run(*(tensor.contiguous().numpy() for tensor in tensors)))
    )


def kept_in(digest: str) -> Path:
    """The folder of what is made of the weights with this SHA-256 for other engines."""
    return cache_root() / "engines" / digest


def _passed(path: Path) -> dict[str, str] | None:
    """The engines that have passed the check with this file; `None` if it is missing or damaged."""
    try:
        receipt = read_json(path.with_suffix(".json"), _Receipt)
        intact = path.is_file() and checkpoint.sha256(path) == receipt["sha256"]
    except (InputError, OSError):
        return None
    return receipt["passed"] if intact else None
