"""`salcli report`: one self-contained HTML file to look at and to pass on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from salcli import logs, registry
from salcli.commands import options

if TYPE_CHECKING:
    from salcli.model import Loaded
    from salcli.progress import Watcher

__all__ = ["report"]


def report(
    context: typer.Context,
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT...",
            help="Videos, images, folders of frames, folders of such folders, or globs.",
        ),
    ],
    *,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="The page.")
    ] = Path("report.html"),
    title: Annotated[str, typer.Option(help="Its title.")] = "Where people look",
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            "-m",
            metavar="NAME[:TAG]",
            help="A model that the page can switch to; repeatable.",
            autocompletion=options.complete_model,
        ),
    ] = None,
    kind: Annotated[
        str,
        typer.Option("--as", metavar="auto|clip|stills", help="What the frames of a folder are."),
    ] = "auto",
    fps: Annotated[
        float | None,
        typer.Option(min=0.001, help="The frames of a folder are a clip of this rate."),
    ] = None,
    device: options.Device = "auto",
    precision: options.Precision = "auto",
    offline: options.Offline = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Write an HTML page that needs no network: pictures and clips under their maps.

    Stills form a gallery, clips have a player whose overlay follows, with a timeline below. Inputs
    that cannot be read are left out, and told.

    Exit codes: 0 all done, 1 some inputs failed, 2 wrong usage, 3 no weights, 4 a broken plugin.
    """
    context.with_resource(logs.heard(quiet=quiet, verbose=verbose))
    names = list(dict.fromkeys(model or [registry.DEFAULT_MODEL]))
    for name in names:
        registry.model(name)
    wanted: Any = options.one_of("--as", kind, ("auto", "clip", "stills"))
    options.check_writable(output.parent)

    from salcli import media
    from salcli.checkpoint import write_atomically
    from salcli.model import load_model
    from salcli.progress import watch
    from salcli.report.document import document

    models = [
        load_model(name, device=device, precision=precision, offline=offline) for name in names
    ]
    paths = media.find_inputs(inputs)
    entries: list[dict[str, Any]] = []
    failed = False
    with watch(len(paths), quiet=quiet) as watcher:
        for path in paths:
            found, complete = _entries(path, models, watcher, kind=wanted, fps=fps)
            entries += found
            failed |= not complete
        if entries:
            write_atomically(output, document(title, entries, models).encode())
            shown = "1 entry" if len(entries) == 1 else f"{len(entries)} entries"
            watcher.note(f"{output}: {shown}, {output.stat().st_size / 1e6:.1f} MB")
    if failed or not entries:
        raise typer.Exit(1)


def _entries(
    path: Path, models: Sequence[Loaded], watcher: Watcher, *, kind: Any, fps: float | None
) -> tuple[list[dict[str, Any]], bool]:
    """What one input gives, and whether all of it could be read."""
    from salcli import media
    from salcli.errors import PluginError, SalcliError
    from salcli.report.entries import entries_of

    accepts = frozenset.intersection(*(loaded.model.spec.accepts for loaded in models))
    try:
        stimulus = media.open_stimulus(path, kind=kind, fps=fps, accepts=accepts)
        entries = entries_of(stimulus, models, watcher)
    except PluginError:
        raise
    except SalcliError as error:
        watcher.fail(str(error))
        return [], False
    for problem in stimulus.problems:
        watcher.note(f"left out: {problem}")
    watcher.finish(f"{path}: done")
    return entries, not stimulus.problems
