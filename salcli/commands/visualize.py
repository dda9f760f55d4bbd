"""`salcli visualize`: panels of pictures, ground truth and several models' maps."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from salcli.commands import _options, _steps, _tables
from salcli.commands._help import PICTURES
from salcli.commands._steps import load_models
from salcli.errors import UsageError
from salcli.plugins import registry
from salcli.terminal import logs

if TYPE_CHECKING:
    from salcli.panels.draw import DrawnInput, ModelScores
    from salcli.terminal.events import Watcher

__all__ = ["visualize"]

SHEET = "contact_sheet.jpg"


def _complete_style(incomplete: str) -> list[str]:
    return [name for name in registry.styles() if name.startswith(incomplete)]


def _described_styles() -> str:
    return "; ".join(f"{name}: {spec.summary}" for name, spec in registry.styles().items())


def visualize(
    context: typer.Context,
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="FOLDER|INPUT",
            help="Folders images/ + maps/ or ALLSTIMULI/ + ALLFIXATIONMAPS/, videos, images.",
            show_default=False,
        ),
    ],
    models: _options.ModelNames = None,
    option: _options.ModelOptions = None,
    weights: _options.WeightsFile = None,
    filters: _options.Filters = None,
    device: _options.Device = "auto",
    threads: _options.Threads = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Folder for the pictures.")
    ] = Path("viz_out"),
    count: Annotated[
        int,
        typer.Option(
            "--count", "-n", min=1, help="Show at most N images of a folder.", metavar="N"
        ),
    ] = 12,
    seed: Annotated[int, typer.Option(help="Random seed for choosing them.")] = 0,
    style: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help=f"How maps are drawn. {_described_styles()}.",
            autocompletion=_complete_style,
            rich_help_panel=PICTURES,
        ),
    ] = "heat",
    alpha: Annotated[
        float,
        typer.Option(
            min=0,
            max=1,
            help="Maximum opacity of a map over the picture.",
            rich_help_panel=PICTURES,
        ),
    ] = 0.55,
    colormap: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="salcli, jet, hot, or a name that matplotlib knows, such as viridis.",
            show_default="salcli",
            rich_help_panel=PICTURES,
        ),
    ] = None,
    labels: Annotated[
        bool,
        typer.Option(
            "--labels/--no-labels",
            help="Write titles, scores and a legend.",
            rich_help_panel=PICTURES,
        ),
    ] = True,
    columns: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Panels per row.",
            show_default="as many as fit",
            rich_help_panel=PICTURES,
        ),
    ] = None,
    frames: Annotated[
        bool,
        typer.Option(
            "--frames",
            help="Draw N frames of a clip as pictures, not a movie.",
            rich_help_panel=PICTURES,
        ),
    ] = False,
    contact_sheet: Annotated[
        bool,
        typer.Option(
            "--contact-sheet",
            help=f"Also write all pictures into {SHEET}.",
            rich_help_panel=PICTURES,
        ),
    ] = False,
    gif: Annotated[
        bool,
        typer.Option(
            "--gif",
            help="Also write a GIF of clips, and of a model's extra maps.",
            rich_help_panel=PICTURES,
        ),
    ] = False,
    kind: _options.Kind = "auto",
    fps: _options.Fps = None,
    workers: _options.WorkerCount = None,
    devices: _options.Devices = None,
    cluster: _options.RayCluster = None,
    shard: _options.ShardOf = None,
    offline: _options.Offline = False,
    as_json: _options.Json = False,
    progress: _options.Progress = "auto",
    quiet: _options.Quiet = False,
    verbose: _options.Verbose = False,
) -> None:
    """Draw where people look: the picture, the ground truth, and models' maps with their scores.

    A still becomes DIR/NAME_viz.jpg, stills of a folder DIR/FOLDER/NAME_viz.jpg, a clip
    DIR/NAME_viz.mp4 with its sound. Ground truth is found beside the images. Scores are printed,
    too.

    Exit codes: 0 all done, 1 some inputs failed or ground truth is missing, 2 wrong usage, 3 no
    weights, 4 a broken plugin.

    \b
    Examples:
      salcli visualize photo.jpg
      salcli visualize photos --style contour --contact-sheet
    """
    registry.style(style)
    _check_colormap(colormap)
    _steps.check_writable(output)
    _steps.check_exist(inputs)
    context.with_resource(logs.logging_to_terminal(quiet=quiet, verbose=verbose))
    part = _steps.parsed_shard(shard)
    if part and contact_sheet:
        raise UsageError("--contact-sheet shows all pictures, but --shard draws a part of them")
    force = _steps.workforce(
        device, devices, workers=workers, cluster=cluster, quiet=quiet, verbose=verbose
    )
    loading: dict[str, Any] = {
        "option": option,
        "weights": weights,
        "filters": filters,
        "offline": offline,
    }
    loaded = load_models(
        models,
        device=force.device if force else device,
        batch_size=force.batch_size if force else None,
        quiet=quiet,
        progress=progress,
        **loading,
    )

    from salcli.panels.paired import find_paired
    from salcli.prediction import manifest
    from salcli.render.styles import Look
    from salcli.scale.drawing import DrawingOrder
    from salcli.scale.executor import Here
    from salcli.terminal.progress import watch

    order = DrawingOrder(
        _steps.rebuilding(models, loaded, **loading),
        {
            "style": style,
            "look": Look(alpha, colormap, labels),
            "columns": columns,
            "count": count,
            "seed": seed,
            "kind": kind,
            "fps": fps,
            "frames": frames,
            "sheet": contact_sheet,
            "gif": gif,
        },
    )
    paths = find_paired(inputs)
    everything = list(zip(paths, manifest.places(paths, output), strict=True))
    todo = part.part(everything) if part else everything
    executor = force.executor if force else Here(order.work(loaded))
    with watch(len(todo), quiet=quiet, style=progress) as watcher:
        for one in loaded:
            watcher.note(_steps.introduction(one))
        if part:
            watcher.note(part.account(everything))
        with _steps.results_apart():
            drawn = executor.run(order, todo, watcher=watcher)
        _write_sheet(drawn, output, watcher=watcher)
    if as_json:
        typer.echo(json.dumps(_document([one.label for one in loaded], drawn), indent=2))
    else:
        _show([row for one in drawn for row in one.rows])
    if not all(one.complete for one in drawn):
        raise typer.Exit(1)


def _check_colormap(name: str | None) -> None:
    from salcli.render import colormaps

    if name is not None:
        colormaps.table(name)


def _write_sheet(drawn: Sequence[DrawnInput], output: Path, *, watcher: Watcher) -> None:
    """Write the sheet of all pictures, if it is wanted."""
    from salcli.panels.files import write_sheet

    pictures = [picture for one in drawn for picture in one.sheet]
    if pictures:
        write_sheet(output / SHEET, pictures)
        watcher.note(f"contact sheet: {output / SHEET}")


def _show(rows: Sequence[ModelScores]) -> None:
    """The table of scores, if there is ground truth."""
    if not rows:
        return
    names = list(dict.fromkeys(name for row in rows for name in row.scores))
    cells = [
        [row.label, row.model, *(_shown(row.scores.get(name, math.nan)) for name in names)]
        for row in rows
    ]
    _tables.show(["frame", "model", *names], cells)


def _shown(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.4f}"


def _document(models: Sequence[str], drawn: Sequence[DrawnInput]) -> dict[str, Any]:
    return {
        "models": models,
        "inputs": [
            {
                "source": str(one.source),
                "files": [str(file) for file in one.files],
                "frames": one.frames,
                "scores": [
                    {
                        "frame": row.label,
                        "model": row.model,
                        **{k: None if math.isnan(v) else v for k, v in row.scores.items()},
                    }
                    for row in one.rows
                ],
                "problems": one.problems,
                "error": one.error or None,
            }
            for one in drawn
        ],
    }
