"""`salcli crop`: crops of clips and stills that keep what people look at."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from salcli.commands import _options, _steps, _tables
from salcli.commands._help import PICTURES
from salcli.commands._steps import each_input, map_stream
from salcli.plugins import registry
from salcli.terminal import logs

if TYPE_CHECKING:
    from salcli.cropping.document import CropDocument, CropSummary
    from salcli.cropping.job import CropJob, CropOutcome
    from salcli.cropping.windows import Shape
    from salcli.prediction.manifest import OutputPaths
    from salcli.terminal.events import Watcher

__all__ = ["crop"]

MOVING = "Motion of the window"

MOST_ROWS = 40
"""Shots up to which all are listed on the terminal."""

Todo = tuple[Path, "OutputPaths"]


def crop(
    context: typer.Context,
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT", help="Videos, images, folders of frames.", show_default=False
        ),
    ],
    ratio: Annotated[
        list[str] | None,
        typer.Option(
            metavar="W:H", help="Shape of a crop, such as 1:1. Repeatable.", show_default="9:16"
        ),
    ] = None,
    size: Annotated[
        list[str] | None,
        typer.Option(metavar="WxH", help="A crop of this shape, resized to this size. Repeatable."),
    ] = None,
    predictions: _options.Predictions = None,
    save: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FORMATS",
            help="crop, preview (the window drawn into the frames), csv, json, ffmpeg (the path "
            "of the window); comma-separated, repeatable.",
            show_default="crop",
        ),
    ] = None,
    key_frames: Annotated[
        int,
        typer.Option(
            metavar="N",
            min=0,
            help="Also save N frames of a clip, cropped, for thumbnails.",
        ),
    ] = 0,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Folder for the results.")
    ] = Path("crops"),
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Redo finished inputs.")] = False,
    motion: Annotated[
        Literal["still", "pan", "follow"],
        typer.Option(
            help="Inside a shot, rest, make one straight move, or follow.", rich_help_panel=MOVING
        ),
    ] = "follow",
    max_speed: Annotated[
        float,
        typer.Option(
            metavar="SPEED",
            min=0,
            help="Limit in frame sides per second.",
            rich_help_panel=MOVING,
        ),
    ] = 0.4,
    max_acceleration: Annotated[
        float,
        typer.Option(
            metavar="CHANGE",
            min=0,
            help="Limit of the change of speed per second.",
            rich_help_panel=MOVING,
        ),
    ] = 0.8,
    cut: Annotated[
        float,
        typer.Option(
            metavar="CHANGE",
            min=0.01,
            max=1,
            help="Change of brightness that is a cut, as a share of white.",
            rich_help_panel=MOVING,
        ),
    ] = 0.1,
    min_share: Annotated[
        float,
        typer.Option(
            metavar="SHARE",
            min=0,
            max=1,
            help="Show shots whole, padded, of which a crop keeps less attention.",
            rich_help_panel=PICTURES,
        ),
    ] = 0.0,
    padding: Annotated[
        Literal["blur", "black"],
        typer.Option(help="What is beside a padded frame.", rich_help_panel=PICTURES),
    ] = "blur",
    kind: _options.Kind = "auto",
    fps: _options.Fps = None,
    every: _options.Every = 1,
    start: _options.Start = 0.0,
    duration: _options.Duration = None,
    model: _options.ModelName = registry.DEFAULT_MODEL,
    option: _options.ModelOptions = None,
    weights: _options.WeightsFile = None,
    filters: _options.Filters = None,
    untrained: _options.Untrained = False,
    device: _options.Device = "auto",
    threads: _options.Threads = None,
    precision: _options.Precision = "auto",
    batch_size: _options.BatchSize = None,
    offline: _options.Offline = False,
    as_json: _options.Json = False,
    progress: _options.Progress = "auto",
    quiet: _options.Quiet = False,
    verbose: _options.Verbose = False,
) -> None:
    """Crop clips and stills so that they keep what people look at, such as 16:9 to 9:16.

    The window is the largest of its shape. In a clip it moves within limits of speed and
    acceleration, along the path that encloses most attention, and jumps only where the clip cuts.
    The share of attention that is kept is told of each shot, beside that of a crop of the centre.

    Crops of a clip go to DIR/NAME/9x16.mp4 with sound, those of a lone image to
    DIR/NAME.9x16.png, with all numbers in crop.json. Finished inputs are skipped, and a run that
    was stopped resumes. Exit codes: 0 all done, 1 some inputs failed, 2 wrong usage, 3 no
    weights, 4 a broken plugin.

    \b
    Examples:
      salcli crop clip.mp4 --ratio 9:16 --ratio 1:1 --save crop,preview
      salcli crop photos --size 400x400 --predictions maps
    """
    shapes = _shapes(ratio or (), size or ())
    formats = _formats(save or ())
    if predictions is None:
        _steps.check_model(model, option, weights=weights)
    _steps.check_writable(output)
    _steps.check_exist(inputs)
    context.with_resource(logs.logging_to_terminal(quiet=quiet, verbose=verbose))
    maps, lines = map_stream(
        predictions,
        model,
        option=option,
        weights=weights,
        filters=filters,
        untrained=untrained,
        device=device,
        precision=precision,
        batch_size=batch_size,
        offline=offline,
        quiet=quiet,
        progress=progress,
    )
    from salcli.cropping.job import CropJob
    from salcli.cropping.paths import Limits
    from salcli.cropping.plan import CropSettings
    from salcli.media.open import find_inputs
    from salcli.media.portion import Portion
    from salcli.prediction import manifest
    from salcli.terminal.progress import watch

    wanted = CropSettings(
        tuple(shapes), motion, Limits(max_speed, max_acceleration), min_share, padding, cut
    )
    portion = Portion(every, start, duration)
    job = CropJob(maps, wanted, formats, key_frames, kind, fps, portion, overwrite)
    paths = find_inputs(inputs)
    todo = list(zip(paths, manifest.places(paths, output), strict=True))
    errors: dict[str, str] = {}
    with watch(len(todo), quiet=quiet, style=progress) as watcher:
        for line in lines:
            watcher.note(line)
        done = each_input(
            todo,
            partial(_run, job, watcher),
            failed=lambda one, error: errors.update({str(one[0]): error}),
            watcher=watcher,
        )
    found = [outcome.document for outcome in done if outcome is not None]
    if as_json:
        document = {"inputs": [one.as_json() for one in found], "failed": errors}
        typer.echo(json.dumps(document, indent=2))
    elif found and not quiet:
        _show(found)
    if errors or any(one.problems for one in found):
        raise typer.Exit(1)


def _shapes(ratios: Sequence[str], sizes: Sequence[str]) -> list[Shape]:
    from salcli.cropping.windows import shape, sized

    found = [shape(text) for text in ratios]
    found += [sized(_options.parse_size(text)) for text in sizes]
    return found or [shape("9:16")]


def _formats(save: Sequence[str]) -> tuple[str, ...]:
    from salcli.cropping.files import check_formats

    named = [name.strip() for text in save for name in text.split(",") if name.strip()]
    check_formats(named)
    return tuple(dict.fromkeys(named)) or ("crop",)


def _run(job: CropJob, watcher: Watcher, one: Todo) -> CropOutcome:
    path, place = one
    outcome = job.run(path, place, watcher=watcher)
    for problem in outcome.document.problems:
        watcher.note(f"left out: {problem}")
    if outcome.status == "skipped":
        watcher.finish(f"{path}: already done, see {outcome.path} (and --overwrite)")
    else:
        many = len(outcome.document.files)
        watcher.finish(f"{path}: {many} file{'s' * (many != 1)} beside {outcome.path}")
    return outcome


def _show(found: Sequence[CropDocument]) -> None:
    """The share of attention that is kept, of each shot or still."""
    titles = ["input", "crop", "part", "motion", "kept", "centre crop"]
    rows = [row for one in found for crops in one.crops for row in _rows(one, crops)]
    if len(rows) > MOST_ROWS:
        rows = [_total(one, crops) for one in found for crops in one.crops]
        typer.echo("parts: see the documents")
    _tables.show(titles, rows)


def _rows(one: CropDocument, crops: CropSummary) -> list[list[str]]:
    name = Path(one.source).name
    rows = [
        [
            name,
            crops.name,
            f"{shot.start:.2f} to {shot.end:.2f} s",
            shot.motion,
            f"{shot.share:.2%}",
            f"{shot.centre_share:.2%}",
        ]
        for shot in crops.shots
    ]
    rows += [
        [name, crops.name, still.label, "", f"{still.share:.2%}", f"{still.centre_share:.2%}"]
        for still in crops.stills
    ]
    return rows if len(rows) == 1 else [*rows, _total(one, crops)]


def _total(one: CropDocument, crops: CropSummary) -> list[str]:
    kept: list[Any] = [f"{crops.share:.2%}", f"{crops.centre_share:.2%}"]
    return [Path(one.source).name, crops.name, "all", "", *kept]
