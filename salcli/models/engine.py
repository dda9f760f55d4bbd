"""Which engine runs a model's network: the one that is named, or the fastest that passes."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping
from importlib import metadata
from typing import Any

import numpy as np
import torch

from salcli.engines.networks import EngineNetworks, kept_in
from salcli.errors import InputError, PluginError, UsageError
from salcli.files import atomic
from salcli.files.jsonfile import read_json
from salcli.models.model import Model
from salcli.plugins import registry
from salcli.specs import EngineSpec, as_json
from salcli.types import Stimulus

__all__ = ["TORCH", "use_engine"]

logger = logging.getLogger(__name__)

TORCH = "torch"
"""PyTorch itself, which needs no export."""

SAMPLE, ROUNDS = (360, 640), 3
"""Size of the frames on which engines are compared, and how often each predicts them."""


def use_engine(model: Model, name: str, *, digest: str | None) -> None:
    """Let this engine run the network of a loaded model.

    Args:
        model: Ready to run.
        name: `torch`, an engine that a plugin registers, or `auto`: the fastest of those that are
            installed and whose maps pass the check. Which one that is, is measured once for these
            weights.
        digest: SHA-256 of the weights; `None` for random ones.

    Raises:
        UnknownName: No such engine.
        UsageError: It is not installed, or cannot run this model, on this device, in this
            precision.
    """
    if name == TORCH:
        return
    fits = model.device.type == "cpu" and model.precision == torch.float32
    if name != "auto":
        spec = registry.engine(name)
        version = _version(spec)
        if version is None:
            raise UsageError(f"engine '{name}' is not installed; {spec.install} brings it")
        if not model.runs_in_engines:
            raise UsageError(
                f"model '{model.spec.name}' runs in PyTorch only: leave out the engine"
            )
        if not fits:
            raise UsageError(f"engine '{name}' computes on the CPU in float32 only")
        model.engine = _networks(model, spec, version, digest)
    elif fits and model.runs_in_engines:
        found = {spec: _version(spec) for spec in registry.engines().values()}
        installed = {spec: version for spec, version in found.items() if version is not None}
        chosen = _fastest(model, installed, digest) if installed else TORCH
        model.engine = next(
            (_networks(model, s, v, digest) for s, v in installed.items() if s.name == chosen), None
        )


def _networks(model: Model, spec: EngineSpec, version: str, digest: str | None) -> EngineNetworks:
    plugin = registry.provider(model.spec.name)
    made_by = {"model": model.spec.name, plugin.distribution: plugin.version}
    return EngineNetworks(spec, version=version, digest=digest, made_by=made_by)


def _version(spec: EngineSpec) -> str | None:
    """Version of the engine's distribution; `None` if any that it needs is missing."""
    try:
        versions = [metadata.version(needed) for needed in spec.needs]
    except metadata.PackageNotFoundError:
        return None
    return versions[0]


def _fastest(model: Model, installed: Mapping[EngineSpec, str], digest: str | None) -> str:
    """Name of the fastest engine, as it was measured before, or is now."""
    plugin = registry.provider(model.spec.name)
    facts: Mapping[str, Any] = {
        "versions": {spec.name: version for spec, version in installed.items()},
        **{TORCH: torch.__version__, "threads": torch.get_num_threads()},
        **{plugin.distribution: plugin.version, "options": as_json(model.options)},
    }
    key, file = json.dumps(facts, sort_keys=True), kept_in(digest or "") / "fastest.json"
    try:
        known = read_json(file, dict[str, str]) if digest else {}
    except InputError:
        known = {}
    if known.get(key) in (TORCH, *(spec.name for spec in installed)):
        return known[key]
    seconds = {TORCH: _seconds(model)}
    for spec, version in installed.items():
        model.engine = _networks(model, spec, version, digest)
        try:
            seconds[spec.name] = _seconds(model)
        except PluginError as error:
            logger.warning("%s", error)
    model.engine = None
    chosen = min(seconds, key=seconds.__getitem__)
    shown = ", ".join(f"{name} {1000 * value:.0f} ms" for name, value in seconds.items())
    logger.warning(
        "engine %s is the fastest here (%s for %d maps)", chosen, shown, len(_frames(model))
    )
    if digest:
        atomic.write(file, json.dumps({**known, key: chosen}, indent=2))
    return chosen


def _seconds(model: Model) -> float:
    """How long a model takes for a few frames, the fastest of several times."""
    frames, laps = _frames(model), []
    for _ in range(1 + ROUNDS):
        stimulus = Stimulus("sample", frames, fps=25.0 if "clips" in model.spec.accepts else None)
        began = time.perf_counter()
        with torch.inference_mode():
            for prediction in model.predict(stimulus):
                prediction.saliency.sum().item()
        laps.append(time.perf_counter() - began)
    return min(laps[1:])


def _frames(model: Model) -> list[np.ndarray[Any, np.dtype[np.uint8]]]:
    """Noise, as many frames as keep all cores at work."""
    count = 2 * max(model.batch_size, model.chunks_at_once)
    return list(np.random.default_rng(0).integers(0, 256, (count, *SAMPLE, 3), np.uint8))
