"""Turns a model's name and options into a model that is ready to run."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, NotRequired, TypedDict

import torch
from torch import nn

from salcli import devices
from salcli.errors import PluginError, SalcliError, UsageError, WeightsError
from salcli.files import checkpoint
from salcli.files.checkpoint import Checkpoint
from salcli.files.jsonfile import shaped
from salcli.filters.chain import Filter, choose
from salcli.models.engine import TORCH, use_engine
from salcli.models.model import Model
from salcli.models.undrawn import Undrawn, is_filled
from salcli.plugins import loader, registry
from salcli.specs import ModelSpec, TrainedOn, Weights, as_json, parse_options, resolve
from salcli.weights import store, trained
from salcli.weights.verify import is_intact

if TYPE_CHECKING:
    from salcli.weights.download import ReportBytes

__all__ = ["Loaded", "build", "create", "load_model", "model_class", "unbuilt"]


@dataclass(frozen=True)
class Loaded:
    """A model that is ready to run, and what it was made from.

    Attributes:
        model: The model, with its network loaded.
        row: The published weights requested; `None` for a local file or no weights.
        path: The weights file; `None` for a model without weights.
        digest: SHA-256 of that file, hexadecimal.
        trained_on: What the weights were trained on, as far as that is known.
        untrained: Whether the network is random.
    """

    model: Model
    row: Weights | None
    path: Path | None
    digest: str | None
    trained_on: Sequence[TrainedOn] = ()
    untrained: bool = False

    @property
    def label(self) -> str:
        """Model, weights and filters, as in `unisal:open + smooth`."""
        name = self.model.spec.name
        if self.row is not None:
            name = f"{name}:{self.row.tag}"
        elif self.path:
            folder = f"{self.path.parent.name}/" if self.path.name == trained.BEST else ""
            name = f"{name} with {folder}{self.path.name}"
        elif self.untrained:
            name = f"{name}, untrained"
        return " + ".join([name, *(each.label for each in self.model.filters)])

    def changes(self) -> dict[str, Any]:
        """What changes the model's predictions from outside, ready for JSON."""
        return {
            "filters": [each.statement() for each in self.model.filters],
            "plugins": {each.distribution: each.version for each in loader.load().altering()},
        }

    def settings(self) -> dict[str, Any]:
        """All that determines the model's predictions, ready for JSON."""
        return {
            "model": self.model.spec.name,
            "tag": self.row.tag if self.row else None,
            "weights_sha256": self.digest,
            "options": as_json(self.model.options),
            **self.changes(),
            "precision": str(self.model.precision).removeprefix("torch."),
            "engine": self.model.engine_name,
        }

    @property
    def known_limits(self) -> str:
        """What its published weights are bad at, and what to use instead; empty if unknown."""
        return self.row.known_limits if self.row else ""

    def for_dataset(self, name: str) -> Loaded:
        """The same, with the model set up to predict the dataset of this name."""
        return dataclasses.replace(self, model=self.model.for_dataset(name))


def model_class(spec: ModelSpec) -> type[Model]:
    """The class of a model.

    Raises:
        PluginError: The plugin's factory does not give a `Model`.
    """
    factory = resolve(spec.factory)
    if not (isinstance(factory, type) and issubclass(factory, Model)):
        raise PluginError(f"{spec.factory} of model '{spec.name}' is not a salcli.authoring.Model")
    return factory


def unbuilt(
    name: str, *, options: Sequence[str] | Mapping[str, Any] = (), defaults: Mapping[str, Any]
) -> Model:
    """A model with its options but no network.

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
        PluginError: Building it fails.
    """
    with _blamed(model.spec):
        network = model.build()
        if not isinstance(network, nn.Module):
            raise TypeError(f"build() gave {type(network).__name__}, not a torch.nn.Module")
        model.network = network


