"""`salcli export`: a model's network as a file for programs without salcli."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from salcli.commands import _options, _steps

__all__ = ["export"]


def export(
    model: Annotated[
        str,
        typer.Argument(
            metavar="NAME[:TAG]",
            help="Model, and tag of its weights.",
            autocompletion=_options.complete_model,
        ),
    ],
    *,
    to: Annotated[
        Literal["onnx", "openvino", "pt2"],
        typer.Option(help="Format: ONNX, OpenVINO's, or PyTorch's exported program."),
    ] = "onnx",
    size: Annotated[
        Any,
        typer.Option(
            metavar="WxH", parser=_options.parse_size, help="Size of the frames and of the maps."
        ),
    ] = "640x360",
    batch: Annotated[
        str,
        typer.Option(
            metavar="N|dynamic", help="Frames that go in at once; dynamic for any number."
        ),
    ] = "dynamic",
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Folder for the files.")
    ] = Path("exported"),
    option: _options.ModelOptions = None,
    weights: _options.WeightsFile = None,
    untrained: _options.Untrained = False,
    offline: _options.Offline = False,
    as_json: _options.Json = False,
    quiet: _options.Quiet = False,
) -> None:
    """Write a model's network as a file that needs neither salcli nor, mostly, PyTorch.

    Its output is the published map. A JSON file beside it says how to make its input: size, mean,
    order of channels, states; and hash and licence. The file is read again and compared with
    salcli; it is not kept if its maps differ by more than 1e-4.

    \b
    Examples:
      salcli export unisal --to onnx
      salcli export unisal:best -O domain=DHF1K --to openvino --size 640x360
    """
    count = _count(batch)
    _steps.check_model(model, option, weights=weights)
    _steps.check_writable(output)
    (loaded,) = _steps.load_models(
        [model],
        option=option,
        weights=weights,
        filters=(),
        device="cpu",
        offline=offline,
        untrained=untrained,
        quiet=quiet,
    )

    from salcli.export import run

    with _steps.results_apart():
        made = run.export(loaded, to, output, size=size, batch=count)
    if as_json:
        document = {"file": str(made.file), "facts": str(made.facts), "difference": made.difference}
        typer.echo(json.dumps(document, indent=2))
    else:
        typer.echo(
            f"{made.file}, described in {made.facts.name}: its maps differ by "
            f"{made.difference:.1g} from those of salcli"
        )


def _count(text: str) -> int | None:
    if text == "dynamic":
        return None
    if not text.isdecimal() or not int(text):
        raise typer.BadParameter(f"{text} is neither dynamic nor a whole number from 1 on")
    return int(text)
