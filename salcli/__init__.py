"""Where humans look in images and video: published saliency models under one command.

The public API for users, and what the module of a plugin needs. What is heavy is imported when it
is first used. What models, recipes, datasets and metrics are written with is in `salcli.authoring`,
what they are tested with in `salcli.testing`. All other modules are private.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from salcli._lazy import lazily
from salcli._version import __version__
from salcli.errors import (
    InputError,
    OutputError,
    PluginError,
    SalcliError,
    UnknownName,
    UsageError,
    WeightsError,
)
from salcli.plugins.hooks import hookimpl
from salcli.recipe import (
    Augmentation,
    ParameterGroup,
    Recipe,
    Source,
    TrainedDataset,
    TrainingRun,
)
from salcli.specs import (
    DatasetSpec,
    EngineSpec,
    FilterSpec,
    MetricSpec,
    ModelSpec,
    ProtocolSpec,
    StyleSpec,
    TrainedOn,
    Weights,
    option,
)
from salcli.types import (
    Annotation,
    Batch,
    Dataset,
    Frame,
    Loss,
    Prediction,
    Predictor,
    Recording,
    Result,
    Stimulus,
    Submission,
)

if TYPE_CHECKING:
    from salcli import metrics
    from salcli.api import aoi, heatmap, load_model, overlay, predict
    from salcli.cropping.run import crop
    from salcli.encoding.run import encode
    from salcli.models.loading import Loaded
    from salcli.scoring.compare import compare
    from salcli.scoring.run import score
    from salcli.training.session import finetune, train

__all__ = [
    "Annotation",
    "Augmentation",
    "Batch",
    "Dataset",
    "DatasetSpec",
    "EngineSpec",
    "FilterSpec",
    "Frame",
    "InputError",
    "Loaded",
    "Loss",
    "MetricSpec",
    "ModelSpec",
    "OutputError",
    "ParameterGroup",
    "PluginError",
    "Prediction",
    "Predictor",
    "ProtocolSpec",
    "Recipe",
    "Recording",
    "Result",
    "SalcliError",
    "Source",
    "Stimulus",
    "StyleSpec",
    "Submission",
    "TrainedDataset",
    "TrainedOn",
    "TrainingRun",
    "UnknownName",
    "UsageError",
    "Weights",
    "WeightsError",
    "__version__",
    "aoi",
    "compare",
    "crop",
    "encode",
    "finetune",
    "heatmap",
    "hookimpl",
    "load_model",
    "metrics",
    "option",
    "overlay",
    "predict",
    "score",
    "train",
]

__getattr__ = lazily(
    __name__,
    {
        "Loaded": "salcli.models.loading",
        "aoi": "salcli.api",
        "compare": "salcli.scoring.compare",
        "crop": "salcli.cropping.run",
        "encode": "salcli.encoding.run",
        "finetune": "salcli.training.session",
        "heatmap": "salcli.api",
        "load_model": "salcli.api",
        "metrics": "salcli.metrics",
        "overlay": "salcli.api",
        "predict": "salcli.api",
        "score": "salcli.scoring.run",
        "train": "salcli.training.session",
    },
)


def __dir__() -> list[str]:
    """The public names, those that are not imported yet as well."""
    return __all__
