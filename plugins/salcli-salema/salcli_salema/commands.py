"""`salcli salema`: what the original offers besides prediction and training."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from salcli.authoring import Device, ModelName, ModelOptions, Offline, Verbose, WeightsFile
from salcli_salema.architecture import LAST

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

    from salcli import UsageError, load_model
    from salcli.authoring import download_bar, open_stimulus
    from salcli_salema import sheet
    from salcli_salema.model import Salema

    if model.partition(":")[0] != "salema":
        raise UsageError(f"--model {model}: only salema's layers can be drawn")
    stimulus = open_stimulus(source)
    with download_bar(model, quiet=False) as report:
        loaded = load_model(
            model,
            options=option or (),
            weights_file=weights,
            device=device,
            offline=offline,
            report=report,
        )
    if not isinstance(loaded.model, Salema):
        raise UsageError(f"--model {model}: only salema's layers can be drawn")
    with torch.inference_mode():
        maps = loaded.model.feature_maps(stimulus, layer, frame=frame - 1)
    target = output or Path(f"{stimulus.name}.layer{layer}.png")
    sheet.save(target, maps)
    channels, height, width = maps.shape
    typer.echo(f"{target}: {channels} maps of {width}x{height}, layer {layer}, frame {frame}")
