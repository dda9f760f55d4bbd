"""`salcli train`: train a model on your own data."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from salcli.commands import options

if TYPE_CHECKING:
    from salcli.checkpoint import Checkpoint
    from salcli.model import Model
    from salcli.recipe import Recipe
    from salcli.types import Dataset

__all__ = ["train"]


def train(
    root: Annotated[
        list[Path],
        typer.Option(metavar="DIR", help="Folder with your data; repeatable.", show_default=False),
    ],
    model: options.ModelName = "unisal",
    data: Annotated[str, typer.Option(metavar="NAME", help="Layout of the data.")] = "folder",
    hold_out: Annotated[
        str,
        typer.Option(
            metavar="EVERY[:FIRST]",
            help="Keep every so-many-th image of each folder for validation, counting from FIRST "
            "(0 if not given) in the natural order of names.",
        ),
    ] = "10",
    start: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Weights to start from: this model's own, or of a backbone that it knows.",
        ),
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Recipe of the model; its first if not given."),
    ] = None,
    option: options.ModelOptions = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="In place of the recipe's.")] = None,
    batch_size: Annotated[int | None, typer.Option(min=1, help="In place of the recipe's.")] = None,
    learning_rate: Annotated[
        float | None, typer.Option("--lr", min=0, help="In place of the recipe's.")
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="In place of the recipe's.")] = None,
    workers: Annotated[int, typer.Option(min=0, help="Processes that prepare batches.")] = 2,
    device: options.Device = "auto",
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="DIR", help="Folder of the run; an interrupted run goes on."
        ),
    ] = Path("runs/train"),
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON document per line on stdout, nothing else.")
    ] = False,
    verbose: options.Verbose = False,
) -> None:
    """Train a model on your own images; the best weights are OUTPUT/best.safetensors.

    A folder given by --root holds:

    images/NAME.jpg - the images, of any format;

    maps/NAME.png - their fixation density, 8-bit grey, of any size; and/or

    fixations/NAME.mat - fixations as SALICON publishes them, or NAME.png, a binary fixation map.

    --model NAME trains from scratch or from --start; --model NAME:TAG goes on from these weights.
    """
    from salcli.datasets.opening import open_dataset
    from salcli.train import train as run

    given = {
        "epochs": epochs,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "seed": seed,
    }
    changes = {name: value for name, value in given.items() if value is not None}
    dataset = open_dataset(data, root, options={"hold_out": hold_out})
    prepared, saved = create(model, option or [], start)
    chosen = choose_recipe(prepared, recipe, changes)
    start_network(prepared, saved, seed=chosen.seed, device=device)
    metadata = {
        **describe_model(prepared, saved),
        "data": {"layout": data, "hold_out": hold_out, **describe_data(dataset)},
        "recipe": dataclasses.asdict(chosen),
    }
    report = print_json if as_json else print_line
    try:
        best = run(
            prepared,
            dataset,
            recipe=chosen,
            output=output,
            metadata=metadata,
            workers=workers,
            report=report,
        )
    except KeyboardInterrupt:
        say(f"interrupted; the same command goes on from the last whole epoch in '{output}'")
        raise
    report({"weights": str(best)})


def create(name: str, given: Sequence[str], start: Path | None) -> tuple[Model, Checkpoint | None]:
    """The model with the options of the weights from which it starts, and these weights.

    Raises:
        UsageError: Both a tag and a file say where to start.
    """
    from salcli import model, registry, weights
    from salcli.errors import UsageError

    spec, row = registry.model(name)
    path, defaults = start, dict[str, Any]()
    if row is not None and ":" in name:
        if start is not None:
            raise UsageError(f"--model {name} and --start both say where to start; drop one")
        path, defaults = weights.locate(spec, row), dict(row.options)
    saved = model.model_class(spec).read(path) if path else None
    if saved:
        defaults |= saved.options
    return model.create(spec.name, options=given, defaults=defaults), saved


def start_network(model: Model, saved: Checkpoint | None, *, seed: int, device: str) -> None:
    """Give the model its network: drawn with the seed, then loaded as far as there are weights."""
    import torch

    from salcli import devices

    torch.manual_seed(seed)
    model.network = model.build()
    if saved:
        model.start_from(saved)
    model.to(devices.choose(device), torch.float32)


def describe_model(model: Model, saved: Checkpoint | None) -> dict[str, Any]:
    """What the metadata says of the model: name, options, start, versions."""
    from salcli import __version__, registry

    plugin = registry.provider(model.spec.name)
    return {
        "model": model.spec.name,
        "options": dataclasses.asdict(model.options) if model.options else {},
        "start": saved.path.name if saved else None,
        "versions": {"salcli": __version__, plugin.distribution: plugin.version},
    }


def describe_data(dataset: Dataset) -> dict[str, Any]:
    """What the metadata says of the data: names of the groups, and how many images."""
    training, validation = dataset.recordings("train"), dataset.recordings("valid")
    groups = dict.fromkeys(recording.group for recording in (*training, *validation))
    return {"roots": list(groups), "images": {"train": len(training), "valid": len(validation)}}


def choose_recipe(model: Model, name: str | None, changes: Mapping[str, Any]) -> Recipe:
    """The recipe of this name, or the model's first, with changes.

    Raises:
        UsageError: The model has no recipes.
        UnknownName: None has this name.
    """
    from salcli.errors import UnknownName, UsageError

    recipes = model.recipes()
    if not recipes:
        raise UsageError(f"model '{model.spec.name}' cannot be trained: its plugin has no recipes")
    if name is not None and name not in recipes:
        raise UnknownName(f"recipe of model '{model.spec.name}'", name, recipes)
    return dataclasses.replace(recipes[name or next(iter(recipes))], **changes)


def print_json(line: Mapping[str, Any]) -> None:
    """One JSON document per line on stdout."""
    print(json.dumps(line), flush=True)


def print_line(line: Mapping[str, Any]) -> None:
    """A readable line on stderr."""
    if "weights" in line:
        say(f"best weights: {line['weights']}")
        return
    place = f"epoch {line['epoch'] + 1}/{line['epochs']}"
    if "validation" in line:
        for group, scores in line["validation"].items():
            mark = "  (best so far)" if line["best"] and group == "all" else ""
            say(f"{place}  validation {group:<10} {shown(scores)}{mark}")
        return
    step, steps, seconds = line["step"], line["steps"], line["seconds"]
    left = seconds / step * (steps - step)
    say(f"{place}  step {step}/{steps}  {shown(line['losses'])}  {clock(left)} left")


def say(text: str) -> None:
    """One line on stderr."""
    print(text, file=sys.stderr, flush=True)


def shown(values: Mapping[str, float]) -> str:
    """Numbers by name, in one line."""
    return "  ".join(f"{name} {value:.4f}" for name, value in values.items())


def clock(seconds: float) -> str:
    """Minutes and seconds."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
