"""The command line: its commands, and how an error ends the process."""

from __future__ import annotations

import io
import os
import signal
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, NoReturn, TextIO

import typer
from typer.core import TyperCommand
from typer.main import get_command

from salcli._version import __version__
from salcli.commands import _help
from salcli.commands.aoi import aoi
from salcli.commands.bench import bench
from salcli.commands.compare import compare
from salcli.commands.crop import crop
from salcli.commands.datasets import app as datasets
from salcli.commands.doctor import doctor
from salcli.commands.encode import encode
from salcli.commands.export import export
from salcli.commands.filters import filters
from salcli.commands.finetune import finetune
from salcli.commands.models import models
from salcli.commands.plugins import app as plugins
from salcli.commands.predict import predict
from salcli.commands.report import report
from salcli.commands.score import ScoreCommand, score
from salcli.commands.serve import serve
from salcli.commands.status import status
from salcli.commands.train import train
from salcli.commands.visualize import visualize
from salcli.commands.weights import app as weights
from salcli.errors import InputError, OutputError, SalcliError
from salcli.files.atomic import ESCAPED
from salcli.plugins import loader
from salcli.terminal import ending

__all__ = ["build", "main"]

COMMANDS: Mapping[str, Mapping[str, Callable[..., None] | typer.Typer]] = {
    _help.LOOK: {
        "predict": predict,
        "status": status,
        "visualize": visualize,
        "report": report,
        "serve": serve,
    },
    _help.USE: {"crop": crop, "encode": encode},
    _help.MEASURE: {"aoi": aoi, "score": score, "compare": compare, "bench": bench},
    _help.TRAIN: {"train": train, "finetune": finetune},
    _help.STORE: {"datasets": datasets, "weights": weights, "export": export},
    _help.ABOUT: {"models": models, "filters": filters, "plugins": plugins, "doctor": doctor},
}
"""Commands and groups of commands by the panel of the help in which they stand."""

CLASSES: Mapping[str, type[TyperCommand]] = {"score": ScoreCommand}


class Root(_help.Group):
    """The commands; what is none but an input is predicted: `salcli photo.jpg`."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that the first word names."""
        word = args[0]
        is_input = word == "-" or "://" in word or word.startswith("camera:")
        if word not in self.commands and (is_input or Path(word).exists()):
            args = ["predict", *args]
        return super().resolve_command(ctx, args)


WrongUsage: type[Any] = typer.BadParameter.__mro__[1]
"""The `UsageError` of click, which typer bundles or depends on, depending on its version."""

SIGNALLED = 128
"""Added to a signal's number, the exit code of a process that it ended."""

INTERRUPTED = SIGNALLED + signal.SIGINT


def main() -> NoReturn:
    """Run the command line; ends the process with the exit code of the error, if any."""
    _open_streams()
    with ending.listening() as end:
        code = _run()
    if end.signal and code == INTERRUPTED:
        code = SIGNALLED + end.signal
    if "WORLD_SIZE" in os.environ:
        # Threads of `DistributedDataParallel` outlive its process group, and sometimes abort an
        # interpreter that shuts down: torchrun would report a finished training as failed.
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def _run() -> int:
    try:
        code = build(next(iter(sys.argv[1:]), None))(prog_name="salcli", standalone_mode=False)
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
        return _flushed(end.code if isinstance(end.code, int) else int(end.code is not None))
    except WrongUsage as error:
        return _misused(error)
    except SalcliError as error:
        _complain(str(error), error)
        return error.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        return _hushed()
    except OSError as error:  # any other disk error is an OutputError by now
        if error.filename is not None:
            return _surprised(error)
        return _homeless(error) if isinstance(error, FileNotFoundError) else _unprintable(error)
    except Exception as error:
        return _surprised(error)
    return _flushed(code if isinstance(code, int) else 0)


def _surprised(error: Exception) -> int:
    """Report an unexpected error."""
    text = " ".join(str(error).split())
    _complain(
        f"unexpected {type(error).__name__}: {text} (this is a bug in salcli; --verbose shows "
        "where it happened)",
        error,
    )
    return 1


