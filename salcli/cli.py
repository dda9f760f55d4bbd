"""The command line: which commands there are, and how an error ends the process."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Mapping
from typing import Annotated, Any, NoReturn, TextIO

import typer
from typer.core import TyperCommand
from typer.main import get_command

from salcli._version import __version__
from salcli.commands.aoi import aoi
from salcli.commands.bench import bench
from salcli.commands.compare import compare
from salcli.commands.datasets import app as datasets
from salcli.commands.doctor import doctor
from salcli.commands.finetune import finetune
from salcli.commands.models import models
from salcli.commands.plugins import list_plugins
from salcli.commands.predict import predict
from salcli.commands.report import report
from salcli.commands.score import ScoreCommand, score
from salcli.commands.train import train
from salcli.commands.visualize import visualize
from salcli.commands.weights import app as weights
from salcli.errors import OutputError, SalcliError
from salcli.plugins import loader

__all__ = ["build", "main"]

COMMANDS: Mapping[str, Callable[..., None]] = {
    "predict": predict,
    "visualize": visualize,
    "aoi": aoi,
    "train": train,
    "finetune": finetune,
    "score": score,
    "compare": compare,
    "report": report,
    "models": models,
    "bench": bench,
    "plugins": list_plugins,
    "doctor": doctor,
}
CLASSES: Mapping[str, type[TyperCommand]] = {"score": ScoreCommand}
GROUPS: Mapping[str, typer.Typer] = {"weights": weights, "datasets": datasets}

WrongUsage: type[Any] = typer.BadParameter.__mro__[1]
"""The `UsageError` of the click that typer has inside, or depends on, by its version."""

INTERRUPTED = 130
"""Exit code of a process that Ctrl-C ended: 128 + SIGINT."""


def main() -> NoReturn:
    """Run the command line; ends the process with the exit code of the error, if there is one."""
    _open_streams()
    code = _run()
    if "WORLD_SIZE" in os.environ:
        # Threads of `DistributedDataParallel` outlive its process group, and now and then abort an
        # interpreter that takes itself apart: torchrun would call a finished training a failed one.
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def _run() -> int:
    try:
        code = build()(prog_name="salcli", standalone_mode=False)
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
    except OSError as error:  # everything else that fails on a disk is an OutputError by now
        return _unprintable(error) if error.filename is None else _surprised(error)
    except Exception as error:
        return _surprised(error)
    return _flushed(code if isinstance(code, int) else 0)


def _surprised(error: Exception) -> int:
    """What nobody has foreseen."""
    text = " ".join(str(error).split())
    _complain(
        f"unexpected {type(error).__name__}: {text} (this is a bug in salcli; --verbose shows "
        "where it happened)",
        error,
    )
    return 1


def build() -> typer.Typer:
    """The application with the core's commands and those of the plugins."""
    app = typer.Typer(
        help="Where humans look in images and video.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_root)
    for name, command in COMMANDS.items():
        app.command(name, cls=CLASSES.get(name))(command)
    for name, group in GROUPS.items():
        app.add_typer(group, name=name)
    _add_guests(app)
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
    """What may stand before a command; the version is shown by its callback."""


def _add_guests(app: typer.Typer) -> None:
    """Add the commands of each plugin, unless they do not work or their name is taken."""
    loaded, taken = loader.load(), {*COMMANDS, *GROUPS}
    for plugin, register in loaded.answers("register_commands"):
        own = typer.Typer()  # apart, so that a failure halfway leaves nothing behind
        with loaded.guest(plugin, "register_commands"):
            register(app=own)
            taken |= _checked(own, taken)
            app.registered_commands += own.registered_commands
            app.registered_groups += own.registered_groups


def _checked(own: typer.Typer, taken: set[str]) -> set[str]:
    """The names of these commands; raises if typer cannot build them, or if one is taken."""
    holder = typer.Typer()
    holder.callback()(_root)
    holder.registered_commands = own.registered_commands
    holder.registered_groups = own.registered_groups
    built: Any = get_command(holder)
    names = set(built.commands)
    if doubled := sorted(names & taken):
        raise ValueError(f"there already is a command '{doubled[0]}'")
    return names


def _misused(error: Any) -> int:
    """Say in one line what typer cannot make sense of; the help where nothing was asked for."""
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
    except OSError:  # a full disk; the exit code says it, too
        _silence(sys.stderr)


def _flushed(code: int) -> int:
    """The exit code, once what was printed is out; whoever reads it may have gone (`| head`)."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        return _hushed()
    except OSError as error:
        return _unprintable(error)
    return code


def _unprintable(error: OSError) -> int:
    """Standard output takes nothing more, such as a full disk that it is directed to."""
    _hushed()
    problem = OutputError(f"cannot print: {error.strerror or error}")
    _complain(str(problem), problem)
    return problem.exit_code


def _open_streams() -> None:
    """Give standard streams that are closed (daemons, `>&-`) the null device.

    Otherwise printing fails, and the next file that is opened takes the number of the stream.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free: this one
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, "w" if number else "r"))


def _hushed() -> int:
    """End quietly where standard output is closed."""
    _silence(sys.stdout)
    return 1


def _silence(stream: TextIO) -> None:
    """Let nothing more be written to a stream that fails, not when the interpreter ends either."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
