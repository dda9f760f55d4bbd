"""`salcli report`: a self-contained HTML page with maps over their pictures and clips."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from salcli.commands import _options, _steps
from salcli.commands._steps import each_input, load_models
from salcli.errors import InputError, UsageError
from salcli.terminal import logs

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from salcli.report.records import Record
    from salcli.terminal.events import Watcher

__all__ = ["report"]


def report(
    context: typer.Context,
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT",
            help="Videos, images, folders of frames, folders of such folders, globs; results of "
            "'salcli crop' and 'salcli encode'.",
        ),
    ],
    *,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="Path of the page.")
    ] = Path("report.html"),
    title: Annotated[str, typer.Option(help="Title of the page.")] = "Where people look",
    client: Annotated[
        str, typer.Option(metavar="NAME", help="For whom it is.", show_default=False)
    ] = "",
    note: Annotated[
        str, typer.Option(metavar="TEXT", help="Some lines below the title.", show_default=False)
    ] = "",
    logo: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Picture above the title.")
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(metavar="INPUT", help="Earlier version of INPUT, to show beside it."),
    ] = None,
    models: _options.ModelNames = None,
    kind: _options.Kind = "auto",
    fps: _options.Fps = None,
    option: _options.ModelOptions = None,
    weights: _options.WeightsFile = None,
    filters: _options.Filters = None,
    areas: _options.AreasFile = None,
    area: _options.AreaBoxes = None,
    device: _options.Device = "auto",
    threads: _options.Threads = None,
    offline: _options.Offline = False,
    progress: _options.Progress = "auto",
    quiet: _options.Quiet = False,
    verbose: _options.Verbose = False,
) -> None:
    """Write an HTML page that needs no network: pictures and clips under their maps.

    It begins with a summary in sentences and a table of the areas. Stills form a gallery; clips
    have a player with a synchronised overlay and a timeline below. If maps or fixations of
    observers are beside the images, the page shows them, and each model's scores. Of a folder
    with results of 'salcli crop' or 'salcli encode', it shows the windows, where bits went, and
    the numbers. Inputs that cannot be read are reported and skipped. Browsers print it to PDF.

    Exit codes: 0 all done, 1 some inputs failed, 2 wrong usage, 3 no weights, 4 a broken plugin.

    \b
    Examples:
      salcli report clip.mp4 photos -o report.html
      salcli report new.png --against old.png --area button=100,40,40,20
      salcli report crops encoded
    """
    context.with_resource(logs.logging_to_terminal(quiet=quiet, verbose=verbose))
    from salcli.areas import parse

    chosen = parse.collect(areas, area or ())
    _steps.check_writable(output.parent)
    _steps.check_exist(inputs)
    from salcli.report.recordfiles import find_records

    found_records, inputs = find_records(inputs)
    before = _before(inputs, against)
    if logo is not None and not logo.is_file():
        raise InputError(f"there is no logo '{logo}'; check the spelling")
    loaded = []
    if inputs:
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
    from salcli.report.page import Cover, write
    from salcli.report.records import read_record
    from salcli.report.tiles import read_logo
    from salcli.terminal.progress import watch

    cover = Cover(title, client, note, read_logo(logo) if logo else "")
    paths = [*before, *find_paired(inputs)]
    with watch(len(paths) + len(found_records), quiet=quiet, style=progress) as watcher:
        for one in loaded:
            for line in (_steps.introduction(one), *_steps.known_limits(one)):
                watcher.note(line)
        maker = EntryMaker(loaded, watcher, areas=chosen, kind=kind, fps=fps)
        done = each_input(paths, maker.entries, failed=lambda *_: None, watcher=watcher)
        entries = [entry for found in done if found for entry in found.entries]
        told = each_input(
            found_records,
            partial(_record, read_record, watcher),
            failed=lambda *_: None,
            watcher=watcher,
        )
        records = [one for one in told if one]
        if before:
            entries = _beside(entries)
        if entries or records:
            write(output, entries, loaded, cover=cover, records=records)
            count = len(entries) + len(records)
            shown = "1 entry" if count == 1 else f"{count} entries"
            watcher.note(f"{output}: {shown}, {output.stat().st_size / 1e6:.1f} MB")
    whole = all(found and not found.problems for found in done)
    whole = whole and all(found and not found.problem for found in told)
    if not whole or not (entries or records):
        raise typer.Exit(1)


def _record(read: Callable[[Path], Record], watcher: Watcher, path: Path) -> Record:
    """What a record says; what is wrong with its pictures is told."""
    found = read(path)
    if found.problem:
        watcher.note(found.problem)
    watcher.finish(f"{path}: done")
    return found


def _before(inputs: Sequence[str], against: str | None) -> list[Path]:
    """The earlier version of the input; empty if there is none."""
    from salcli.panels.paired import find_paired

    if against is None:
        return []
    _steps.check_exist([against])
    paths, others = find_paired(inputs), find_paired([against])
    if len(paths) != 1 or len(others) != 1:
        raise UsageError(
            f"--against compares one input with one, not {len(paths)} with {len(others)}"
        )
    return others


def _beside(entries: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The entry of a version, with that of the version before inside; both must be stills."""
    if len(entries) != 2 or not all("picture" in entry for entry in entries):
        raise InputError("--against shows one picture beside one other; for clips see 'salcli aoi'")
    before, after = entries
    return [{**after, "before": before}]
