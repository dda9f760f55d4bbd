"""`salcli visualize`: panels of pictures, ground truth and several models' maps."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from salcli import logs
from salcli.commands import _options, _tables
from salcli.commands._options import load_models
from salcli.errors import SalcliError

if TYPE_CHECKING:
    from salcli.panels.draw import Drawer, Exhibit, Gallery, ModelScores
    from salcli.prediction.manifest import OutputPaths
    from salcli.progress import Watcher

__all__ = ["visualize"]

STYLES = ("heat", "contour", "fog", "peaks", "spotlight")
PRESETS = ("salcli", "unisal", "tempsal")
SHEET = "contact_sheet.jpg"


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
    device: _options.Device = "auto",
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Folder of the pictures.")
    ] = Path("viz_out"),
    count: Annotated[
        int, typer.Option("--count", "-n", min=1, help="Images of a folder that are shown.")
    ] = 12,
    seed: Annotated[int, typer.Option(help="Decides which these are.")] = 0,
    style: Annotated[
        str, typer.Option(metavar="|".join(STYLES), help="How a map is shown on its picture.")
    ] = "heat",
    alpha: Annotated[
        float, typer.Option(min=0, max=1, help="Opacity where a map covers most.")
    ] = 0.55,
    colormap: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="salcli, jet, hot, or a name that matplotlib knows, such as viridis.",
            show_default="salcli",
        ),
    ] = None,
    labels: Annotated[
        bool, typer.Option("--labels/--no-labels", help="Titles, scores and legend, or none.")
    ] = True,
    columns: Annotated[
        int | None, typer.Option(min=1, help="Panels in a row.", show_default="what fits")
    ] = None,
    preset: Annotated[
        str,
        typer.Option(
            metavar="|".join(PRESETS),
            help="salcli's panels, or those that a model's authors published.",
        ),
    ] = "salcli",
    frames: Annotated[
        bool, typer.Option("--frames", help="Of clips draw COUNT frames, and no movie.")
    ] = False,
    contact_sheet: Annotated[
        bool, typer.Option("--contact-sheet", help=f"Put all that is shown into {SHEET}, too.")
    ] = False,
    gif: Annotated[
        bool,
        typer.Option("--gif", help="Write a GIF, too, of clips, and of a model's further maps."),
    ] = False,
    kind: _options.Kind = "auto",
    fps: _options.Fps = None,
    offline: _options.Offline = False,
    as_json: _options.Json = False,
    quiet: _options.Quiet = False,
    verbose: _options.Verbose = False,
) -> None:
    """Draw what people look at: the picture, the ground truth, and models' maps with their scores.

    A still becomes DIR/NAME_viz.jpg, those of a folder DIR/FOLDER/NAME_viz.jpg, a clip
    DIR/NAME_viz.mp4 with its sound. Ground truth is found beside the images. Scores are printed, as
    well.

    Exit codes: 0 all done, 1 some inputs failed or ground truth is missing, 2 wrong usage, 3 no
    weights, 4 a broken plugin.
    """
    wanted_kind: Any = _options.one_of("--as", kind, _options.KINDS)
    _options.one_of("--style", style, STYLES)
    _options.one_of("--preset", preset, PRESETS)
    _options.check_writable(output)
    context.with_resource(logs.logging_to_terminal(quiet=quiet, verbose=verbose))

    from salcli.panels import paired
    from salcli.panels.draw import Gallery
    from salcli.panels.files import write_sheet
    from salcli.prediction import manifest
    from salcli.progress import watch
    from salcli.render import colormaps

    if colormap is not None:
        colormaps.table(colormap)
    drawer = partial(
        _drawer, preset, style, alpha=alpha, colour_map=colormap, labels=labels, columns=columns
    )
    loaded = load_models(
        models, option=option, weights=weights, device=device, offline=offline, quiet=quiet
    )
    gallery = Gallery(loaded, drawer, count, seed, wanted_kind, fps, frames, contact_sheet, gif)
    paths = paired.find_scenes(inputs)
    with watch(len(paths), quiet=quiet) as watcher:
        for one in loaded:
            watcher.note(_options.introduction(one))
        places = manifest.places(paths, output)
        exhibits = [_run(gallery, *pair, watcher) for pair in zip(paths, places, strict=True)]
        pictures = [picture for exhibit in exhibits for picture in exhibit.sheet]
        if pictures:
            write_sheet(output / SHEET, pictures)
            watcher.note(f"contact sheet: {output / SHEET}")
    if as_json:
        typer.echo(json.dumps(_document([one.label for one in loaded], exhibits), indent=2))
    else:
        _show([row for exhibit in exhibits for row in exhibit.rows])
    if not all(exhibit.complete for exhibit in exhibits):
        raise typer.Exit(1)


def _run(gallery: Gallery, path: Path, place: OutputPaths, watcher: Watcher) -> Exhibit:
    """One input; whatever is wrong with it does not stop the others."""
    from salcli.errors import PluginError
    from salcli.panels.draw import Exhibit

    try:
        exhibit = gallery.run(path, place, watcher=watcher)
    except PluginError:
        raise  # every other input would fail as this one did
    except SalcliError as error:
        watcher.fail(str(error))
        return Exhibit(path, error=str(error))
    for problem in exhibit.problems:
        watcher.note(problem)
    where = exhibit.files[0] if len(exhibit.files) == 1 else f"{len(exhibit.files)} files"
    if len(exhibit.files) > 1:
        where = f"{where} in {exhibit.files[0].parent}"
    watcher.finish(f"{path}: {exhibit.frames} frame{'s' * (exhibit.frames != 1)} in {where}")
    return exhibit


def _drawer(
    preset: str,
    style: str,
    largest: tuple[int, int],
    *,
    alpha: float,
    colour_map: str | None,
    labels: bool,
    columns: int | None,
    legend: bool,
) -> Drawer:
    from salcli.panels import originals
    from salcli.panels.board import Board
    from salcli.render import colormaps, styles

    if preset == "unisal":
        return originals.UnisalPanels(alpha, colour_map or "jet", labels)
    if preset == "tempsal":
        return originals.TempsalPanels()
    look = styles.Look(style, alpha, colour_map or colormaps.DEFAULT)
    return Board(look, labels=labels, legend=legend, columns=columns, largest=largest)


def _show(rows: Sequence[ModelScores]) -> None:
    """The table of scores, where there is a ground truth."""
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


def _document(models: Sequence[str], exhibits: Sequence[Exhibit]) -> dict[str, Any]:
    return {
        "models": models,
        "inputs": [
            {
                "source": str(exhibit.source),
                "files": [str(file) for file in exhibit.files],
                "frames": exhibit.frames,
                "scores": [
                    {
                        "frame": row.label,
                        "model": row.model,
                        **{k: None if math.isnan(v) else v for k, v in row.scores.items()},
                    }
                    for row in exhibit.rows
                ],
                "problems": exhibit.problems,
                "error": exhibit.error or None,
            }
            for exhibit in exhibits
        ],
    }
