"""What people see in a terminal of 80 columns, kept as text in tests/screens/.

`UPDATE_SCREENS=1 pytest tests/test_screens.py` writes the texts anew, for a commit that changes
them on purpose.
"""

import os
import pty
import re
import shlex
import struct
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator
from fcntl import ioctl
from pathlib import Path
from typing import Any

import pytest

from salcli import cli

SCREENS = Path(__file__).parent / "screens"
WIDTH = 80

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(autouse=True)
def narrow(salcli: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A terminal of 80 columns, an empty cache, no roots of datasets."""
    monkeypatch.setenv("COLUMNS", str(WIDTH))
    monkeypatch.setenv("SALCLI_CACHE_DIR", str(tmp_path / "cache"))
    for variable in [name for name in os.environ if name.endswith("_DATA_DIR")]:
        monkeypatch.delenv(variable)


def plain(text: str) -> str:
    """The text without escape sequences."""
    return re.sub(r"\033\[[\d;]*m", "", text)


def walk(command: Any, name: str, parent: Any = None) -> Iterator[tuple[Any, Any]]:
    """Every command and group with its context."""
    context = command.make_context(name, [], parent=parent, resilient_parsing=True)
    yield command, context
    for below, each in getattr(command, "commands", {}).items():
        yield from walk(each, below, context)


def helps() -> dict[str, str]:
    """The help text of every command."""
    found = walk(cli.build(), "salcli")
    return {context.command_path: plain(command.get_help(context)) for command, context in found}


OWN = {"salcli", *(f"salcli {name}" for panel in cli.COMMANDS.values() for name in panel)}


def compare(name: str, text: str) -> None:
    """Compare a screen with the kept text."""
    file = SCREENS / f"{name.replace(' ', '-')}.txt"
    shown = "".join(f"{line.rstrip()}\n" for line in text.strip("\n").splitlines())
    if "UPDATE_SCREENS" in os.environ:
        file.write_text(shown)
    assert shown == file.read_text(), "if this is right: UPDATE_SCREENS=1 pytest " + __file__


def test_every_help_text_is_the_kept_one() -> None:
    found = {name: text for name, text in helps().items() if " ".join(name.split()[:2]) in OWN}
    # the names of what plugins bring stand in the first one only
    found["salcli"] = found["salcli"].partition("From plugins")[0]
    for name, text in found.items():
        compare(name, text)
    kept = {file.stem for file in SCREENS.glob("salcli*.txt")}
    assert kept == {name.replace(" ", "-") for name in found}


def test_help_of_plugins_fits_and_names_no_types() -> None:
    for name, text in helps().items():
        for line in text.splitlines():
            assert len(line) <= WIDTH, f"{name}: {line}"
        assert not re.search(r"<(bool|int|float|str|path|list)", text), name


def examples() -> dict[str, list[str]]:
    return {
        name: re.findall(r"^    (salcli .*)$", text.partition("Examples:")[2], re.MULTILINE)
        for name, text in helps().items()
        if " ".join(name.split()[:2]) in OWN
    }


def test_every_command_has_two_examples_that_can_be_typed() -> None:
    application: Any = cli.build()
    groups = {"salcli", "salcli datasets", "salcli plugins", "salcli weights"}
    for name, lines in examples().items():
        assert len(lines) == 0 if name in groups else len(lines) >= 2, name
        for line in lines:
            assert line.startswith(name)
            group, words = application, shlex.split(line)[1:]
            context = group.make_context("salcli", words, resilient_parsing=False)
            while hasattr(group, "commands"):
                rest = [*context._protected_args, *context.args]
                if not rest:
                    break
                below, group, rest = group.resolve_command(context, rest)
                context = group.make_context(below, rest, parent=context)


@pytest.mark.parametrize("arguments", ["models", "models unisal", "weights list", "datasets"])
def test_tables_fit(salcli: Run, arguments: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    run = salcli(*arguments.split())
    monkeypatch.undo()

    assert run.returncode == 0
    for line in run.stdout.partition("to cite:")[0].splitlines():
        assert len(line) <= WIDTH or "https://" in line, line


def terminal(*arguments: str, folder: Path, site: Path) -> tuple[int, str]:
    """Exit code of a command in a terminal of 80 columns, and all that it shows there."""
    main, side = pty.openpty()
    ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", 25, WIDTH, 0, 0))
    kept = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES", "NO_COLOR")}
    run = subprocess.Popen(
        [sys.executable, "-m", "salcli", *arguments],
        cwd=folder,
        env={**kept, "PYTHONPATH": str(site), "TERM": "xterm"},
        stdin=side,
        stdout=side,
        stderr=side,
    )
    os.close(side)
    shown = b""
    try:
        while piece := os.read(main, 65536):
            shown += piece
    except OSError:
        pass  # Linux: the other side is closed
    os.close(main)
    return run.wait(), shown.decode().replace("\r\n", "\n")


def test_a_terminal_shows_the_same(fake_site: Path, tmp_path: Path) -> None:
    code, shown = terminal("datasets", folder=tmp_path, site=fake_site)
    assert code == 0
    compare("datasets", shown)

    code, shown = terminal("score", "--help", folder=tmp_path, site=fake_site)
    assert code == 0
    assert "\033[1mScores\033[0m:" in shown
    compare("salcli-score", plain(shown))
