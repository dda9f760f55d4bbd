"""What `salcli train` and `salcli finetune` share: how a training is prepared."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from salcli.checkpoint import Checkpoint
    from salcli.model import Model
    from salcli.recipe import Recipe, Source
    from salcli.training.plan import Corpus
    from salcli.types import Dataset

__all__ = ["Request", "Training"]


CHANGES = (
    *("epochs", "batch_size", "learning_rate", "gamma", "clip_length", "clip_stride"),
    *("accumulation", "gradient_clip", "epoch_steps", "patience", "seed"),
)
"""Options that stand in place of the recipe's fields of the same names."""

GENERAL = ("fold", "hold_out")
"""Options of datasets that are options of the command too."""


@dataclass(frozen=True)
class Request:
    """What the command line asks for.

    Attributes:
        model: `NAME[:TAG]`.
        options: `-O` of the model.
        start: Weights file to start from.
        published: Whether the bare name of a model means its first published weights.
        recipe: Name of the recipe; `None` for the first of `recipes`.
        recipes: Names that are looked for first, in order.
        changes: Fields of the recipe.
        thaw_after: `frozen_epochs` of the recipe's encoder.
        data: `NAME` or `NAME=DIR`.
        roots: `--root`.
        data_options: Of the datasets, where they have such an option.
        given_data_options: `-D`, for which the dataset must have it.
        device, deterministic: Where and how it runs.
    """

    model: str
    options: Sequence[str] = ()
    start: Path | None = None
    published: bool = False
    recipe: str | None = None
    recipes: Sequence[str] = ()
    changes: Mapping[str, Any] = field(default_factory=dict)
    thaw_after: int | None = None
    data: Sequence[str] = ()
    roots: Sequence[Path] = ()
    data_options: Mapping[str, str] = field(default_factory=dict)
    given_data_options: Sequence[str] = ()
    device: str = "auto"
    deterministic: bool = False

    @classmethod
    def of(
        cls, given: Mapping[str, Any], *, published: bool, recipes: Sequence[str] = ()
    ) -> Request:
        """What the options of `salcli train` or `salcli finetune` say, by their names there."""
        there = {name: value for name, value in given.items() if value is not None}
        changes = {name: there[name] for name in CHANGES if name in there}
        if "gamma" in changes:
            changes["schedule"] = "exponential"
        return cls(
            model=given["model"],
            options=there.get("option", ()),
            start=given["weights"],
            published=published,
            recipe=given["recipe"],
            recipes=recipes,
            changes=changes,
            thaw_after=given["train_cnn_after"],
            data=there.get("data", ()),
            roots=there.get("root", ()),
            data_options={name: str(there[name]) for name in GENERAL if name in there},
            given_data_options=there.get("data_option", ()),
            device=given["device"],
            deterministic=given["deterministic"],
        )


@dataclass(frozen=True)
class Training:
    """A training that could begin.

    Attributes:
        model: With its network, loaded as far as there are weights.
        recipe: With the changes.
        datasets: The data.
        corpora: Their recordings.
        metadata: What the best weights will say of themselves.
    """

    model: Model
    recipe: Recipe
    datasets: Sequence[Dataset]
    corpora: Sequence[Corpus]
    metadata: Mapping[str, Any]

    @classmethod
    def prepare(cls, request: Request) -> Training:
        """Find the data, the recipe and the weights that the request names.

        Raises:
            SalcliError: One of them does not exist or cannot be used.
        """
        from salcli.specs import parse_options
        from salcli.training.plan import Corpus

        model, saved, known = choose_model(request)
        recipe = choose_recipe(model, request)
        defaults = {**recipe.options, **known}
        model.options = parse_options(model.spec, request.options, defaults=defaults)
        datasets = open_datasets(request, recipe)
        if request.deterministic:
            repeat_exactly()
        if recipe.select_on not in [source.dataset for source, _ in datasets]:
            recipe = dataclasses.replace(recipe, select_on="all")
        corpora = [Corpus.of(dataset, source, recipe) for source, dataset in datasets]
        start_network(model, saved, seed=recipe.seed, device=request.device)
        metadata = {
            **describe_model(model, saved),
            "data": describe_data(datasets, corpora, request),
            "recipe": dataclasses.asdict(recipe),
        }
        return cls(model, recipe, [dataset for _, dataset in datasets], corpora, metadata)


def choose_model(request: Request) -> tuple[Model, Checkpoint | None, Mapping[str, Any]]:
    """The model with the options of the weights from which it starts, these weights and options.

    It has no network yet, since the recipe may ask for other options.

    Raises:
        UsageError: Both a tag and a file say where to start, or nothing does where it must.
    """
    from salcli import loading
    from salcli.errors import UsageError
    from salcli.plugins import registry
    from salcli.weights import store

    name, start = request.model, request.start
    spec, row = registry.model(name)
    path, defaults = start, dict[str, Any]()
    if row is not None and (":" in name or (request.published and start is None)):
        if start is not None:
            raise UsageError(f"--model {name} and --weights both say where to start; drop one")
        path, defaults = store.locate(spec, row), dict(row.options)
    if path is None and request.published:
        raise UsageError(f"model '{spec.name}' has no published weights; name some with --weights")
    saved = loading.model_class(spec).read(path) if path else None
    if saved:
        defaults |= saved.options
    found = loading.unbuilt(spec.name, options=request.options, defaults=defaults)
    return found, saved, defaults


