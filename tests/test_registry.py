"""Names of models, tags and datasets."""

import subprocess
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

    for distribution in registry.OWN_PLUGINS:
        name = distribution.removeprefix("salcli-")
        with pytest.raises(UnknownName, match=f"; 'pip install {distribution}' brings it"):
            registry.model(name)
    with pytest.raises(UnknownName, match="'pip install salcli-salema' brings it"):
        registry.protocol("salema-area")
    assert salcli("predict", "photo.jpg").stderr.endswith("'pip install salcli-unisal' brings it\n")
    default = "default: unisal:open, which is not installed (pip install salcli-unisal); "
    assert default in salcli("models").stdout
    told = "default model          unisal:open is not installed (pip install salcli-unisal)"
    assert told in salcli("doctor").stdout.splitlines()


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
