"""The seam: every question that the core asks all plugins.

A hook is a question that the core asks everybody; a method of `Model` is a question it asks one
model. A plugin is a module named by an entry point of the group `salcli`; it implements any of
these functions, marked with `salcli.hookimpl`. Importing that module must not import torch, numpy
or the like.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pluggy

if TYPE_CHECKING:
    import typer
    from torch import Tensor

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
    from salcli.types import Frame, Prediction, Predictor, Stimulus

__all__ = ["Hooks", "hookimpl", "hookspec"]

hookspec = pluggy.HookspecMarker("salcli")
hookimpl = pluggy.HookimplMarker("salcli")


class Hooks(Protocol):
    """All hooks; implementations are module-level functions of the same names, without `self`."""

    @hookspec
    def register_models(self) -> Iterable[ModelSpec]:
        """The models that this plugin brings; asked when a model name is first needed."""

    @hookspec
    def register_datasets(self) -> Iterable[DatasetSpec]:
        """The dataset layouts that this plugin can read; asked when a dataset is named."""

    @hookspec
    def register_filters(self) -> Iterable[FilterSpec]:
        """The filters that this plugin brings; asked when a user chooses one."""

    @hookspec
    def register_engines(self) -> Iterable[EngineSpec]:
        """The engines that this plugin brings; asked when a user chooses one."""

    @hookspec
    def register_metrics(self) -> Iterable[MetricSpec]:
        """The metrics that this plugin defines; asked when scores are wanted."""

    @hookspec
    def register_protocols(self) -> Iterable[ProtocolSpec]:
        """The protocols of scoring that this plugin brings; asked when scores are wanted."""

    @hookspec
    def register_styles(self) -> Iterable[StyleSpec]:
        """The ways to draw maps that this plugin brings; asked when maps are drawn."""

    @hookspec
    def register_commands(self, app: typer.Typer) -> None:
        """Add commands to `app` under the plugin's own name; import lazily.

        Asked when commands are listed, and when one is named that is none of the core's.
        """

    @hookspec(firstresult=True)
    def fetch_weights(
        self, weights: Weights, url: str, target: Path, report: Callable[[int, int | None], None]
    ) -> bool | None:
        """Download `url`, one of those of `weights`, into the temporary file `target`.

        Bytes already in `target` are the beginning of an interrupted download and may be continued.
        Write from front to back and call `report(done, total)` with byte counts once these bytes
        are in the file (they are hashed then), `total` being `None` where unknown. Return `True`
        when `target` holds the whole file, `None` to leave this URL to somebody else. The core
        alone verifies, locks, renames and caches, whoever downloaded.

        Raises:
            WeightsError: The URL is this plugin's, but the download failed.
        """

    @hookspec(firstresult=True)
    def preprocess(self, model: Predictor, frames: Sequence[Frame]) -> Tensor | None:
        """Network input for one chunk of RGB frames.

        The core's own answer, asked last, is `model.preprocess(frames)`. A plugin that wraps it
        (`hookimpl(wrapper=True)`) may change the tensor that comes back. It cannot pass other
        frames on, and it cannot change the maps: a filter can.
        """

    @hookspec(firstresult=True)
    def predict(self, model: Predictor, stimulus: Stimulus) -> Iterator[Prediction] | None:
        """One prediction per frame of the stimulus, in order, lazily.

        The core's own answer, asked last, is `model.predict(stimulus)`. A plugin that wraps it
        (`hookimpl(wrapper=True)`) may change the predictions that come back, and does so for every
        user and every model. It cannot pass another stimulus on: a filter can. Inference mode is
        switched on around each step by the core.
        """
