"""Where humans look in images and video: published saliency models under one command.

The public API. `load_model` and `predict` bring torch, so they are imported when first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from salcli._version import __version__
from salcli.errors import SalcliError
from salcli.plugins.hooks import hookimpl
from salcli.specs import DatasetSpec, MetricSpec, ModelSpec, StyleSpec, Weights
from salcli.types import Prediction, Stimulus

if TYPE_CHECKING:
    from salcli.api import predict
    from salcli.loading import load_model

__all__ = [
    "DatasetSpec",
    "MetricSpec",
    "ModelSpec",
    "Prediction",
    "SalcliError",
    "Stimulus",
    "StyleSpec",
    "Weights",
    "__version__",
    "hookimpl",
    "load_model",
    "predict",
]


def __getattr__(name: str) -> Any:
    if name == "load_model":
        from salcli.loading import load_model

        return load_model
    if name == "predict":
        from salcli.api import predict

        return predict
    raise AttributeError(f"module 'salcli' has no attribute '{name}'")