def choose_recipe(model: Model, request: Request) -> Recipe:
    """The recipe that the request names, or the first of those it prefers, with changes.

    Raises:
        UsageError: The model has no recipes, or the recipe knows no encoder.
        UnknownName: None has this name.
    """
    from salcli.errors import UnknownName, UsageError

    recipes = model.recipes()
    if not recipes:
        raise UsageError(f"model '{model.spec.name}' cannot be trained: its plugin has no recipes")
    if request.recipe is not None and request.recipe not in recipes:
        raise UnknownName(f"recipe of model '{model.spec.name}'", request.recipe, recipes)
    preferred = [name for name in request.recipes if name in recipes]
    chosen = recipes[request.recipe or next(iter((*preferred, *recipes)))]
    changes = dict(request.changes)
    if request.thaw_after is not None:
        if not any(group.encoder for group in chosen.groups):
            raise UsageError("--train-cnn-after: the recipe does not say what the encoder is")
        changes["groups"] = tuple(
            dataclasses.replace(group, frozen_epochs=request.thaw_after) if group.encoder else group
            for group in chosen.groups
        )
    sized = {"batch_size", "clip_length", "clip_stride"} & changes.keys()
    if sized:
        bare: dict[str, Any] = dict.fromkeys(sized)
        sources = (dataclasses.replace(source, **bare) for source in chosen.sources)
        changes["sources"] = tuple(sources)
    return dataclasses.replace(chosen, **changes)


def open_datasets(request: Request, recipe: Recipe) -> list[tuple[Source, Dataset]]:
    """The datasets that the request names, or those of the recipe.

    Raises:
        UsageError: Nobody names data, or it is not clear whose root or option is given.
        SalcliError: A dataset is not there.
    """
    from salcli.datasets.open import open_dataset
    from salcli.errors import UsageError
    from salcli.plugins import registry
    from salcli.specs import resolve

    named = [text.partition("=") for text in request.data]
    if not named and request.roots:
        named = [("folder", "", "")]
    if not named:
        named = [(source.dataset, "", "") for source in recipe.sources]
    if not named:
        raise UsageError("nothing to train on: give --root DIR, or --data NAME")
    if len(named) > 1 and (request.roots or request.given_data_options):
        raise UsageError(
            "--root and -D are of one dataset, but there are several; say --data NAME=DIR"
        )
    opened, used = [], set[str]()
    for name, _, folder in named:
        spec = registry.dataset(name)
        fields = dataclasses.fields(resolve(spec.options)) if spec.options else ()
        names = {each.name for each in fields}
        general = {key: value for key, value in request.data_options.items() if key in names}
        used |= general.keys()
        texts = [f"{key}={value}" for key, value in general.items()]
        roots = [Path(folder)] if folder else request.roots
        dataset = open_dataset(name, roots, options=[*texts, *request.given_data_options])
        opened.append((as_source(name, recipe), dataset))
    for key in request.data_options.keys() - used:
        raise UsageError(f"--{key.replace('_', '-')}: none of the datasets has such a choice")
    return opened


def as_source(name: str, recipe: Recipe) -> Source:
    """How the recipe uses a dataset; like any other, if it does not name it."""
    from salcli.recipe import Source

    known = {source.dataset: source for source in recipe.sources}
    return known.get(name, Source(name))


def start_network(model: Model, saved: Checkpoint | None, *, seed: int, device: str) -> None:
    """Give the model its network: drawn with the seed, then loaded as far as there are weights."""
    import torch

    from salcli import devices
    from salcli.loading import build
    from salcli.training import distributed

    torch.manual_seed(seed)
    build(model)
    if saved:
        model.start_from(saved)
    model.to(devices.choose(distributed.local_device(device)), torch.float32)
    model.batch_size = devices.batch_size(model.device)


def repeat_exactly() -> None:
    """Let PyTorch use only arithmetic that gives the same result each time."""
    import os

    import torch

    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)


def describe_model(model: Model, saved: Checkpoint | None) -> dict[str, Any]:
    """What the metadata says of the model: name, options, start, versions."""
    from salcli._version import __version__
    from salcli.plugins import registry

    plugin = registry.provider(model.spec.name)
    return {
        "model": model.spec.name,
        "options": dataclasses.asdict(model.options) if model.options else {},
        "start": saved.path.name if saved else None,
        "versions": {"salcli": __version__, plugin.distribution: plugin.version},
    }


def describe_data(
    datasets: Sequence[tuple[Source, Dataset]], corpora: Sequence[Corpus], request: Request
) -> dict[str, Any]:
    """What the metadata says of the data: names, editions, groups, and how many recordings."""
    training = [recording for corpus in corpora for recording in corpus.training]
    kept = [recording for corpus in corpora for recording in corpus.validation]
    groups = dict.fromkeys(recording.group for recording in (*training, *kept))
    return {
        "layout": [source.dataset for source, _ in datasets],
        "edition": [dataset.edition for _, dataset in datasets],
        "options": {**request.data_options, "given": list(request.given_data_options)},
        "roots": list(groups),
        "recordings": {"train": len(training), "valid": len(kept)},
    }
