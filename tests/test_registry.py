"""Names of models, tags and datasets."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from salcli.errors import UnknownName
from salcli.plugins import loader, registry

Run = Callable[..., subprocess.CompletedProcess[str]]
PLUGINS = Path(__file__).parents[1] / "plugins"

pytestmark = pytest.mark.usefixtures("fakes")


def test_a_bare_name_means_the_first_row() -> None:
    spec, row = registry.model("unisal")
    assert row is spec.weights[0]
    assert registry.model("unisal:open")[1].tag == "open"
    assert registry.model("brightness")[1] is None


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("brightnes", "no model named 'brightnes'; did you mean brightness? (see 'salcli models')"),
        ("unisal:opne", "no weights tag of model 'unisal' named 'opne'; did you mean open?"),
        ("unisal:", "no weights tag of model 'unisal' named ''"),
    ],
)
def test_unknown_names_offer_the_nearest(name: str, text: str) -> None:
    with pytest.raises(UnknownName) as caught:
        registry.model(name)
    assert str(caught.value).startswith(text)


def test_a_model_that_is_not_installed_says_what_installs_it(
    monkeypatch: pytest.MonkeyPatch, install_plugins: Callable[..., None], salcli: Run
) -> None:
    monkeypatch.setattr(loader, "entry_points", lambda group: [])
    install_plugins()

    for distribution in (each for each, names in registry.OWN_PLUGINS.items() if names):
        name = distribution.removeprefix("salcli-")
        with pytest.raises(UnknownName, match=f"; 'pip install {distribution}' brings it"):
            registry.model(name)
    with pytest.raises(UnknownName, match="'pip install salcli-salema' brings it"):
        registry.protocol("salema-area")
    assert salcli("predict", "photo.jpg").stderr.endswith("'pip install salcli-unisal' brings it\n")
    default = "default: unisal:open, which is not installed (pip install salcli-unisal); "
    assert default in salcli("models").stdout
    told = "default model          unisal:open is not installed (pip install salcli-unisal)"
    found = salcli("doctor")
    assert told in found.stdout.splitlines()
    assert found.returncode == 1
    assert "problem: no model is installed, only baselines; to install one" in found.stdout


def test_own_plugins_are_those_of_this_repository() -> None:
    folders = {path.parent.name for path in PLUGINS.glob("*/pyproject.toml")}
    assert folders == registry.OWN_PLUGINS.keys()
    named = {name: registry.provider(name).distribution for name in registry.models()}
    own = {name: found for name, found in named.items() if found in registry.OWN_PLUGINS}
    expected = {name: found for found, names in registry.OWN_PLUGINS.items() for name in names}
    assert own.items() <= expected.items()
    assert expected.keys() - own.keys() == {"salema-area"}  # a protocol alone


def test_protocols_are_registered_like_models() -> None:
    assert list(registry.protocols())[:4] == ["mit", "dhf1k", "tuebingen", "ntire"]
    assert registry.protocol("unisal").protocol == "salcli_unisal.protocol:UNISAL"
    with pytest.raises(UnknownName, match="no protocol named 'dhf1'; did you mean dhf1k"):
        registry.protocol("dhf1")


def test_unknown_datasets() -> None:
    with pytest.raises(UnknownName, match="did you mean folder"):
        registry.dataset("foldr")


def test_names_for_completion() -> None:
    assert {"brightness", "unisal", "unisal:open"} <= set(registry.model_names())


def test_the_core_registers_metrics() -> None:
    assert {"CC", "NSS", "AUC-Judd", "SIM", "KLD"} <= set(registry.metrics())


@pytest.mark.parametrize(
    ("marker", "expected"),
    [
        ("pipx_metadata.json", "pipx inject salcli salcli-unisal mine"),
        ("uv-receipt.toml", "uv pip install --python {python} salcli-unisal mine"),
    ],
)
def test_plugins_are_installed_into_the_environment_that_runs(
    salcli: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, marker: str, expected: str
) -> None:
    (tmp_path / "salcli").mkdir()
    (tmp_path / "salcli" / marker).write_text("")
    (tmp_path / "bin").mkdir()
    for name in ("uv", "pipx"):
        program = tmp_path / "bin" / name
        program.write_text(f'#!/bin/sh\necho {name} "$@" > {tmp_path}/ran\n')
        program.chmod(0o755)
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "salcli"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))

    run = salcli("plugins", "install", "unisal", "mine")

    command = expected.format(python=sys.executable)
    assert (run.returncode, run.stderr) == (0, command + "\n")
    assert (tmp_path / "ran").read_text() == command + "\n"


def test_an_installation_that_fails_is_told(
    salcli: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "uv-receipt.toml").write_text("")
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    run = salcli("plugins", "install", "unisal")
    assert run.returncode == 2
    assert "there is neither pip nor uv" in run.stderr
    (tmp_path / "uv").write_text("#!/bin/sh\nexit 3\n")
    (tmp_path / "uv").chmod(0o755)
    run = salcli("plugins", "install", "unisal")
    assert run.returncode == 1
    assert "'uv' could not install it (exit code 3)" in run.stderr
