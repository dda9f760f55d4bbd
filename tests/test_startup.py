"""What every start costs: nothing heavy, with all plugins installed and with broken ones."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.core import TyperOption

from salcli.cli import COMMANDS, build
from salcli.testing import HEAVY

Run = Callable[..., subprocess.CompletedProcess[str]]

SPY = """
import atexit, json, sys
atexit.register(lambda: print(json.dumps(sorted(sys.modules)), file=open({path!r}, "w")))
"""


@pytest.fixture
def imported(salcli_process: Run, make_site: Callable[..., Path], tmp_path: Path) -> Callable:
    """Run salcli with a fake and a broken plugin; what it imported."""
    site = make_site("salcli_fake", "salcli_broken", "salcli_noisy")
    report = tmp_path / "modules.json"
    (site / "sitecustomize.py").write_text(SPY.format(path=str(report)))

    def run(*arguments: str) -> tuple[subprocess.CompletedProcess[str], set[str]]:
        done = salcli_process(*arguments, sites=[site])
        return done, set(json.loads(report.read_text()))

    return run


@pytest.mark.parametrize(
    "arguments",
    [
        ("--help",),
        ("--version",),
        ("models",),
        ("models", "trail"),
        ("plugins",),
        ("predict", "--help"),
        ("weights", "list"),
        ("train", "--help"),
    ],
)
def test_nothing_heavy_is_imported(imported: Callable, arguments: tuple[str, ...]) -> None:
    run, modules = imported(*arguments)

    assert run.returncode == 0, run.stderr
    assert modules.isdisjoint(HEAVY)
    # the version and the help of one command need no plugin
    alone = arguments == ("--version",) or arguments[1:] == ("--help",)
    assert ("salcli_fake" in modules) is not alone
    # typer needs pydantic to convert what is given, unless that is a text
    assert "pydantic" not in modules
    commands = {name for names in COMMANDS.values() for name in names}
    wanted = commands if arguments[0] == "--help" else commands & {arguments[0]}
    assert {name for name in commands if f"salcli.commands.{name}" in modules} == wanted


def test_the_import_of_the_package_is_light() -> None:
    code = f"import salcli, sys; print([m for m in {HEAVY!r} if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert run.stdout.strip() == "[]"


def test_what_is_finished_is_skipped_before_torch_is_imported(
    imported: Callable, tmp_path: Path
) -> None:
    Image.new("RGB", (8, 6)).save(tmp_path / "a.png")
    arguments = ("predict", "a.png", "-m", "spectral-residual", "-o", "out")
    first, modules = imported(*arguments)
    assert first.returncode == 0, first.stderr
    assert "torch" in modules
    # not needed for one picture whose lines go into a pipe
    assert modules.isdisjoint({"rich", "natsort", "PIL.DdsImagePlugin"})

    again, modules = imported(*arguments)
    assert again.returncode == 0
    assert "torch" not in modules
    assert again.stderr.splitlines() == [
        "a.png: already done, 1 map in out",
        "to look at: out/a.overlay.png",
    ]


def test_the_process_ends_without_freeing_its_objects() -> None:
    code = """if True:
        import atexit, os, sys, threading, time
        from salcli.__main__ import main
        def late():  # not by print: what is printed while plugins are loaded is swallowed
            time.sleep(1)
            os.write(1, b"thread\\n")
        class Kept:
            def __del__(self):
                print("freed")
        kept = Kept()
        atexit.register(print, "exit function")
        threading.Thread(target=late).start()
        sys.argv = ["salcli", "dance"]
        main()
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stdout == "thread\nexit function\n"


def test_weights_that_cannot_be_read_are_told(imported: Callable, tmp_path: Path) -> None:
    Image.new("RGB", (8, 6)).save(tmp_path / "a.png")
    (tmp_path / "folder").mkdir()

    run, _ = imported("predict", "a.png", "-m", "trail", "--weights", "folder", "-o", "out")

    assert run.returncode == 3
    assert run.stderr == "salcli: error: cannot read weights 'folder': Is a directory\n"


def every_command(group: Any) -> Iterator[Any]:
    for command in group.commands.values():
        yield command
        if hasattr(command, "commands"):
            yield from every_command(command)


def test_annotations_of_commands_are_evaluated_once() -> None:
    commands = [c.callback for c in every_command(build()) if not hasattr(c, "commands")]
    assert len(commands) > 20
    assert not [
        command.__name__
        for command in commands
        if any(isinstance(annotation, str) for annotation in command.__annotations__.values())
    ]


def test_the_list_of_commands_makes_none_of_them() -> None:
    application = build()
    with application.make_context("salcli", [], resilient_parsing=True) as context:
        assert "predict" in application.get_help(context)
    with pytest.raises(Exception, match="Did you mean 'predict'"):
        application(["predicd"], standalone_mode=False)
    assert application.commands._made == {}


@pytest.mark.skipif(
    not hasattr(TyperOption, "get_runtime_param"), reason="older ones convert without pydantic"
)
def test_defaults_are_what_typer_would_make_of_them() -> None:
    checked = 0
    for command in every_command(build()):
        context = command.make_context(command.name, [], resilient_parsing=True)
        for parameter in command.params:
            typers = type(parameter).get_runtime_param(parameter)
            wanted = typers.coerce(parameter.default, param=parameter, ctx=context)
            if parameter.name in context.params and parameter.default is not None:
                found = context.params[parameter.name]
                assert (found, type(found)) == (wanted, type(wanted)), parameter.name
                checked += 1
    assert checked > 200


@pytest.mark.endurance
def test_what_is_imported_with_torch_is_not_searched_for_garbage() -> None:
    code = (
        "import gc, os; from salcli.commands._steps import load_models; "
        "load_models(['centre'], option=None, weights=None, filters=None, device='cpu', "
        "offline=True, quiet=True); "
        "print(gc.isenabled(), gc.get_freeze_count() > 100_000, os.environ['GOMP_SPINCOUNT'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "True", "1000"]