def create(
    name: str, *, options: Sequence[str] | Mapping[str, Any] = (), defaults: Mapping[str, Any]
) -> Model:
    """The model `name` with a freshly initialised network, no weights loaded.

    `options` override `defaults`, such as those of a row of weights.

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
    filters: Sequence[str | Filter] = (),
    engine: str = TORCH,
    offline: bool = False,
    untrained: bool = False,
    report: ReportBytes | None = None,
) -> Loaded:
    """Find or download the weights of `NAME[:TAG]`, build the network, load it, and move it.

    The name may be the folder of a training, or its weights file, which stand for both.

    Options come from, each overriding those before: the model's defaults, the weights row, the
    checkpoint's own metadata, `options`. With `weights_file`, the row counts only if the name has a
    tag. `untrained` takes a random network, always the same, instead of published weights.
    `filters` are texts such as `"smooth,alpha=0.8"`, the outermost first. `engine` runs the
    network: `torch`, `onnxruntime`, `openvino`, that of a plugin, or `auto`, the fastest of those
    that are installed. `report(done, total)` is called with byte counts while weights are
    downloaded.

    Raises:
        UnknownName, UsageError: No such model, tag, option, device, precision, batch size, filter
            or engine.
        WeightsError: The weights could not be obtained, verified or loaded, or there are none for
            the model's network.
    """
    name, weights_file = trained.chosen(name, weights_file)
    spec, row = registry.model(name)
    # validate the request before anything is downloaded
    target, dtype = devices.choose(device), _precision(spec, precision)
    chosen = choose(filters)
    if batch_size is not None and batch_size < 1:
        raise UsageError(f"a batch has at least one frame, not {batch_size}")
    # a local file states itself what it needs, unless a tag says that it is of that kind
    needs = row.options if row and (weights_file is None or ":" in name) else {}
    path: Path | None = None
    if weights_file is not None:
        path, row = Path(weights_file), None
    elif untrained:
        row = None
    elif row is not None:
        parse_options(spec, options, defaults=needs)
        path = _obtain(spec, row, offline=offline, report=report)
    digest = checkpoint.sha256(path) if path is not None else None
    model, saved = _made(spec, options, needs, path)
    model.offline, model.filters = offline, chosen
    trainable = any(parameter.requires_grad for parameter in model.network.parameters())
    if path is None and not untrained and trainable:
        raise WeightsError(
            f"model '{spec.name}' has a network but no weights, so its maps would be noise; give "
            "it a weights file, or ask for an untrained network"
        )
    model.to(target, dtype)
    model.freeze()
    model.input_device = target
    devices.keep_freed_memory()
    model.batch_size = batch_size or devices.batch_size(target, on_cpu=model.cpu_batch)
    use_engine(model, engine, digest=digest)
    trained_on = row.trained_on if row else _trained_on(spec, saved) if saved else ()
    return Loaded(model, row, path, digest, trained_on, untrained=path is None and untrained)


def _precision(spec: ModelSpec, name: str) -> torch.dtype:
    """The floating-point type of this name.

    Raises:
        UsageError: There is none, or the model's network cannot run in it.
    """
    found = devices.precision(name)
    known = str(found).removeprefix("torch.")
    if known not in spec.precisions:
        able = " or ".join(spec.precisions)
        raise UsageError(f"the network of model '{spec.name}' runs in {able}, not in {known}")
    return found


def _made(
    spec: ModelSpec,
    options: Sequence[str] | Mapping[str, Any],
    needs: Mapping[str, Any],
    path: Path | None,
) -> tuple[Model, Checkpoint | None]:
    """The model with its network, loaded from a file if there is one, and what the file says."""
    factory = model_class(spec)
    if path is not None and factory.open is not Model.open:
        model = unbuilt(spec.name, options=options, defaults=needs)
        try:
            model.network = model.open(path)
        except SalcliError:
            raise
        except Exception as error:  # each library has its own kinds
            text = f"{type(error).__name__}: {' '.join(str(error).split())}"
            raise WeightsError(f"model '{spec.name}' cannot open '{path}': {text}") from error
        return model, None
    saved = factory.read(path) if path is not None else None
    defaults = {**needs, **(saved.options if saved else {})}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # the same network each time, if it stays untrained
        if saved:
            return _filled(spec, options, defaults, saved), saved
        return create(spec.name, options=options, defaults=defaults), None


def _filled(
    spec: ModelSpec,
    options: Sequence[str] | Mapping[str, Any],
    defaults: Mapping[str, Any],
    saved: Checkpoint,
) -> Model:
    """The model with these weights; what the file lacks is drawn, if the model allows that."""

    def load() -> Model:
        model = create(spec.name, options=options, defaults=defaults)
        model.load(saved)
        return model

    with suppress(PluginError), Undrawn():
        model = load()
        if all(is_filled(part) for part in vars(model).values() if isinstance(part, nn.Module)):
            return model
    return load()


def _obtain(spec: ModelSpec, row: Weights, *, offline: bool, report: ReportBytes | None) -> Path:
    """The published file, downloaded if it is not there or not intact."""
    path = store.locate(spec, row, offline=offline, report=report)
    if is_intact(path, row, checkpoint.sha256(path)):
        return path
    # changed, but its times restored
    return store.locate(spec, row, offline=offline, thorough=True, report=report)


class _Data(TypedDict):
    """What the metadata of weights that salcli trained say of the data."""

    layout: list[str]
    edition: list[str]
    roots: list[str]
    options: list[str]


class _Training(TypedDict):
    data: _Data
    start: NotRequired[str | None]


def _trained_on(spec: ModelSpec, saved: Checkpoint) -> tuple[TrainedOn, ...]:
    """What salcli trained these weights on, and those that they started from; else nothing."""
    try:
        training = shaped(saved.metadata, _Training)
    except ValueError:
        return ()
    data, start = training["data"], training.get("start")
    # other options may hold out other recordings
    train, valid = ((), ()) if data["options"] else (("train",), ("valid",))
    groups = tuple(filter(None, data["roots"]))
    before = [row.trained_on for row in spec.weights if start and start == row.filename]
    return (
        *chain(*before),
        *(
            TrainedOn(name, train, valid, edition, groups)
            for name, edition in zip(data["layout"], data["edition"], strict=False)
        ),
    )
