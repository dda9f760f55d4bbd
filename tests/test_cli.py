"""Commands that look, how errors end, completion, and the progress that people see."""

import json
import os
import pty
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import salcli as package
from salcli import cli
from salcli.errors import OutputError

Run = Callable[..., subprocess.CompletedProcess[str]]


def test_the_version(salcli: Run) -> None:
    assert salcli("--version").stdout == f"salcli {package.__version__}\n"


def test_no_command_shows_the_help(salcli: Run) -> None:
    for command in ("predict", "train", "models", "weights", "plugins", "doctor"):
        assert command in salcli("--help").stdout
    assert salcli().returncode == 2


@pytest.mark.parametrize("arguments", [("dance",), ("predict",), ("predict", "--loud", "x")])
def test_wrong_usage_ends_with_2(salcli: Run, arguments: tuple[str, ...]) -> None:
    run = salcli(*arguments)

    assert run.returncode == 2
    assert run.stdout == ""
    assert "Traceback" not in run.stderr


def test_every_option_and_argument_is_explained() -> None:
    def parameters(command: Any, path: str) -> Iterator[tuple[str, Any]]:
        for parameter in command.params:
            yield f"{path} {parameter.name}", parameter
        for name, below in getattr(command, "commands", {}).items():
            yield from parameters(below, f"{path} {name}")

    found = dict(parameters(cli.build(), "salcli"))
    assert len(found) > 200
    assert [name for name, parameter in found.items() if not parameter.help] == []


def test_the_list_of_models(salcli: Run) -> None:
    run = salcli("models")

    assert run.returncode == 0
    lines = [line.split() for line in run.stdout.splitlines()]
    assert ["brightness", "-", "-", "MIT", "clips", "stills"] in lines
    assert ["bright", "is", "salient"] in lines
    assert ["open", "6.5", "MB", "MIT", "AND", "Apache-2.0", "clips", "stills"] in lines
    assert "default: unisal:open" in run.stdout
    documents = {d["name"]: d for d in json.loads(salcli("models", "--json").stdout)}
    assert documents["trail"]["accepts"] == ["clips"]


def test_the_card_of_a_model(salcli: Run) -> None:
    run = salcli("models", "brightness")

    for text in (
        "brightness: bright is salient",
        "paper    None, yet (2024)",
        "plugin   salcli-fake 1.5",
        "  mode=plain  [plain | inverted]  which way",
        "  gain=1.0  [float]  factor on the brightness",
        "  CC 0.1 on nothing",
        "  @misc{none}",
    ):
        assert text in run.stdout.splitlines()
    document = json.loads(salcli("models", "brightness", "--json").stdout)
    assert document["options"][1] == {
        "name": "mode",
        "type": "plain|inverted",
        "default": "plain",
        "help": "which way",
    }


def test_the_card_lists_the_weights(salcli: Run) -> None:
    run = salcli("models", "unisal")

    assert "weights (-m unisal:TAG; the first is what 'unisal' means):" in run.stdout
    assert "open" in run.stdout
    rows = json.loads(salcli("models", "unisal:open", "--json").stdout)["weights"]
    unknown = [row["tag"] for row in rows if row["urls"] and not row["hash"]]
    assert unknown == ["ads"]  # nobody published one


def test_an_unknown_model_has_no_card(salcli: Run) -> None:
    run = salcli("models", "brihtness")

    assert run.returncode == 2
    assert run.stderr.startswith("salcli: error: no model named 'brihtness'; did you mean")


