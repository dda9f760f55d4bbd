"""`salcli serve`: a local page, and an interface for programs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from salcli.commands import _options, _steps
from salcli.commands._help import MODEL
from salcli.errors import UsageError
from salcli.terminal import logs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from salcli.terminal.progress import Style

__all__ = ["serve"]

LEAST_TOKEN = 12


def serve(
    context: typer.Context,
    *,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port; 0 takes any that is free.")
    ] = 8000,
    folder: Annotated[
        Path | None,
        typer.Option(
            "--dir",
            metavar="DIR",
            help="Also show the results and reports of this folder.",
        ),
    ] = None,
    host: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS", help="Address to listen at; any but this machine's needs --token."
        ),
    ] = "127.0.0.1",
    token: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT",
            envvar="SALCLI_TOKEN",
            help="Refuse whoever does not bring this; at least 12 characters.",
            show_envvar=True,
        ),
    ] = None,
    open_: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
    models: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            "-m",
            metavar="NAME[:TAG]",
            help="Model to offer, the default first. Repeatable.",
            show_default="all whose weights are here",
            autocompletion=_options.complete_model,
        ),
    ] = None,
    device: _options.Device = "auto",
    threads: _options.Threads = None,
    idle: Annotated[
        float,
        typer.Option(
            metavar="MINUTES",
            min=0.1,
            help="Unload the models after so long without work.",
            rich_help_panel=MODEL,
        ),
    ] = 10.0,
    offline: _options.Offline = False,
    progress: _options.Progress = "auto",
    quiet: _options.Quiet = False,
    verbose: _options.Verbose = False,
) -> None:
    """Serve a page on this machine: drop a picture or clip, see where people look, draw areas.

    Nothing leaves the machine, and uploads are deleted. Programs find the interface at
    /openapi.json. Needs the extra salcli[serve].

    Exit codes: 2 wrong usage, 3 no weights, 130 stopped by Ctrl-C.

    \b
    Examples:
      salcli serve --open
      salcli serve --dir results --port 9000
    """
    context.with_resource(logs.logging_to_terminal(quiet=quiet, verbose=verbose))
    _check_token(host, token)
    if folder is not None and not folder.is_dir():
        raise UsageError(f"--dir: there is no folder '{folder}'")
    offered = _offered(models, offline=offline, quiet=quiet, progress=progress)
    try:
        from salcli.serve import run
        from salcli.serve.app import make_app
    except ImportError as error:
        raise UsageError(
            f"this needs the extra salcli[serve] ({error.name} is missing); install it by: "
            "pip install 'salcli[serve]'"
        ) from error
    from salcli.files.atomic import temporary_folder
    from salcli.serve.limits import ServerLimits
    from salcli.serve.orders import WorkerSettings

    limits = ServerLimits(idle_seconds=60 * idle)
    listening = run.listen(host, port)
    address = _address(host, listening.getsockname()[1], token)
    with temporary_folder() as spool:
        app = make_app(
            WorkerSettings(device, limits), models=offered, spool=spool, token=token, folder=folder
        )
        if not quiet:
            typer.echo(f"salcli: serving at {address} (Ctrl-C stops it)", err=True)
        if open_:
            typer.launch(address)
        with listening:
            run.server(app, limits).run(sockets=[listening])


def _check_token(host: str, token: str | None) -> None:
    from salcli.serve.limits import LOCAL

    if token is None and host not in LOCAL:
        raise UsageError(
            f"--host {host} lets others reach the server, so --token is needed (or SALCLI_TOKEN)"
        )
    if token is not None and len(token) < LEAST_TOKEN:
        raise UsageError(f"--token needs at least {LEAST_TOKEN} characters")


def _offered(
    names: Sequence[str] | None, *, offline: bool, quiet: bool, progress: Style
) -> list[str]:
    """The models, whose weights are here then.

    Raises:
        UnknownName: There is no such model.
        WeightsError: Weights could not be obtained.
        UsageError: There is no model.
    """
    from salcli.plugins import registry
    from salcli.serve import offers
    from salcli.terminal.progress import download_bar
    from salcli.weights import store

    for name in names or ():
        _steps.check_model(name, None, weights=None)
    for name in names or ():
        spec, row = registry.model(name)
        if row is not None:
            with download_bar(name, quiet=quiet, style=progress) as report:
                store.locate(spec, row, offline=offline, report=report)
    offered = list(dict.fromkeys(names or offers.ready()))
    if not offered:
        raise UsageError("there are no models with weights here; see 'salcli models'")
    return offered


def _address(host: str, port: int, token: str | None) -> str:
    from urllib.parse import quote

    name = f"[{host}]" if ":" in host else host
    login = f"login?token={quote(token, safe='')}" if token else ""
    return f"http://{name}:{port}/{login}"
