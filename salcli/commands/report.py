"""`salcli report`: a self-contained HTML page with maps over their pictures and clips."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from salcli.commands import _options, _steps
from salcli.commands._steps import each_input, load_models
from salcli.terminal import logs

__all__ = ["report"]


def report(
    context: typer.Context,
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT",
            help="Videos, images, folders of frames, folders of such folders, or globs.",
        ),
    ],
    *,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="Path of the page.")
    ] = Path("report.html"),
    title: Annotated[str, typer.Option(help="Title of the page.")] = "Where people look",
    models: _options.ModelNames = None,
    kind: _options.Kind = "auto",
    fps: _options.Fps = None,
    option: _options.ModelOptions = None,
    weights: _options.WeightsFile = None,
    filters: _options.Filters = None,
    areas: _options.AreasFile = None,
    area: _options.AreaBoxes = None,
    device: _options.Device = "auto",
    offline: _options.Offline = False,
    progress: _options.Progress = "auto",
    quiet: _options.Quiet = False,
    verbose: _options.Verbose = False,
) -> None:
    """Write an HTML page that needs no network: pictures and clips under their maps.

    Stills form a gallery; clips have a player with a synchronised overlay and a timeline below. If
    maps or fixations of observers are beside the images, the page shows them, and each model's
    scores. Inputs that cannot be read are reported and skipped.

    Exit codes: 0 all done, 1 some inputs failed, 2 wrong usage, 3 no weights, 4 a broken plugin.

    \b
    Examples:
      salcli report clip.mp4 photos -o report.html
      salcli report page.png --area button=100,40,40,20
    """
    context.with_resource(logs.logging_to_terminal(quiet=quiet, verbose=verbose))
    from salcli.areas import parse

    chosen = parse.collect(areas, area or ())
    _steps.check_writable(output.parent)
    _steps.check_exist(inputs)
    loaded = load_models(
        models,
        option=option,
        weights=weights,
        filters=filters,
        device=device,
        offline=offline,
        quiet=quiet,
        progress=progress,
    )
    from salcli.panels.paired import find_paired
    from salcli.report.entries import EntryMaker
    from salcli.report.page import write
    from salcli.terminal.progress import watch

    paths = find_paired(inputs)
    with watch(len(paths), quiet=quiet, style=progress) as watcher:
        for one in loaded:
            for line in (_steps.introduction(one), *_steps.known_limits(one)):
                watcher.note(line)
        maker = EntryMaker(loaded, watcher, areas=chosen, kind=kind, fps=fps)
        done = each_input(paths, maker.entries, failed=lambda *_: None, watcher=watcher)
        entries = [entry for found in done if found for entry in found.entries]
        if entries:
            write(output, entries, loaded, title=title)
            shown = "1 entry" if len(entries) == 1 else f"{len(entries)} entries"
            watcher.note(f"{output}: {shown}, {output.stat().st_size / 1e6:.1f} MB")
    if not entries or not all(found and not found.problems for found in done):
        raise typer.Exit(1)
