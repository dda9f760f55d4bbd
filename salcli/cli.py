"""The command line: its commands, and how an error ends the process."""

from __future__ import annotations

import io
import os
import signal
import sys
import traceback
from collections.abc import Mapping, Sequence, Set
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, NoReturn, TextIO

import typer
from typer.models import CommandInfo, TyperInfo

from salcli._version import __version__
from salcli.commands import _help, _tree
from salcli.errors import InputError, OutputError, SalcliError
from salcli.files.atomic import ESCAPED
from salcli.plugins import loader
from salcli.terminal import ending

__all__ = ["build", "main"]

COMMANDS: Mapping[str, Sequence[str]] = {
    _help.LOOK: ("predict", "status", "visualize", "report", "serve"),
    _help.USE: ("crop", "encode"),
    _help.MEASURE: ("aoi", "score", "compare", "bench"),
    _help.TRAIN: ("train", "finetune"),
    _help.STORE: ("export", "datasets", "weights"),
    _help.ABOUT: ("models", "filters", "doctor", "plugins"),
}
"""Commands and groups of commands by the panel of the help in which they stand.

Each is a file in `commands/`, imported when it is needed, that defines the name.
"""

CLASSES: Mapping[str, str] = {"score": "ScoreCommand"}
"""Commands that show their help in their own way, and the class in their file that does."""


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


def build() -> Any:
    """The application with the commands of the core and of the plugins, as `click` knows it."""
    app = typer.Typer(
        help="Where humans look in images and video.",
        cls=Root,
        callback=_root,
        no_args_is_help=True,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    own = {
        name: partial(_own_command, name, panel)
        for panel, names in COMMANDS.items()
        for name in names
    }
    return _tree.root(app, _tree.Commands(own, partial(_plugin_commands, own.keys())))


def _own_command(name: str, panel: str) -> _tree.Info:
    """What typer makes a command of the core of."""
    module = import_module(f"salcli.commands.{name}")
    found = getattr(module, name)
    if isinstance(found, typer.Typer):
        return TyperInfo(found, name=name, rich_help_panel=panel)
    shown = getattr(module, CLASSES[name]) if name in CLASSES else None
    return CommandInfo(name, cls=shown, callback=found, rich_help_panel=panel)


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


def _plugin_commands(own: Set[str]) -> dict[str, _tree.Info]:
    """What the plugins register, unless it is broken or a name is taken."""
    found: dict[str, _tree.Info] = {}
    loaded = loader.load()
    for plugin, register in loaded.answers("register_commands"):
        app = typer.Typer()  # separate, so that a failure halfway leaves nothing behind
        with loaded.guest(plugin, "register_commands"):
            register(app=app)
            new = _tree.listed(app)
            if doubled := sorted(new.keys() & (own | found.keys())):
                raise ValueError(f"there is already a command '{doubled[0]}'")
            for info in new.values():
                info.rich_help_panel = _help.PLUGINS
            _tree.make_all(_tree.Commands({}, partial(_tree.listed, app)))
            found |= new
    return found


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
