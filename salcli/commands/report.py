"""`salcli report`: one self-contained HTML file to look at and to pass on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from salcli import logs
from salcli.commands import _options
from salcli.commands._options import load_models

if TYPE_CHECKING:
    from salcli.progress import Watcher
    from salcli.report.entries import EntryMaker

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
        Path, typer.Option("--output", "-o", metavar="FILE", help="The page.")
    ] = Path("report.html"),
    title: Annotated[str, typer.Option(help="Its title.")] = "Where people look",
    model: _options.ModelNames = None,
    kind: _options.Kind = "auto",
    fps: _options.Fps = None,
    option: _options.ModelOptions = None,
    weights: _options.WeightsFile = None,
    areas: _options.AreasFile = None,
    area: _options.AreaBoxes = None,
    device: _options.Device = "auto",
    offline: _options.Offline = False,
    quiet: _options.Quiet = False,
    verbose: _options.Verbose = False,
) -> None:
    """Write an HTML page that needs no network: pictures and clips under their maps.

    Stills form a gallery, clips have a player whose overlay follows, with a timeline below. Where
    maps or fixations of observers lie beside the images, they are shown, and each model's scores.
    Inputs that cannot be read are left out, and told.

    Exit codes: 0 all done, 1 some inputs failed, 2 wrong usage, 3 no weights, 4 a broken plugin.
    """
    context.with_resource(logs.logging_to_terminal(quiet=quiet, verbose=verbose))
    from salcli.areas import parse

    chosen = parse.collect(areas, area or ())
    _options.check_writable(output.parent)
    models = load_models(
        model, option=option, weights=weights, device=device, offline=offline, quiet=quiet
    )

    from salcli.checkpoint import write_atomically
    from salcli.panels.paired import find_paired
    from salcli.progress import watch
    from salcli.report.entries import OBSERVERS, EntryMaker
    from salcli.report.page import document

    paths = find_paired(inputs)
    entries: list[dict[str, Any]] = []
    failed = False
    with watch(len(paths), quiet=quiet) as watcher:
        for loaded in models:
            watcher.note(_options.introduction(loaded))
        maker = EntryMaker(models, watcher, areas=chosen, kind=kind, fps=fps)
        for path in paths:
            found, complete = _entries(maker, path, watcher)
            entries += found
            failed |= not complete
        if entries:
            others = [OBSERVERS] if maker.has_observers else []
            write_atomically(output, document(title, entries, models, others=others).encode())
            shown = "1 entry" if len(entries) == 1 else f"{len(entries)} entries"
            watcher.note(f"{output}: {shown}, {output.stat().st_size / 1e6:.1f} MB")
    if failed or not entries:
        raise typer.Exit(1)


def _entries(maker: EntryMaker, path: Path, watcher: Watcher) -> tuple[list[dict[str, Any]], bool]:
    """What one input gives, and whether all of it could be read."""
    from salcli.errors import PluginError, SalcliError

    try:
        entries, problems = maker.entries(path)
    except PluginError:
        raise
    except SalcliError as error:
        watcher.fail(str(error))
        return [], False
    for problem in problems:
        watcher.note(f"left out: {problem}")
    watcher.finish(f"{path}: done")
    return entries, not problems
