"""Finds what a training needs: model, recipe, data, and the weights that it starts from."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from salcli import devices
from salcli._version import __version__
from salcli.datasets.open import open_dataset, options_of
from salcli.errors import UnknownName, UsageError
from salcli.files.checkpoint import Checkpoint
from salcli.filters.chain import check_trainable, choose
from salcli.models import loading
from salcli.models.model import Model
from salcli.plugins import registry
from salcli.recipe import Recipe, RecipeOverrides, Source
from salcli.specs import parse_options
from salcli.training import distributed
from salcli.training.plan import Corpus
from salcli.types import Dataset
from salcli.weights import store, trained

__all__ = ["PreparedTraining", "TrainingRequest", "prepare"]


@dataclass(frozen=True)
class TrainingRequest:
    """What is trained on what.

    Attributes:
        model: `NAME[:TAG]`.
        options: Of the model, as `key=value` texts or a mapping.
        weights: File to start from.
        finetune: Whether the bare name of a model means its first published weights, and recipes
            for finetuning come first.
        recipe: Name of the recipe; `None` for the default.
        overrides: Values that replace the recipe's.
        data: `NAME` or `NAME=DIR` of each dataset.
        roots: Where the only dataset lies.
        data_options: `key=value` texts; of each dataset that has such an option.
        filters: Around the model, as texts; all of them must be for training, too.
        device: By name.
        deterministic: Whether only arithmetic that repeats itself is allowed.
    """

    model: str
    options: Sequence[str] | Mapping[str, Any] = ()
    weights: Path | None = None
    finetune: bool = False
    recipe: str | None = None
    overrides: RecipeOverrides = field(default_factory=RecipeOverrides)
    data: Sequence[str] = ()
    roots: Sequence[Path] = ()
    data_options: Sequence[str] = ()
    filters: Sequence[str] = ()
    device: str = "auto"
    deterministic: bool = False


@dataclass(frozen=True)
class PreparedTraining:
    """A training that could begin.

    Attributes:
        model: With its network, loaded as far as there are weights.
        recipe: With the overrides.
        datasets: The data.
        corpora: Their recordings, in the same order.
        metadata: Of the best weights.
    """

    model: Model
    recipe: Recipe
    datasets: Sequence[Dataset]
    corpora: Sequence[Corpus]
    metadata: Mapping[str, Any]


def prepare(request: TrainingRequest) -> PreparedTraining:
    """Find the data, the recipe and the weights that the request names.

    Raises:
        SalcliError: One of them does not exist or cannot be used.
    """
    model, saved, defaults = _choose_model(request)
    recipe = _choose_recipe(model, request).overridden(request.overrides)
    model.options = parse_options(
        model.spec, request.options, defaults={**recipe.options, **defaults}
    )
    model.filters = choose(request.filters)
    check_trainable(model.filters)
    opened = _open_datasets(request, recipe)
    if request.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True)
    corpora = [Corpus.of(dataset, source, recipe) for source, dataset in opened]
    _start_network(model, saved, seed=recipe.seed, device=request.device)
    datasets = [dataset for _, dataset in opened]
    metadata = {
        **_describe_model(model, saved),
        "data": _describe_data(datasets, corpora, request),
        "recipe": dataclasses.asdict(recipe),
    }
    return PreparedTraining(model, recipe, datasets, corpora, metadata)


def _choose_model(request: TrainingRequest) -> tuple[Model, Checkpoint | None, Mapping[str, Any]]:
    """The model without a network, the weights from which it starts, and their options.

    The network is built later, since the recipe may need other options.

    Raises:
        UsageError: Both a tag and a file say where to start, or nothing does where it must.
    """
    name, found = trained.chosen(request.model, request.weights)
    path = None if found is None else Path(found)
    if request.finetune and path and name == registry.DEFAULT_MODEL:
        name = name.partition(":")[0]  # nobody asked for the published weights of the default
    spec, row = registry.model(name)
    defaults = dict[str, Any]()
    if row is not None and (":" in name or (request.finetune and path is None)):
        if path is not None:
            raise UsageError(
                f"'{name}' and '{path}' both say from which weights to start; drop one"
            )
        path, defaults = store.locate(spec, row), dict(row.options)
    if path is None and request.finetune:
        raise UsageError(f"model '{spec.name}' has no published weights; name a weights file")
    saved = loading.model_class(spec).read(path) if path else None
    if saved:
        defaults |= saved.options
    model = loading.unbuilt(spec.name, options=request.options, defaults=defaults)
    return model, saved, defaults


def _choose_recipe(model: Model, request: TrainingRequest) -> Recipe:
    """The recipe of this name; otherwise one for finetuning, where that is wanted, or the first.

    Raises:
        UsageError: The model has no recipes.
        UnknownName: None has this name.
    """
    recipes = model.recipes()
    if not recipes:
        raise UsageError(f"model '{model.spec.name}' cannot be trained: its plugin has no recipes")
    if request.recipe is not None:
        if request.recipe not in recipes:
            raise UnknownName(f"recipe of model '{model.spec.name}'", request.recipe, recipes)
        return recipes[request.recipe]
    wanted = [f"finetune-{text.partition('=')[0]}" for text in request.data] + ["finetune"]
    preferred = [name for name in wanted if name in recipes] if request.finetune else []
    return recipes[next(iter((*preferred, *recipes)))]


def _open_datasets(request: TrainingRequest, recipe: Recipe) -> list[tuple[Source, Dataset]]:
    """The datasets that the request names, or those of the recipe.

    Raises:
        UsageError: No data are named, or it is not clear to which dataset a root belongs.
        UnknownName: No dataset has an option of this name.
        SalcliError: A dataset is not there.
    """
    sources = {source.dataset: source for source in recipe.sources}
    given = list(request.data) or (["folder"] if request.roots else list(sources))
    if not given:
        raise UsageError("nothing to train on: name a dataset or a folder")
    if len(given) > 1 and request.roots:
        raise UsageError(
            "a root belongs to one dataset, but several are named; say NAME=DIR for each"
        )
    named = [text.partition("=") for text in given]
    known = {name: options_of(registry.dataset(name)) for name, _, _ in named}
    everything = {key for options in known.values() for key in options}
    for key in (text.partition("=")[0] for text in request.data_options):
        if key not in everything:
            raise UnknownName("option of the data", key, everything)
    opened = []
    for name, _, folder in named:
        own = [text for text in request.data_options if text.partition("=")[0] in known[name]]
        roots = [Path(folder)] if folder else request.roots
        dataset = open_dataset(name, roots, options=own)
        opened.append((sources.get(name, Source(name)), dataset))
    return opened


def _start_network(model: Model, saved: Checkpoint | None, *, seed: int, device: str) -> None:
    """Give the model its network: drawn with the seed, then loaded as far as there are weights."""
    torch.manual_seed(seed)
    loading.build(model)
    if saved:
        model.start_from(saved)
    model.to(devices.choose(distributed.local_device(device)), torch.float32)
    model.batch_size = devices.batch_size(model.device)


def _describe_model(model: Model, saved: Checkpoint | None) -> dict[str, Any]:
    """What the metadata says of the model: name, options, start, versions."""
    plugin = registry.provider(model.spec.name)
    return {
        "model": model.spec.name,
        "options": dataclasses.asdict(model.options) if model.options else {},
        "filters": [each.statement() for each in model.filters],
        "start": saved.path.name if saved else None,
        "versions": {"salcli": __version__, plugin.distribution: plugin.version},
    }


def _describe_data(
    datasets: Sequence[Dataset], corpora: Sequence[Corpus], request: TrainingRequest
) -> dict[str, Any]:
    """What the metadata says of the data: names, editions, groups, and how many recordings."""
    training = [recording for corpus in corpora for recording in corpus.training]
    validation = [recording for corpus in corpora for recording in corpus.validation]
    groups = dict.fromkeys(recording.group for recording in (*training, *validation))
    return {
        "layout": [corpus.name for corpus in corpora],
        "edition": [dataset.edition for dataset in datasets],
        "options": list(request.data_options),
        "roots": list(groups),
        "recordings": {"train": len(training), "valid": len(validation)},
    }