def build(only: str | None = None) -> typer.Typer:
    """The application with the commands of the core and of the plugins.

    Args:
        only: If this names a command of the core, all others are left out: typer takes half of
            the time of `salcli models` to make them all.
    """
    known = {name for commands in COMMANDS.values() for name in commands}
    alone = only in known
    app = typer.Typer(
        help="Where humans look in images and video.",
        cls=Root,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_root)
    for panel, commands in COMMANDS.items():
        for name, command in commands.items():
            if alone and name != only:
                continue
            if isinstance(command, typer.Typer):
                app.add_typer(command, name=name, rich_help_panel=panel)
            else:
                app.command(name, cls=CLASSES.get(name), rich_help_panel=panel)(command)
    if not alone:
        _add_plugin_commands(app, taken=known)
    _help.arrange(app)
    return app


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"salcli {__version__}")
        raise typer.Exit


def _root(
    *,
    version: Annotated[
        bool,
        typer.Option("--version", help="Show the version.", callback=_show_version, is_eager=True),
    ] = False,
) -> None:
    """Options that may precede a command; a callback shows the version."""


def _add_plugin_commands(app: typer.Typer, taken: set[str]) -> None:
    """Add the commands of each plugin, unless they are broken or their name is taken."""
    loaded = loader.load()
    for plugin, register in loaded.answers("register_commands"):
        own = typer.Typer()  # separate, so that a failure halfway leaves nothing behind
        with loaded.guest(plugin, "register_commands"):
            register(app=own)
            taken |= _checked(own, taken)
            for command in own.registered_commands:
                command.rich_help_panel = _help.PLUGINS
            for group in own.registered_groups:
                group.rich_help_panel = _help.PLUGINS
            app.registered_commands += own.registered_commands
            app.registered_groups += own.registered_groups


def _checked(own: typer.Typer, taken: set[str]) -> set[str]:
    """The names of these commands; raises if typer cannot build them, or a name is taken."""
    holder = typer.Typer()
    holder.callback()(_root)
    holder.registered_commands = own.registered_commands
    holder.registered_groups = own.registered_groups
    built: Any = get_command(holder)
    names = set(built.commands)
    if doubled := sorted(names & taken):
        raise ValueError(f"there is already a command '{doubled[0]}'")
    return names


def _misused(error: Any) -> int:
    """Report a usage error in one line; show the help if no command was given."""
    if type(error).__name__ != "NoArgsIsHelpError":
        text = " ".join(error.format_message().replace("Value error, ", "").split())
        command = error.ctx.command_path if error.ctx else "salcli"
        _complain(f"{text.removesuffix('.')}; see '{command} --help'", error)
    return int(error.exit_code)


def _complain(text: str, error: Exception) -> None:
    try:
        if {"-v", "--verbose"} & set(sys.argv):
            traceback.print_exception(error)
        print(f"salcli: error: {text}", file=sys.stderr)
    except OSError:  # a full disk; the exit code says so, too
        _silence(sys.stderr)


def _flushed(code: int) -> int:
    """The exit code, once output is flushed; its reader may have gone (`| head`)."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        return _hushed()
    except OSError as error:
        return _unprintable(error)
    return code


def _unprintable(error: OSError) -> int:
    """Report that standard output cannot be written, for example to a full disk."""
    _hushed()
    problem = OutputError(f"cannot print: {error.strerror or error}")
    _complain(str(problem), problem)
    return problem.exit_code


def _homeless(error: OSError) -> int:
    """Report that the working folder is gone: only then does such an error name no file."""
    problem = InputError("the working folder was deleted; change into another one")
    _complain(str(problem), error)
    return problem.exit_code


def _open_streams() -> None:
    """Open closed standard streams (daemons, `>&-`) on the null device.

    Otherwise printing fails, and the next file to be opened gets the number of the stream. Names of
    files need not be Unicode; standard output escapes what is not, as standard error does.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number: this one
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, "w" if number else "r"))
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors=ESCAPED)


def _hushed() -> int:
    """End quietly where standard output is closed."""
    _silence(sys.stdout)
    return 1


def _silence(stream: TextIO) -> None:
    """Let nothing more be written to a failing stream, even when the interpreter exits."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
