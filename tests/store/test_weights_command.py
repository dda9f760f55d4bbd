from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from salcli.commands.weights import weights
from salcli.errors import PluginError, SalcliError, UnknownName, UsageError, WeightsError

if TYPE_CHECKING:
    from tests.store.conftest import Server

MODULE = """
from salcli import ModelSpec, Weights, hookimpl

@hookimpl
def register_models():
    yield ModelSpec("toy", "", "toyplugin.model:Toy", licence="MIT", weights=(
        Weights("best", ("{best}",), hash="sha256:{digest}", size={size}, filename="best.pth"),
        Weights("lost", ("{lost}",), hash="sha256:{digest}", filename="lost.pth", licence="GPL-3"),
        Weights("open", resource="open.pth"),
    ))
    yield ModelSpec("nameless", "", "toyplugin.model:Toy", weights=(
        Weights("only", ("scheme://file",)),
    ))
    yield ModelSpec("bare", "", "toyplugin.model:Toy")
"""

Run = Callable[..., Any]
"""Gives what `CliRunner.invoke` gives; its class has another home in each version of typer."""


@pytest.fixture
def run(
    tmp_path: Path,
    server: Server,
    content: bytes,
    monkeypatch: pytest.MonkeyPatch,
    fresh_plugins: None,
) -> Run:
    """`salcli weights ...`, with an installed plugin whose weights the loopback server has."""
    site = tmp_path / "site"
    info = site / "toyplugin-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toyplugin\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[salcli]\ntoyplugin = toyplugin\n")
    (site / "toyplugin").mkdir()
    (site / "toyplugin" / "open.pth").write_bytes(content)
    (site / "toyplugin" / "__init__.py").write_text(
        MODULE.format(
            best=server.serve("/best", server.answer(content)),
            lost=server.url("/lost"),
            digest=hashlib.sha256(content).hexdigest(),
            size=len(content),
        )
    )
    monkeypatch.syspath_prepend(site)
    monkeypatch.delitem(sys.modules, "toyplugin", raising=False)

    def invoke(*arguments: str | Path) -> Any:
        return CliRunner().invoke(weights, [str(argument) for argument in arguments])

    return invoke


def failure(result: Any, kind: type[SalcliError]) -> str:
    """The message of the error that the process would end with."""
    assert type(result.exception) is kind, result.output
    return str(result.exception)


def test_fetch_verify_path_remove(
    run: Run, server: Server, content: bytes, surroundings: Path
) -> None:
    place = surroundings / "weights" / "toy" / "best" / "best.pth"
    assert run("path", "toy").stdout == f"{place}\n"
    fetched = run("fetch", "toy")
    assert fetched.stdout == f"toy:best  {place}\n"
    assert fetched.stderr == "toy:best: downloading (0.3 MB)\n"
    assert run("fetch", "toy:best", "--offline").stderr == ""
    assert len(server.requests) == 1
    assert run("verify", "toy").stdout == f"toy:best  ok  {place}\n"
    place.write_bytes(content[::-1])
    checked = run("verify", "toy")
    assert checked.stdout == f"toy:best  damaged  {place}\n"
    assert "salcli weights fetch toy:best" in failure(checked, WeightsError)
    assert WeightsError.exit_code == 3
    assert run("remove", "toy").stdout == "toy:best  removed\n"
    assert run("remove", "toy").stdout == "toy:best  was not downloaded\n"
    assert run("verify", "toy").stdout == f"toy:best  not downloaded  {place}\n"


def test_list_shows_size_state_and_licence(run: Run) -> None:
    run("fetch", "toy:best")
    lines = [line.split() for line in run("list", "toy").stdout.splitlines()]
    assert lines[1] == ["toy:best", "0.3", "MB", "cached", "MIT"]
    assert lines[2] == ["toy:lost", "unknown", "not", "downloaded", "GPL-3"]
    assert lines[3] == ["toy:open", "0.3", "MB", "bundled", "MIT"]
    documents = json.loads(run("list", "toy:lost", "toy:open", "--json").stdout)
    assert [(each["tag"], each["state"]) for each in documents] == [
        ("lost", "not downloaded"),
        ("open", "bundled"),
    ]
    everything = json.loads(run("list", "--json").stdout)
    assert {each["tag"] for each in everything} >= {"best", "lost", "open"}


def test_a_file_without_a_name_is_told_and_the_others_go_on(run: Run) -> None:
    for command in (("list",), ("verify",), ("remove", "--all")):
        done = run(*command)
        assert done.exit_code == 0, done.output
        assert "warning: weights 'nameless:only'" in done.stderr
    assert "toy:best" in run("list").stdout
    assert "cannot be the name of a file" in failure(run("path", "nameless"), PluginError)


def test_one_failure_does_not_stop_the_others(run: Run) -> None:
    done = run("fetch", "toy:lost", "toy:best", "toy:open")
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["toy:best", "toy:open"]
    assert "the server answered 404" in failure(done, WeightsError)


def test_verify_without_names_looks_at_what_is_there(run: Run, surroundings: Path) -> None:
    run("fetch", "toy:best")
    (surroundings / "weights/toy/best/best.pth").write_bytes(b"rot")
    checked = run("verify", "--json")
    toys = [each for each in json.loads(checked.stdout) if each["model"] == "toy"]
    assert [(each["tag"], each["state"]) for each in toys] == [
        ("best", "damaged"),
        ("open", "bundled"),
    ]
    assert "has 3 bytes instead of 262,144" in failure(checked, WeightsError)


def test_import(run: Run, tmp_path: Path, content: bytes, surroundings: Path) -> None:
    mine = tmp_path / "mine.pth"
    mine.write_bytes(content[::-1])
    message = failure(run("import", mine, "--model", "toy:lost"), WeightsError)
    assert "nothing was imported" in message
    mine.write_bytes(content)
    place = surroundings / "weights" / "toy" / "lost" / "lost.pth"
    assert run("import", mine, "-m", "toy:lost").stdout == f"toy:lost  {place}\n"
    assert place.read_bytes() == content
    assert run("fetch", "toy:lost", "--offline").stdout == f"toy:lost  {place}\n"


def test_remove_all_keeps_what_ships(run: Run) -> None:
    run("fetch", "toy:best")
    assert run("remove", "--all").stdout == "toy:best  removed\n"


@pytest.mark.parametrize(
    ("arguments", "kind", "words"),
    [
        (["fetch"], UsageError, "or use --all"),
        (["fetch", "toy", "--all"], UsageError, "or use --all"),
        (["remove"], UsageError, "or use --all"),
        (["remove", "toy:open"], UsageError, "ship with their plugin"),
        (["path", "bare"], UsageError, "no published weights"),
        (["fetch", "tpy"], UnknownName, "did you mean toy"),
        (["list", "toy:bset"], UnknownName, "did you mean best"),
        (["fetch", "toy", "--offline"], WeightsError, "switched off"),
    ],
)
def test_wrong_use(run: Run, arguments: list[str], kind: type[SalcliError], words: str) -> None:
    assert words in failure(run(*arguments), kind)
