"""The contract of a model, and how one is made ready to run."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from salcli import checkpoint, devices
from salcli.checkpoint import Checkpoint
from salcli.errors import PluginError, SalcliError, UsageError
from salcli.plugins import loader, registry
from salcli.specs import ModelSpec, Weights, parse_options, resolve
from salcli.types import Batch, Frame, Loss, Prediction, Stimulus
from salcli.weights import store

if TYPE_CHECKING:
    import numpy as np

    from salcli.training.plan import Corpus
    from salcli.training.recipe import Recipe
    from salcli.training.train import Running
    from salcli.weights.download import Report

__all__ = ["Loaded", "Model", "load_model"]


class Model(ABC):
    """A saliency model: a generator of one map per frame, around a network.

    Subclasses keep everything temporal in local variables of `predict`; nothing made during a
    prediction is stored on `self`, other than what is a pure function of shapes.

    Attributes:
        spec: The model's description.
        options: An instance of `spec.options`, or `None`.
        network: What `build` gave, on `device`, in evaluation mode.
        device: Where the network runs.
        precision: Floating-point type in which the network runs.
        batch_size: How many frames go through the network at once.
        offline: Whether nothing may be downloaded, for a model that loads more than one file.
    """

    def __init__(self, spec: ModelSpec, options: Any = None) -> None:
        self.spec = spec
        self.options = options
        self.network: nn.Module = nn.Identity()
        self.device = torch.device("cpu")
        self.precision = torch.float32
        self.batch_size = 1
        self.offline = False

    @classmethod
    def read(cls, path: Path) -> Checkpoint:
        """Read a weights file; a model with a file format of its own overrides this.

        What the file says of the network that it needs goes into the metadata as `options`.

        Raises:
            WeightsError: The file is missing, damaged, or of no known format.
        """
        return checkpoint.read(path)

    @abstractmethod
    def build(self) -> nn.Module:
        """The network for `self.options`; attribute names are the published state-dict keys."""

    @abstractmethod
    def preprocess(self, frames: Sequence[Frame]) -> Tensor:
        """Network input `[N, 3, h, w]` float32 on the CPU for RGB frames of one size."""

    @abstractmethod
    def predict(self, stimulus: Stimulus) -> Iterator[Prediction]:
        """One prediction per frame, in order, lazily."""

    def load(self, saved: Checkpoint) -> None:
        """Fill the network with a checkpoint; a model with further parts overrides this.

        Raises:
            WeightsError: Keys are missing or unexpected, or shapes differ.
        """
        checkpoint.load_strict(self.network, saved)

    def start_from(self, saved: Checkpoint) -> None:
        """Fill the network before a training; a model with a known backbone overrides this.

        Raises:
            WeightsError: The file is neither this model's nor a backbone that it knows.
        """
        self.load(saved)

    def in_domain(self, domain: str) -> Model:
        """This model, as it preprocesses the frames of a dataset of this `Batch.domain`."""
        return self

    def for_dataset(self, name: str) -> Model:
        """This model, as it predicts a dataset of this name; for models that know datasets apart.

        What the user set as an option stays.
        """
        return self

    def training_inputs(self, frames: Sequence[Frame], random: np.random.Generator) -> Tensor:
        """What training sees of one sample's frames: `[T, ...]` float32 on the CPU.

        A model whose input is more than single frames, or whose augmentation is its own, overrides
        this; anything random comes from `random`.
        """
        return self.preprocess(frames)

    def losses(self, batch: Batch) -> Iterator[Loss]:
        """What a training step minimises, one value per backward pass."""
        raise UsageError(
            f"model '{self.spec.name}' cannot be trained: its plugin defines no losses"
        )

    def recipes(self) -> Mapping[str, Recipe]:
        """Training recipes by name, for the options; the first is the default.

        They are asked for before there is a network.
        """
        return {}

    def start_epoch(self, epoch: int) -> None:
        """Called before each training epoch (from 0): freeze, thaw, set modes."""
        self.network.train()

    def finish_training(
        self, output: Path, corpora: Sequence[Corpus], *, recipe: Recipe, running: Running
    ) -> None:
        """Called when a training is done, as `training.train.train` was: leave files as published.

        Raises:
            OutputError: The folder cannot be written.
        """
        return  # most models leave nothing more than what every training leaves

    def finish_evaluation(self, output: Path, document: Mapping[str, Any]) -> None:
        """Called when the result of a training was scored: leave files as published.

        Args:
            output: Folder of the training.
            document: What is in `scores.json`.
        """
        return  # as above

    def inputs(self, frames: Sequence[Frame]) -> Tensor:
        """Network input for a chunk, through the `preprocess` hook, on the model's device."""
        tensor: Tensor = loader.load().hook.preprocess(model=self, frames=frames)
        return tensor.to(self.device, self.precision, non_blocking=True)

    def to(self, device: torch.device, precision: torch.dtype) -> None:
        """Move the network, ready for prediction."""
        if precision == torch.float32:
            devices.compute_exactly()
        self.device, self.precision = device, precision
        self.network = self.network.to(device, precision).eval()