def test_the_doctor_finds_nothing_wrong(
    salcli: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SALCLI_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("SALCLI_OFFLINE", "1")

    run = salcli("doctor", "--json")

    assert run.returncode == 0, run.stdout
    facts = json.loads(run.stdout)["facts"]
    assert facts["ffmpeg"].startswith("ffmpeg version")
    assert facts["plugin fake"] == "salcli-fake 1.5, ok"
    assert facts["weights cache"].startswith(str(tmp_path / "cache"))
    assert facts["SALCLI_OFFLINE"] == "1"
    assert {"python", "torch", "device cpu"} <= set(facts)
    assert "no problems found" in salcli("doctor").stdout


def test_the_doctor_says_what_to_do(
    salcli: Run, install_plugins: Callable[..., None], make_site: Callable[..., Path]
) -> None:
    install_plugins(make_site("salcli_broken"))

    run = salcli("doctor")

    assert run.returncode == 1
    problem = (
        "problem: plugin 'broken' is broken: RuntimeError: this plugin needs a newer everything"
    )
    assert f"{problem}; update or uninstall salcli-broken" in run.stdout.splitlines()


def test_completion_knows_the_models(salcli_process: Run) -> None:
    run = salcli_process(
        _SALCLI_COMPLETE="complete_bash",
        COMP_WORDS="salcli predict --model unisal:o",
        COMP_CWORD="3",
    )

    assert run.stdout.split() == ["unisal:open"]


def test_a_closed_pipe_is_no_error(fake_site: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(fake_site)}
    reading, writing = os.pipe()
    os.close(reading)
    run = subprocess.run(
        [sys.executable, "-m", "salcli", "models"],
        env=environment,
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(writing)

    assert run.stderr == ""


def shell(command: str, site: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """What a shell makes of a line in which `salcli` stands for this salcli."""
    line = command.replace("salcli", f"'{sys.executable}' -m salcli")
    return subprocess.run(
        ["bash", "-c", line],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    "command",
    [
        "salcli models >&-",
        "salcli models 2>&-",
        "salcli models <&- >&- 2>&-",
        "salcli predict clip.mp4 --model brightness -o out >&- 2>&-",
    ],
)
def test_closed_streams_are_no_error(
    fake_site: Path, clip_file: Path, tmp_path: Path, command: str
) -> None:
    shutil.copyfile(clip_file, tmp_path / "clip.mp4")

    run = shell(command, fake_site, tmp_path)

    assert run.returncode == 0, run.stderr
    assert "predict" not in command or (tmp_path / "out/clip/salcli.json").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_behind_a_stream_is_told(fake_site: Path, tmp_path: Path) -> None:
    run = shell("salcli models > /dev/full", fake_site, tmp_path)
    assert run.returncode == OutputError.exit_code
    assert run.stderr == "salcli: error: cannot print: No space left on device\n"
    both = shell("salcli models > /dev/full 2> /dev/full", fake_site, tmp_path)
    assert both.returncode == OutputError.exit_code


def on_a_terminal(site: Path, folder: Path, *arguments: str) -> tuple[int, str]:
    """Exit code of a command whose output and errors go to one terminal, and what that shows."""
    main, side = pty.openpty()
    run = subprocess.Popen(
        [sys.executable, "-m", "salcli", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(site), "TERM": "xterm", "COLUMNS": "120"},
        stdout=side,
        stderr=side,
    )
    os.close(side)
    shown = b""
    try:
        while piece := os.read(main, 4096):
            shown += piece
    except OSError:
        pass  # Linux: the other side is closed
    os.close(main)
    return run.wait(), shown.decode()


def test_a_terminal_gets_bars(fake_site: Path, clip_file: Path, tmp_path: Path) -> None:
    words = ("predict", str(clip_file), "none.png", "-m", "brightness", "-O", "delay=0.1")
    code, text = on_a_terminal(fake_site, tmp_path, *words)

    assert code == 1
    assert "all inputs" in text
    assert "frames/s" in text
    assert "salcli: error: '" in text
    assert "12 maps in saliency/clip" in text


def test_a_table_comes_after_the_bars_and_no_line_is_erased(
    fake_site: Path, clip_file: Path, tmp_path: Path
) -> None:
    """Two clips have two bars, whose removal erases lines above the cursor."""
    shutil.copy(clip_file, tmp_path / "other.mp4")
    area = ("--area", "left=0,0,50%,100%", "--fail-below", "left=99%", "-m", "brightness")
    code, text = on_a_terminal(fake_site, tmp_path, "aoi", str(clip_file), "other.mp4", *area)

    assert code == 1
    _, erased, after = text.rpartition("\x1b[2K")
    assert erased
    assert after.count("salcli: below the limit: ") == 2
    assert len([line for line in after.splitlines() if " left " in line]) >= 2  # the table
