"""Plugins: loading one by one, broken ones stay visible, nobody harms anybody else."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from salcli.errors import PluginError, UnknownName
from salcli.models.loading import load_model
from salcli.plugins import loader, registry
from salcli.types import Frame

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

    # what a shell starts in the background ignores it, and so would this
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            loader.load()
    finally:
        signal.signal(signal.SIGINT, before)


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


@pytest.mark.parametrize("command", ["predict", "score"])
def test_what_a_model_prints_is_apart_from_results(
    salcli: Run, miniature: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    load_model("brightness")
    from salcli_fake.model import Brightness

    preprocess = Brightness.preprocess

    def chatty(self: Brightness, frames: Sequence[Frame]) -> torch.Tensor:
        print("look at me")
        return preprocess(self, frames)

    monkeypatch.setattr(Brightness, "preprocess", chatty)
    root = miniature("osie")
    words = {
        "predict": [min((root / "images").iterdir())],
        "score": ["--data", "osie", "--root", root, "--metrics", "CC", "--baselines", "none"],
    }

    run = salcli(command, *words[command], "-m", "brightness", "--json")

    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout)
    assert "look at me" in run.stderr


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
        (
            "def register_models(): ...",
            "register_models is not marked; write @salcli.hookimpl above it",
        ),
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


@pytest.mark.parametrize(
    ("needs", "error"),
    [
        ("salcli>=9", "it needs salcli >=9, and this is"),
        ("salcli (<0.0.1)", "it needs salcli <0.0.1, and this is"),
        ("Salcli[testing] >=0.1,<0.1.1.dev0", ""),
        ("salcli-other>=9", ""),
        ("salcli>=9; extra == 'next'", ""),
    ],
)
def test_a_plugin_for_another_version_of_salcli_is_told_so(
    install_plugins: Install, make_site: Make, needs: str, error: str
) -> None:
    site = make_site("salcli_fake")
    metadata = site / "salcli_fake-1.5.dist-info" / "METADATA"
    metadata.write_text(f"{metadata.read_text()}Requires-Dist: {needs}\n")
    install_plugins(site)

    assert ("brightness" in registry.models()) is not bool(error)
    assert errors().get("fake", "")[: len(error)] == error
    if error:
        with pytest.raises(UnknownName, match=r"it needs salcli .* fit each other"):
            registry.model("brightness")


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


def test_a_command_that_typer_cannot_make_is_left_out(
    salcli: Run, install_plugins: Install, make_site: Make
) -> None:
    install_plugins(make_site("salcli_fake", "salcli_rude"))

    shown = salcli("--help").stdout
    assert "fake" in shown
    assert "twice" not in shown
    assert "No such command 'twice'" in salcli("twice").stderr
    assert "multiple `Annotated` Typer arguments for 'word'" in errors()["rude"]


def test_the_list_of_plugins(salcli: Run, install_plugins: Install, make_site: Make) -> None:
    install_plugins(make_site("salcli_broken"))

    run = salcli("plugins")
    assert run.returncode == 0
    lines = [line.split() for line in run.stdout.splitlines()]
    assert ["broken", "salcli-broken", "1.5", "not", "stated", "-", "-"] in lines
    assert ["fake", "salcli-fake", "1.5", "not", "stated", "models", "commands"] in [
        line[:7] for line in lines
    ]
    assert "RuntimeError: this plugin needs a newer everything" in run.stdout
    rows = {row["name"]: row for row in json.loads(salcli("plugins", "--json").stdout)}
    models = ["mortal", "brightness", "trail", "hungry", "starving", "failing"]
    assert rows["fake"]["models"] == models


def test_a_plugin_is_shown_with_all_that_it_brings_and_may_change(
    salcli: Run, install_plugins: Install, make_site: Make
) -> None:
    install_plugins(make_site("salcli_hooked", "salcli_around"))

    shown = salcli("plugins", "show", "fake").stdout
    assert "salcli-fake 1.5" in shown
    assert "brightness, trail" in shown
    assert "the commands of salcli" in shown
    assert "MIT" in shown
    hooked = json.loads(salcli("plugins", "show", "hooked", "--json").stdout)
    assert hooked["may_change"] == ["every prediction", "the input of every network"]
    around = json.loads(salcli("plugins", "show", "around", "--json").stdout)
    assert around["filters"] == ["dim", "odd", "late", "first", "bright"]
    assert around["may_change"] == []
    assert "no plugin named 'nobody'" in salcli("plugins", "show", "nobody").stderr


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("", "it implements no hook"),
        (
            "import salcli\n@salcli.hookimpl\ndef register_models(): return []",
            "it registers nothing; register_models gave nothing",
        ),
    ],
)
def test_a_plugin_that_does_nothing_is_named(
    salcli: Run,
    install_plugins: Install,
    make_site: Make,
    monkeypatch: pytest.MonkeyPatch,
    source: str,
    text: str,
) -> None:
    site = make_site("salcli_hooked")
    (site / "salcli_hooked" / "__init__.py").write_text(source)
    monkeypatch.delitem(sys.modules, "salcli_hooked", raising=False)
    install_plugins(site)

    assert f"idle: hooked (salcli-hooked): {text}" in salcli("plugins").stdout
    sys.modules.pop("salcli_hooked", None)


def test_a_plugin_can_be_disabled_and_enabled(
    salcli: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, install_plugins: Install
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    assert salcli("plugins", "disable", "fake").returncode == 0
    install_plugins()
    assert "not loaded: fake (salcli-fake): disabled" in salcli("plugins").stdout
    assert "brightness" not in registry.models()
    assert salcli("plugins", "enable", "fake").returncode == 0
    install_plugins()
    assert "brightness" in registry.models()
    assert salcli("plugins", "disable", "core").returncode == 2


def test_the_environment_chooses_plugins(
    salcli: Run, monkeypatch: pytest.MonkeyPatch, install_plugins: Install
) -> None:
    for wanted, there in (("fake, other", True), ("other", False), ("", False)):
        monkeypatch.setenv("SALCLI_PLUGINS", wanted)
        install_plugins()
        assert ("brightness" in registry.models()) == there
        assert "centre" in registry.models()


def test_check_prints_each_law_with_its_verdict(
    salcli: Run, install_plugins: Install, make_site: Make
) -> None:
    site = make_site("salcli_around", "salcli_metric", "salcli_dataset")
    install_plugins(site)

    done = salcli("plugins", "check", "around")
    assert done.returncode == 4
    kept = "filter 'dim': One map in [0, 1] for each frame, of stills and clips."
    assert f"kept    {kept}" in done.stdout
    assert f"BROKEN  {kept.replace('dim', 'late')}" in done.stdout
    assert "salcli: around: filter 'late' failed: KeyError: 'second frame'" in done.stderr
    assert salcli("plugins", "check", "metric").returncode == 0, "peak"


@pytest.mark.parametrize(
    ("kind", "backbone"),
    [
        *((kind, "none") for kind in ("image", "video", "filter", "dataset", "metric")),
        pytest.param("image", "resnet18", marks=pytest.mark.endurance),
    ],
)
def test_a_new_plugin_passes_at_once(
    kind: str, backbone: str, salcli: Run, tmp_path: Path, install_plugins: Install
) -> None:
    begun = salcli("plugins", "new", "demo", "--kind", kind, "--backbone", backbone)
    assert begun.returncode == 0, begun.stderr
    information = tmp_path / "demo" / "salcli_demo-0.1.dist-info"
    information.mkdir()
    (information / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: salcli-demo\nVersion: 0.1\n"
    )
    (information / "entry_points.txt").write_text("[salcli]\ndemo = salcli_demo\n")
    install_plugins(tmp_path / "demo")

    done = salcli("plugins", "check", "demo")
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) >= 3
    assert "is there already" in salcli("plugins", "new", "demo").stderr


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("Demo",), "'Demo' is no name of a plugin"),
        (("demo", "--kind", "video", "--backbone", "resnet18"), "a backbone belongs to"),
    ],
)
def test_a_new_plugin_that_makes_no_sense_is_refused(
    words: tuple[str, ...], text: str, salcli: Run, tmp_path: Path
) -> None:
    done = salcli("plugins", "new", *words)
    assert done.returncode == 2
    assert text in done.stderr
    assert not list(tmp_path.glob("[dD]emo"))


@pytest.mark.endurance
def test_a_new_plugin_works_in_a_fresh_environment(fresh_shell: Run, tmp_path: Path) -> None:
    Image.new("RGB", (64, 48), "white").save(tmp_path / "photo.jpg")

    done = fresh_shell(
        "salcli plugins new demo && pip install -e demo && salcli plugins check demo "
        "&& salcli predict photo.jpg --model demo",
        SALCLI_PLUGINS="demo",
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "kept    model 'demo': Each recipe takes stills and clips" in done.stdout
    assert "BROKEN" not in done.stdout
    assert (tmp_path / "saliency" / "photo.png").is_file()