@dataclass(frozen=True)
class Loaded:
    """A model that is ready to run, and what it was made from.

    Attributes:
        model: The model, its network loaded.
        row: The published weights that were asked for; `None` for a local file or no weights.
        path: The weights file; `None` for a model without weights.
        digest: SHA-256 of that file, hexadecimal.
    """

    model: Model
    row: Weights | None
    path: Path | None
    digest: str | None

    @property
    def label(self) -> str:
        """Model and weights, as in `unisal:open`."""
        name = self.model.spec.name
        if self.row is not None:
            return f"{name}:{self.row.tag}"
        return f"{name} with {self.path.name}" if self.path else name

    def for_dataset(self, name: str) -> Loaded:
        """The same, as the model predicts a dataset of this name."""
        return dataclasses.replace(self, model=self.model.for_dataset(name))


def model_class(spec: ModelSpec) -> type[Model]:
    """The class that a model is made of.

    Raises:
        PluginError: The plugin's factory does not give a `Model`.
    """
    factory = resolve(spec.factory)
    if not (isinstance(factory, type) and issubclass(factory, Model)):
        raise PluginError(f"{spec.factory} of model '{spec.name}' is not a salcli.model.Model")
    return factory


def unbuilt(
    name: str, *, options: Sequence[str] | Mapping[str, Any] = (), defaults: Mapping[str, Any]
) -> Model:
    """A model with its options and no network.

    Raises:
        UnknownName, UsageError: No such model or option.
        PluginError: The plugin's factory does not give a `Model`.
    """
    spec, _ = registry.model(name)
    parsed = parse_options(spec, options, defaults=defaults)
    factory = model_class(spec)
    with _blamed(spec):
        return factory(spec, parsed)


def build(model: Model) -> None:
    """Give the model a freshly initialised network.

    Raises:
        PluginError: That fails.
    """
    with _blamed(model.spec):
        model.network = model.build()


def create(
    name: str, *, options: Sequence[str] | Mapping[str, Any] = (), defaults: Mapping[str, Any]
) -> Model:
    """A model with a freshly initialised network, no weights loaded.

    Raises:
        UnknownName, UsageError: No such model or option.
        PluginError: The plugin's factory does not give a `Model`, or this builds no network.
    """
    model = unbuilt(name, options=options, defaults=defaults)
    build(model)
    return model


@contextmanager
def _blamed(spec: ModelSpec) -> Iterator[None]:
    try:
        yield
    except SalcliError:
        raise
    except Exception as error:
        text = f"{type(error).__name__}: {error}"
        raise PluginError(f"model '{spec.name}' cannot be built: {text}") from error


def load_model(
    name: str = registry.DEFAULT_MODEL,
    *,
    options: Sequence[str] | Mapping[str, Any] = (),
    weights_file: str | Path | None = None,
    device: str = "auto",
    precision: str = "auto",
    batch_size: int | None = None,
    offline: bool = False,
    report: Report | None = None,
) -> Loaded:
    """Find or download the weights of `NAME[:TAG]`, build the network, load it, and move it.

    Options come from, in rising order: the model's defaults, the weights row, the checkpoint's own
    metadata, `options`. With `weights_file`, the row counts only if the name has a tag.
    `report(done, total)` is called with byte counts while weights arrive.

    Raises:
        UnknownName, UsageError: No such model, tag, option, device, precision or batch size.
        WeightsError: The weights cannot be had, verified or loaded.
    """
    spec, row = registry.model(name)
    # what is wrong with the request is told before anything is downloaded
    place, kind = devices.choose(device), devices.precision(precision)
    if batch_size is not None and batch_size < 1:
        raise UsageError(f"a batch has at least one frame, not {batch_size}")
    # a file of one's own says itself what it needs, unless a tag says that it is of that kind
    needs = row.options if row and (weights_file is None or ":" in name) else {}
    path: Path | None = None
    if weights_file is not None:
        path, row = Path(weights_file), None
    elif row is not None:
        parse_options(spec, options, defaults=needs)
        path = store.locate(spec, row, offline=offline, report=report)
    saved = model_class(spec).read(path) if path is not None else None
    defaults = {**needs, **(saved.options if saved else {})}
    model = create(spec.name, options=options, defaults=defaults)
    model.offline = offline
    if saved:
        model.load(saved)
    model.to(place, kind)
    model.batch_size = batch_size or devices.batch_size(model.device)
    return Loaded(model, row, path, checkpoint.sha256(path) if path is not None else None)
