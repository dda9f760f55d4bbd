"""Where humans look in images and video: published saliency models under one command.

The public API. What needs numpy or torch is imported when first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from salcli._version import __version__
from salcli.errors import SalcliError
from salcli.plugins.hooks import hookimpl
from salcli.specs import DatasetSpec, MetricSpec, ModelSpec, ProtocolSpec, StyleSpec, Weights
from salcli.types import Prediction, Stimulus

if TYPE_CHECKING:
    from salcli import metrics
    from salcli.api import aoi, heatmap, overlay, predict
    from salcli.loading import load_model
    from salcli.scoring.compare import compare
    from salcli.scoring.run import score

__all__ = [
    "DatasetSpec",
    "MetricSpec",
    "ModelSpec",
    "Prediction",
    "ProtocolSpec",
    "SalcliError",
    "Stimulus",
    "StyleSpec",
    "Weights",
    "__version__",
    "aoi",
    "compare",
    "heatmap",
    "hookimpl",
    "load_model",
    "metrics",
    "overlay",
    "predict",
    "score",
]

LAZY = {
    "aoi": "salcli.api",
    "compare": "salcli.scoring.compare",
    "heatmap": "salcli.api",
    "load_model": "salcli.loading",
    "overlay": "salcli.api",
    "predict": "salcli.api",
    "score": "salcli.scoring.run",
}
"""Modules of the functions that are imported when first used."""


def __getattr__(name: str) -> Any:
    if name == "metrics":
        return import_module("salcli.metrics")
    if name in LAZY:
        return getattr(import_module(LAZY[name]), name)
    raise AttributeError(f"module 'salcli' has no attribute '{name}'")
