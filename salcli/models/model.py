"""The contract of a model."""

from __future__ import annotations

import copy
import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import torch
from torch import Tensor, nn

from salcli import devices
from salcli.errors import PluginError, UsageError
from salcli.files import checkpoint
from salcli.files.checkpoint import Checkpoint
from salcli.filters.chain import Filter, choose
from salcli.plugins import loader
from salcli.specs import ModelSpec, as_json
from salcli.types import Batch, Frame, Loss, Prediction, Stimulus

if TYPE_CHECKING:
    import numpy as np

    from salcli.engines.graph import Exportable, RunNetwork
    from salcli.engines.networks import EngineNetworks
    from salcli.recipe import Recipe, TrainingRun

__all__ = ["Model"]


class Model(ABC):
    """A saliency model: a generator of one map per frame, around a network.

    Subclasses keep everything temporal in local variables of `predict`; nothing computed during a
    prediction is stored on `self`, except pure functions of shapes.

    Attributes:
        spec: The model's description.
        options: An instance of `spec.options`, or `None`.
        network: The network from `build`, on `device`, in evaluation mode.
        device: Where the network runs.
        input_device: Where `preprocess` may put network input: `device` once the model is frozen,
            before that the CPU, since several processes prepare what a training sees.
        precision: Floating-point type in which the network runs.
        batch_size: Frames that go through the network at once.
        offline: Whether downloads are forbidden, for a model that loads more than one file.
        engine: Runs its network instead of PyTorch; `None` for PyTorch itself.
        filters: Change its frames or maps; the first is the outermost. The model itself knows
            nothing of them.
    """

    runs_in_engines = False
    """Whether `predict` computes by `runner`, so that other engines can run the network."""

    def __init__(self, spec: ModelSpec, options: Any = None) -> None:
        self.spec = spec
        self.options = options
        self.network: nn.Module = nn.Identity()
        self.device = self.input_device = torch.device("cpu")
        self.precision = torch.float32
        self.batch_size = 1
        self.offline = False
        self.engine: EngineNetworks | None = None
        self.filters: tuple[Filter, ...] = ()

    @property
    def context(self) -> int | None:
        """`spec.context`, for these options; a model whose options change it overrides this."""
        return self.spec.context

    @classmethod
    def read(cls, path: Path) -> Checkpoint:
        """Read a weights file; a model with its own file format overrides this.

        The metadata key `options` holds what the file says about the network that it needs.

        Raises:
            WeightsError: The file is missing, damaged, or in an unknown format.
        """
        return checkpoint.read(path)

    def build(self) -> nn.Module:
        """The network for `self.options`; attribute names are the published state-dict keys.

        Every model has it but those whose network exists only as a file; these have `open`.
        """
        raise UsageError(
            f"the network of model '{self.spec.name}' exists only as a weights file; name one"
        )

    def open(self, path: Path) -> nn.Module:
        """The network that a weights file holds, where it exists only as a file: of ONNX and such.

        A model that overrides this needs neither `build` nor `read` nor `load`.

        Raises:
            WeightsError: The file is missing, damaged, or of another kind.
        """
        raise NotImplementedError  # other networks are built, then loaded

    @abstractmethod
    def preprocess(self, frames: Sequence[Frame]) -> Tensor:
        """Network input `[N, 3, h, w]` float32 for RGB frames of one size.

        On the CPU, or on `input_device`.
        """

    @abstractmethod
    def predict(self, stimulus: Stimulus) -> Iterator[Prediction]:
        """One prediction per frame, in order, lazily."""

    def load(self, saved: Checkpoint) -> None:
        """Load a checkpoint into the network; a model with further parts overrides this.

        Raises:
            WeightsError: Keys are missing or unexpected, or shapes differ.
        """
        checkpoint.load_strict(self.network, saved)

    def start_from(self, saved: Checkpoint) -> None:
        """Load the weights that training starts from; a model with a known backbone overrides this.

        Raises:
            WeightsError: The file is neither for this model nor for a backbone that it knows.
        """
        self.load(saved)

    def in_domain(self, domain: str) -> Model:
        """This model, set up to preprocess frames of a dataset with this `Batch.domain`."""
        return self

    def for_dataset(self, name: str) -> Model:
        """This model, set up to predict the dataset of this name; for models that distinguish them.

        Options set by the user are kept.
        """
        return self

    def filtered(self, filters: Sequence[str | Filter]) -> Self:
        """The same model with these filters, such as `"smooth,alpha=0.8"`, instead of its own.

        Raises:
            UnknownName, UsageError: No such filter, or no such option of it.
        """
        other = copy.copy(self)
        other.filters = choose(filters)
        return other

    def training_inputs(self, frames: Sequence[Frame], random: np.random.Generator) -> Tensor:
        """Network input for the frames of one training sample: `[T, ...]` float32 on the CPU.

        A model whose input is more than single frames, or that has its own augmentation, overrides
        this; all randomness comes from `random`.
        """
        return self.preprocessed(frames)

    def losses(self, batch: Batch) -> Iterator[Loss]:
        """The losses that a training step minimises, one per backward pass."""
        raise UsageError(
            f"model '{self.spec.name}' cannot be trained: its plugin defines no losses"
        )

    def recipes(self) -> Mapping[str, Recipe]:
        """Training recipes by name, given the options; the first is the default.

        Called before the network is built.
        """
        return {}

    def selecting_score(
        self, scores: Mapping[str, Mapping[str, float]], recipe: Recipe, epoch: int
    ) -> float | None:
        """The score of an epoch by which the best one is chosen; `None` if it cannot be the best.

        A model whose published code looks at one dataset, or not from the start, overrides this.

        Args:
            scores: Means over the validation recordings, by group or dataset and by name; `all` is
                over everything.
            recipe: What is followed; `select` is the name.
            epoch: Counted from 0.
        """
        return scores.get("all", {}).get(recipe.select, math.nan)

    def start_epoch(self, epoch: int) -> None:
        """Called before each training epoch (from 0): freeze, unfreeze, set modes."""
        self.network.train()

    def finish(self, run: TrainingRun) -> None:
        """Called after training, and again after each evaluation of its result.

        A model whose original code writes further files into the run folder writes them here.

        Raises:
            OutputError: The folder cannot be written.
        """
        return  # most models write no further files

    def freeze(self) -> None:
        """Called once a model is loaded for prediction: its weights will not change any more.

        A model overrides this to prepare what makes prediction faster, such as `authoring.fuse`.
        Training never calls it.
        """
        return  # most models run as they are

    def exportable(self, size: tuple[int, int]) -> Exportable:
        """The network as a function of tensors, for frames of one size; for prediction only.

        Args:
            size: `(H, W)` of the frames.

        Raises:
            UsageError: The model, or the model with these options, has no such function.
        """
        raise UsageError(f"model '{self.spec.name}' runs in PyTorch only and cannot be exported")

    def runner(self, size: tuple[int, int]) -> RunNetwork:
        """The network of `exportable`, run by the engine that was chosen.

        Networks without a state may be called by `chunks_at_once` threads.

        Raises:
            UsageError: See `exportable`.
            PluginError: The engine fails, or its maps differ too much from those of PyTorch.
        """
        exportable = self.exportable(size)
        if self.engine is None:
            return exportable.network
        calls = 1 if exportable.states else self.chunks_at_once
        return self.engine.network(exportable, as_json(self.options), calls=calls)

    @property
    def engine_name(self) -> str:
        """What runs the network; `torch` is PyTorch itself."""
        return self.engine.spec.name if self.engine else "torch"

    @property
    def chunks_at_once(self) -> int:
        """How many independent chunks of frames to compute at once: one for each core of a CPU."""
        return torch.get_num_threads() if self.device.type == "cpu" else 1

    @property
    def cpu_batch(self) -> int:
        """Frames that go through the network at once on a CPU, unless the user says otherwise."""
        return devices.CPU_BATCH

    def preprocessed(self, frames: Sequence[Frame]) -> Tensor:
        """Output of the `preprocess` hook for RGB frames of one size: see `preprocess`."""
        plugins = loader.load()
        found = plugins.hook.preprocess(model=self, frames=frames)
        if not isinstance(found, Tensor):
            around = [p.distribution for p, _ in plugins.answers("preprocess") if p.name != "core"]
            who = f"plugin '{' or '.join(around)}'" if around else f"model '{self.spec.name}'"
            kind = type(found).__name__
            raise PluginError(f"{who} gave {kind} instead of a tensor as input of the network")
        return found

    def inputs(self, frames: Sequence[Frame]) -> Tensor:
        """Network input for a chunk, through the `preprocess` hook, on the model's device.

        A GPU goes on with other chunks meanwhile.
        """

        def make() -> Tensor:
            found = self.preprocessed(frames)
            return found.to(self.device, self.precision, non_blocking=True)

        return devices.beside(self.device, make)

    def to(self, device: torch.device, precision: torch.dtype) -> None:
        """Move the network to a device and precision, ready for prediction."""
        self.device, self.precision = device, precision
        self.network = self.network.to(device, precision).eval()
