"""The core's own answers to the hooks, registered like any plugin's."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from salcli.hookspecs import hookimpl
from salcli.specs import DatasetSpec, MetricSpec, Weights

if TYPE_CHECKING:
    from torch import Tensor

    from salcli.model import Model
    from salcli.types import Frame, Prediction, Stimulus


@hookimpl
def register_datasets() -> Iterable[DatasetSpec]:
    """The layouts of `salcli/datasets/`."""
    yield DatasetSpec(
        name="folder",
        summary="your own images with density maps, fixations, or both",
        factory="salcli.datasets.folder:Folder",
        layout=(
            "images/NAME.jpg         the stimuli (any image format)",
            "maps/NAME.png           8-bit fixation density maps, any size",
            "fixations/NAME.mat      fixations as SALICON publishes them, or NAME.png: binary map",
        ),
    )


@hookimpl
def register_metrics() -> Iterable[MetricSpec]:
    """The metrics of `salcli/metrics.py`."""
    yield MetricSpec("CC", "Pearson correlation of the maps", "salcli.metrics:cc", "density")
    yield MetricSpec("NSS", "normalised scanpath saliency", "salcli.metrics:nss", "fixations")
    yield MetricSpec(
        "AUC-Judd", "area under the ROC curve, all pixels", "salcli.metrics:auc_judd", "fixations"
    )
    yield MetricSpec("SIM", "histogram intersection", "salcli.metrics:sim", "density")
    yield MetricSpec(
        "KLD",
        "Kullback-Leibler divergence, nats",
        "salcli.metrics:kld",
        "density",
        higher_is_better=False,
    )


@hookimpl(trylast=True)
def fetch_weights(
    weights: Weights, url: str, target: Path, report: Callable[[int, int | None], None]
) -> bool | None:
    """http, https, file, Google Drive and Dropbox."""
    from salcli import download

    return download.fetch(url, target, report)


@hookimpl(trylast=True)
def preprocess(model: Model, frames: Sequence[Frame]) -> Tensor:
    """The model's own preprocessing."""
    return model.preprocess(frames)


@hookimpl(trylast=True)
def predict(model: Model, stimulus: Stimulus) -> Iterator[Prediction]:
    """The model's own prediction."""
    return model.predict(stimulus)
