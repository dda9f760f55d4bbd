"""`salcli salema`: what the original offers besides prediction and training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from salcli.authoring import Device, ModelName, ModelOptions, Offline, Verbose, WeightsFile
from salcli_salema.architecture import LAST

if TYPE_CHECKING:
    from salcli_salema.model import Salema

__all__ = ["group"]

group = typer.Typer(help="Inspect SalEMA.", no_args_is_help=True)


@group.callback()
def _root() -> None:
    """Inspect SalEMA."""


@group.command()
def features(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="INPUT", help="Video, image or folder of frames.", show_default=False
        ),
    ],
    layer: Annotated[
        int,
        typer.Option(
            metavar="L", min=0, max=LAST, help=f"Index of the layer, 0 to {LAST}; 30: bottleneck."
        ),
    ],
    frame: Annotated[
        int,
        typer.Option(
            min=1, help="Frame number, from 1; the network also processes the frames before it."
        ),
    ] = 1,
    model: ModelName = "salema",
    option: ModelOptions = None,
    weights: WeightsFile = None,
    device: Device = "auto",
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Output picture.",
            show_default="INPUT's name and the layer, in this folder",
        ),
    ] = None,
    offline: Offline = False,
    verbose: Verbose = False,
) -> None:
    """Draw the feature maps of a layer side by side, as a PNG.

    Every channel is a tile, from its own minimum (black) to its own maximum (white), in order, row
    by row. For an averaged layer, the average over time is drawn.
    """
    import torch

    from salcli.authoring import open_stimulus
    from salcli_salema import sheet

    _check([model])
    stimulus = open_stimulus(source)
    _, loaded = _loaded(model, option, weights, device, offline=offline)
    with torch.inference_mode():
        maps = loaded.feature_maps(stimulus, layer, frame=frame - 1)
    target = output or Path(f"{stimulus.name}.layer{layer}.png")
    sheet.save(target, maps)
    channels, height, width = maps.shape
    typer.echo(f"{target}: {channels} maps of {width}x{height}, layer {layer}, frame {frame}")


@group.command()
def filters(
    layer: Annotated[
        int, typer.Option(metavar="L", min=0, max=LAST, help=f"Index of the layer, 0 to {LAST}.")
    ] = 42,
    number: Annotated[
        list[int], typer.Option("--filter", metavar="F", help="Filter of the layer; repeatable.")
    ] = [200, 150, 100, 50, 5],  # noqa: B006 (typer copies it)
    steps: Annotated[int, typer.Option(min=1, help="Steps of the optimiser.")] = 80,
    every: Annotated[
        int, typer.Option(min=1, help="Write pictures after every so many steps, and at the end.")
    ] = 40,
    size: Annotated[int, typer.Option(min=16, help="Side of the pictures in pixels.")] = 224,
    model: Annotated[
        list[str], typer.Option("--model", "-m", help="Model and weights; a row each. Repeatable.")
    ] = ["salema"],  # noqa: B006 (typer copies it)
    option: ModelOptions = None,
    weights: WeightsFile = None,
    device: Device = "auto",
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Folder of the pictures.")
    ] = Path("filters"),
    offline: Offline = False,
    verbose: Verbose = False,
) -> None:
    """Draw what filters of a layer respond to most, by activation maximisation.

    The sheet layer_vis_lL.jpg has a column per filter and a row per model.
    """
    import numpy as np

    from salcli_salema.filters import maximised, save

    _check(model)
    rows = []
    for name in model:
        label, loaded = _loaded(name, option, weights, device, offline=offline)
        folder = output / label.replace(":", "-").replace(" ", "-")
        for step, pictures in maximised(loaded, layer, number, size=size, steps=steps, every=every):
            for which, picture in zip(number, pictures, strict=True):
                save(folder / f"layer_vis_l{layer}_f{which}_iter{step}.jpg", picture)
        rows.append(np.concatenate(list(pictures), axis=1))
    sheet = output / f"layer_vis_l{layer}.jpg"
    save(sheet, np.concatenate(rows))
    typer.echo(f"{sheet}: filters {', '.join(map(str, number))} of layer {layer}")


def _check(models: Sequence[str]) -> None:
    """Raise `UsageError` for the name of another model."""
    from salcli import UsageError

    for model in models:
        if model.partition(":")[0] != "salema":
            raise UsageError(f"--model {model}: only salema's layers can be drawn")


def _loaded(
    name: str, option: list[str] | None, weights: Path | None, device: str, *, offline: bool
) -> tuple[str, Salema]:
    """Model and weights as text, and the model."""
    from salcli import load_model
    from salcli.authoring import download_bar
    from salcli_salema.model import Salema

    with download_bar(name, quiet=False) as report:
        loaded = load_model(
            name,
            options=option or (),
            weights_file=weights,
            device=device,
            offline=offline,
            report=report,
        )
    return loaded.label, cast(Salema, loaded.model)
