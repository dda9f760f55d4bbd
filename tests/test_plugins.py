"""Plugins: loading one by one, broken ones stay visible, nobody harms anybody else."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from salcli.errors import PluginError, UnknownName
from salcli.loading import load_model
from salcli.plugins import loader, registry

Run = Callable[..., subprocess.CompletedProcess[str]]
Install = Callable[..., None]
Make = Callable[..., Path]


def errors() -> dict[str, str]:
    return {plugin.name: plugin.error for plugin in loader.load().broken()}


def test_an_installed_plugin_is_found_with_its_version(
    install_plugins: Install, fake_site: Path
) -> None:
    install_plugins(fake_site)

    (fake,) = [p for p in loader.load() if p.name == "fake"]
    assert (fake.distribution, fake.version, fake.error) == ("salcli-fake", "1.5", "")
    assert registry.provider("brightness") is fake


def test_a_plugin_that_cannot_be_imported_is_kept_with_its_error(
    install_plugins: Install, make_site: Make
) -> None:
    install_plugins(make_site("salcli_broken", "salcli_fake"))

    assert errors() == {"broken": "RuntimeError: this plugin needs a newer everything"}
    assert "brightness" in registry.models()
    with pytest.raises(UnknownName, match="salcli-broken: RuntimeError: this plugin needs"):
        registry.model("nothing")


def test_a_name_that_two_plugins_register_is_nobodys_and_names_both(
    install_plugins: Install, make_site: Make
) -> None:
    install_plugins(make_site("salcli_fake", "salcli_noisy"))

    assert "brightness" not in registry.models()
    assert {"trail", "noisy"} <= set(registry.models())
    both = "registered by 'salcli-fake' and 'salcli-noisy'; uninstall all but one"
    with pytest.raises(PluginError, match=both):
        registry.model("brightness")
    assert both in errors()["fake"]


def test_a_hook_that_raises_breaks_its_plugin_only(
    install_plugins: Install, make_site: Make
) -> None:
    install_plugins(make_site("salcli_noisy"))

    assert "folder" in registry.datasets()
    assert errors() == {"noisy": "register_datasets: ValueError: no datasets today"}
    assert registry.model("noisy")[0].summary == "works"


@pytest.mark.parametrize("problem", ["KeyboardInterrupt", "SystemExit(3)", "GeneratorExit('x')"])
def test_whatever_a_plugin_raises_at_import_breaks_it_only(
    install_plugins: Install, make_site: Make, problem: str
) -> None:
    site = make_site("salcli_broken", "salcli_fake")
    (site / "salcli_broken" / "__init__.py").write_text(f"raise {problem}")
    install_plugins(site)

    assert errors()["broken"].startswith(problem.partition("(")[0])
    assert "brightness" in registry.models()


def test_a_real_interrupt_ends_the_import_of_plugins(
    install_plugins: Install, make_site: Make
) -> None:
    site = make_site("salcli_broken")
    code = "import os, signal; os.kill(os.getpid(), signal.SIGINT)"
    (site / "salcli_broken" / "__init__.py").write_text(code)
    install_plugins(site)

    with pytest.raises(KeyboardInterrupt):
        loader.load()


def test_what_a_plugin_prints_or_answers_wrongly_is_its_own(
    install_plugins: Install, fake_site: Path, make_site: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    install_plugins(fake_site, make_site("salcli_rude"))

    assert {"rude", "brightness"} <= {*registry.models()}
    assert "folder" in registry.datasets()
    assert errors() == {"rude": "register_datasets: KeyboardInterrupt"}
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "thank you" in printed.err
    assert "here is my model" in printed.err
    model = load_model("brightness").model
    with pytest.raises(PluginError, match="plugin 'salcli-rude' gave str instead of a tensor"):
        model.preprocessed([np.zeros((4, 4, 3), np.uint8)])


def test_two_distributions_with_one_plugin_name(install_plugins: Install, make_site: Make) -> None:
    site = make_site("salcli_fake", ("salcli_noisy", "zz-copy", "fake"))
    install_plugins(site)

    assert "brightness" in registry.models()
    assert errors() == {
        "fake (zz-copy)": "its name is taken by a plugin of salcli-fake; uninstall one of them"
    }


def test_a_plugin_cannot_take_the_place_of_the_core(
    install_plugins: Install, make_site: Make
) -> None:
    install_plugins(make_site(("salcli_fake", "salcli-fake", "core")))

    assert "folder" in registry.datasets()
    assert list(errors()) == ["core (salcli-fake)"]


@pytest.mark.parametrize(
    ("source", "error"),
    [
        (
            "import salcli\n@salcli.hookimpl\ndef register_model(): ...",
            "unknown hook 'register_model'",
        ),
        ("import salcli\n@salcli.hookimpl\ndef fetch_weights(uri): ...", "uri"),
        ("import sys; sys.exit(3)", "SystemExit: 3"),
        ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("def f(:", "SyntaxError"),
    ],
)
def test_all_that_a_plugin_can_do_wrong(
    install_plugins: Install, make_site: Make, source: str, error: str
) -> None:
    site = make_site("salcli_fake")
    name = f"guest_{abs(hash(source))}"
    (site / f"{name}.py").write_text(source)
    folder = site / f"{name}-2.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 2\n")
    (folder / "entry_points.txt").write_text(f"[salcli]\nguest = {name}\n")
    install_plugins(site)

    assert error in errors()["guest"]
    assert "brightness" in registry.models()


def test_commands_of_plugins(salcli: Run) -> None:
    assert salcli("fake", "greet").stdout == "hello from the fake\n"
    assert "fake" in salcli("--help").stdout


def test_a_plugin_cannot_replace_a_command(
    salcli: Run, install_plugins: Install, make_site: Make
) -> None:
    install_plugins(make_site("salcli_noisy"))

    run = salcli("plugins", "--json")
    (noisy,) = [p for p in json.loads(run.stdout) if p["name"] == "noisy"]
    assert "predict" in salcli("predict", "--help").stdout
    assert "INPUT" in salcli("predict", "--help").stdout
    assert noisy["error"]


def test_the_list_of_plugins(salcli: Run, install_plugins: Install, make_site: Make) -> None:
    install_plugins(make_site("salcli_broken"))

    run = salcli("plugins")
    assert run.returncode == 0
    lines = [line.split() for line in run.stdout.splitlines()]
    assert ["broken", "salcli-broken", "1.5", "-"] in lines
    assert "RuntimeError: this plugin needs a newer everything" in run.stdout
    rows = {row["name"]: row for row in json.loads(salcli("plugins", "--json").stdout)}
    assert rows["fake"]["models"] == ["brightness", "trail", "hungry", "starving", "failing"]
