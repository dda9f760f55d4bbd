"""The core's own answers to the hooks, registered like any plugin's."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from salcli.baselines import BASELINES
from salcli.datasets.catalogue import LAYOUTS
from salcli.filters import FILTERS
from salcli.plugins.hooks import hookimpl
from salcli.specs import (
    DatasetSpec,
    EngineSpec,
    FilterSpec,
    MetricSpec,
    ModelSpec,
    ProtocolSpec,
    StyleSpec,
    Weights,
)

if TYPE_CHECKING:
    from torch import Tensor

    from salcli.types import Frame, Prediction, Predictor, Stimulus


@hookimpl
def register_datasets() -> Iterable[DatasetSpec]:
    """The layouts of `salcli/datasets/`."""
    yield from LAYOUTS


@hookimpl
def register_models() -> Iterable[ModelSpec]:
    """The baselines, which need no weights."""
    yield from BASELINES


@hookimpl
def register_filters() -> Iterable[FilterSpec]:
    """The filters of `salcli/filters/`."""
    yield from FILTERS


@hookimpl
def register_engines() -> Iterable[EngineSpec]:
    """The engines of `salcli/engines/`."""
    for name, title in (("onnxruntime", "ONNX Runtime"), ("openvino", "OpenVINO")):
        yield EngineSpec(
            name,
            title,
            f"salcli.engines.{name}:load",
            needs=(name, "onnx", "onnxscript"),
            install=f"pip install 'salcli[{name}]'",
        )


@hookimpl
def register_metrics() -> Iterable[MetricSpec]:
    """The metrics of `salcli/metrics/`; `salcli/protocols/` has their published variants."""
    metric = partial(MetricSpec, takes_tensors=True)
    yield metric("CC", "Pearson correlation of the maps", "salcli.metrics:cc", "density")
    yield metric("NSS", "normalised scanpath saliency", "salcli.metrics:nss", "fixations")
    yield metric(
        "AUC-Judd", "area under the ROC curve, all pixels", "salcli.metrics:auc_judd", "fixations"
    )
    yield metric("SIM", "histogram intersection", "salcli.metrics:sim", "density")
    yield metric(
        "KLD",
        "Kullback-Leibler divergence, nats",
        "salcli.metrics:kld",
        "density",
        higher_is_better=False,
    )
    yield metric(
        "AUC",
        "area under the ROC curve, every fixation against all pixels",
        "salcli.metrics:auc",
        "fixations",
        validates=False,
    )
    yield metric(
        "AUC-Borji",
        "area under the ROC curve, random pixels",
        "salcli.metrics:auc_borji",
        "fixations",
        validates=False,
    )
    yield metric(
        "s-AUC",
        "shuffled AUC, fixations of other stimuli",
        "salcli.metrics:shuffled_auc",
        "fixations",
        also="negatives",
        validates=False,
    )
    yield metric(
        "IG",
        "information gain over a baseline, bits per fixation (log2)",
        "salcli.metrics:ig",
        "fixations",
        also="baseline",
        validates=False,
    )


@hookimpl
def register_protocols() -> Iterable[ProtocolSpec]:
    """The public protocols of `salcli/protocols/public.py`."""
    yield ProtocolSpec("mit", "salcli.protocols.public:MIT")
    yield ProtocolSpec("dhf1k", "salcli.protocols.public:DHF1K")
    yield ProtocolSpec("tuebingen", "salcli.protocols.public:TUEBINGEN")
    yield ProtocolSpec("ntire", "salcli.protocols.public:NTIRE")


@hookimpl
def register_styles() -> Iterable[StyleSpec]:
    """The styles of `salcli/render/styles.py`."""
    yield StyleSpec("heat", "colours over the more salient half", "salcli.render.styles:Heat")
    yield StyleSpec(
        "contour",
        "lines that enclose 25, 50, 75 and 90 % of all attention",
        "salcli.render.styles:Contour",
    )
    yield StyleSpec("fog", "clear only where people look", "salcli.render.styles:Fog")
    yield StyleSpec(
        "peaks", "the most likely places with numbers", "salcli.render.styles:NumberedPeaks"
    )


@hookimpl(trylast=True)
def fetch_weights(
    weights: Weights, url: str, target: Path, report: Callable[[int, int | None], None]
) -> bool | None:
    """http, https, file, Google Drive and Dropbox."""
    from salcli.weights import download

    return download.fetch(url, target, report)


@hookimpl(trylast=True)
def preprocess(model: Predictor, frames: Sequence[Frame]) -> Tensor:
    """The model's own preprocessing."""
    return model.preprocess(frames)


@hookimpl(trylast=True)
def predict(model: Predictor, stimulus: Stimulus) -> Iterator[Prediction]:
    """The model's own prediction."""
    from salcli.prediction import layers

    return layers.of_model(model, stimulus)
