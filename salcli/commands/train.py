"""`salcli train`: train a model on your own data."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from salcli.model import Model
    from salcli.recipe import Recipe


def train(
    root: Annotated[
        list[Path],
        typer.Option(help="Folder with images/ and maps/ and/or fixations/; repeatable."),
    ],
    model: Annotated[str, typer.Option("--model", "-m", help="Model to train.")] = "unisal",
    data: Annotated[str, typer.Option(help="Layout of the data.")] = "folder",
    hold_out: Annotated[
        str,
        typer.Option(
            help="EVERY[:FIRST]: keep every so-many-th image of each root for validation, "
            "counting from position FIRST (from 0) in the natural order of names."
        ),
    ] = "10",
    start: Annotated[
        Path | None,
        typer.Option(help="Weights to start from: this model's own, or a backbone that it knows."),
    ] = None,
    recipe: Annotated[
        str | None, typer.Option(help="Recipe of the model; default its first.")
    ] = None,
    option: Annotated[
        list[str] | None, typer.Option("--option", "-O", help="Model option key=value; repeatable.")
    ] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="In place of the recipe's.")] = None,
    batch_size: Annotated[int | None, typer.Option(min=1, help="In place of the recipe's.")] = None,
    learning_rate: Annotated[
        float | None, typer.Option("--lr", min=0, help="In place of the recipe's.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="In place of the recipe's.")] = None,
    workers: Annotated[int, typer.Option(min=0, help="Processes that prepare batches.")] = 2,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder of the run; an interrupted run goes on.")
    ] = Path("runs/train"),
    as_json: Annotated[
        bool, typer.Option("--json", help="Log lines as JSON on stdout, nothing else there.")
    ] = False,
) -> None:
    """Train a model; the best weights end up in OUTPUT/best.safetensors.

    Layout of a root (--data folder): images/NAME.jpg with maps/NAME.png (8-bit density), and/or
    fixations/NAME.mat (as SALICON publishes them) or fixations/NAME.png (binary map).
    """
    from salcli import registry
    from salcli.datasets.folder import HoldOut
    from salcli.specs import resolve
    from salcli.train import train as run

    given = {
        "epochs": epochs,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "seed": seed,
    }
    prepared, origin = prepare(model, option or [], start, device)
    chosen = choose_recipe(prepared, recipe, {k: v for k, v in given.items() if v is not None})
    dataset = resolve(registry.dataset(data).factory)(root, hold_out=HoldOut.parse(hold_out))
    metadata = {
        **origin,
        "data": {"layout": data, "roots": [folder.name for folder in root], "hold_out": hold_out},
        "recipe": dataclasses.asdict(chosen),
    }
    best = run(
        prepared,
        dataset,
        recipe=chosen,
        output=output,
        metadata=metadata,
        workers=workers,
        report=print_json if as_json else print_line,
    )
    typer.echo(f"best weights: {best}", err=True)


def prepare(
    name: str, options: list[str], start: Path | None, device: str
) -> tuple[Model, dict[str, Any]]:
    """The model with its starting weights, and what its metadata shall say of it."""
    import torch

    from salcli import __version__, checkpoint, devices, registry
    from salcli.model import create

    plugin = registry.provider(name.partition(":")[0])
    model = create(name, options=options, defaults={})
    if start is not None:
        model.start_from(checkpoint.read(start))
    model.to(devices.choose(device), torch.float32)
    settings = dataclasses.asdict(model.options) if model.options else {}
    return model, {
        "model": model.spec.name,
        "options": settings,
        "start": start.name if start else None,
        "versions": {"salcli": __version__, plugin.distribution: plugin.version},
    }


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
    if "validation" in line:
        for group, scores in line["validation"].items():
            text = "  ".join(f"{name} {value:.4f}" for name, value in scores.items())
            print(f"epoch {line['epoch']}  validation {group:<10} {text}", file=sys.stderr)
        return
    values = "  ".join(
        f"{k} {v:.4f}" for k, v in line.items() if k not in ("epoch", "step", "seconds")
    )
    text = f"epoch {line['epoch']}  step {line['step']}  {values}  {line['seconds']:.0f} s"
    print(text, file=sys.stderr, flush=True)
