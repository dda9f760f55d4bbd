"""Every model of the core keeps the contract; every model that breaks it is caught."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from salcli import ModelSpec, option
from salcli.errors import PluginError, UsageError
from salcli.models.loading import create, load_model
from salcli.plugins import registry
from salcli.specs import parse_options
from salcli.testing import check_model
from salcli.testing.contract import _fingerprint
from salcli.testing.description import has_options

WRONG = {
    "too-few": "one valid map per frame",
    "too-many": "one valid map per frame",
    "float64": "one valid map per frame",
    "three-dimensional": "one valid map per frame",
    "out-of-range": "one valid map per frame",
    "not-a-number": "one valid map per frame",
    "wrong-extra": "one valid map per frame",
    "no-prediction": "one valid map per frame",
    "reversed-stills": "in order",
    "reversed-clip": "in order",
    "carrying": "a still does not depend on its neighbours",
    "leaking": "no state between stimuli",
    "buffering": "nothing kept",
    "remembering": "nothing kept",
    "eager": "lazy",
    "batch-dependent": "batch size changes nothing",
    "random": "deterministic",
    "not-a-model": "factory",
    "missing-factory": "factory",
    "unhappy-recipe": "training",
    "Bad Name": "description",
    "no-summary": "description",
    "takes-nothing": "description",
    "no-defaults": "options",
    "not-frozen": "options",
    "unknown-option": "options",
    "same-tag": "weights",
    "no-hash": "weights",
    "bad-hash": "weights",
    "no-source": "weights",
    "no-file-name": "weights",
    "no-resource": "weights",
    "no-licence": "licence",
    "no-weights-licence": "licence",
    "unnamed-loss": "training",
    "failing-loss": "training",
    "hidden-layers": "registered layers",
    "past-the-hook": "input through the hook",
    "elsewhere": "one device",
    "failing-clips": "training",
    "cut-off": "training",
    "endless-gradient": "training",
    "only-float32": "precisions",
    "large-and-leaking": "no state between stimuli",
    "no-file": "factory",
}

RIGHT = ("far-sighted", "fixed", "flat")
"""Models that look as if they broke a law."""

MAP = Path(__file__).parents[1] / "goldens" / "baselines" / "mean-map.npy"


@pytest.mark.parametrize(
    ("name", "options"), [("centre", {}), ("mean-map", {"map": MAP}), ("spectral-residual", {})]
)
def test_every_model_of_the_core_keeps_the_contract(name: str, options: dict[str, Any]) -> None:
    check_model(name, options=options)


def test_every_model_of_the_core_is_tried() -> None:
    own = {name for name in registry.models() if registry.provider(name).name == "core"}
    assert own == {"centre", "mean-map", "spectral-residual"}


@pytest.mark.parametrize("name", ["brightness", "trail", "hungry"])
@pytest.mark.usefixtures("fakes")
def test_an_obedient_model_passes(name: str) -> None:
    check_model(name)


@pytest.mark.parametrize(("name", "law"), WRONG.items())
def test_a_model_that_breaks_a_law_is_caught(
    name: str, law: str, install_plugins: Callable[..., None], wrong_site: Path
) -> None:
    install_plugins(wrong_site)

    with pytest.raises(PluginError) as caught:
        check_model(registry.models()[name])

    assert str(caught.value).startswith(f"model '{name}' breaks the law '{law}': ")


def test_the_remedy_for_a_state_between_stills_is_named(
    install_plugins: Callable[..., None], wrong_site: Path
) -> None:
    install_plugins(wrong_site)

    with pytest.raises(PluginError, match="with path=recurrent, the map of a still") as caught:
        check_model("carrying")

    assert "unless stimulus.is_clip, begin each frame with a new state" in str(caught.value)


def test_the_wrong_models_are_all_tried(
    install_plugins: Callable[..., None], wrong_site: Path
) -> None:
    before = set(registry.models())
    install_plugins(wrong_site)

    assert set(registry.models()) - before == {*WRONG, *RIGHT}


@pytest.mark.parametrize("name", RIGHT)
def test_a_model_that_only_looks_wrong_passes(
    name: str, install_plugins: Callable[..., None], wrong_site: Path
) -> None:
    install_plugins(wrong_site)

    check_model(name)


def test_a_large_input_is_shrunk_for_most_laws(
    install_plugins: Callable[..., None], wrong_site: Path
) -> None:
    install_plugins(wrong_site)
    from salcli_wrong.model import FarSighted

    FarSighted.seen.clear()
    check_model("far-sighted")

    assert FarSighted.seen == {(160, 320), (32, 64)}


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("failing-clips", "recipe 'main', clips of 3 frames: model 'failing-clips' failed"),
        ("cut-off", "no parameter gets a gradient; does something cut it off"),
        ("endless-gradient", "the gradient of '(weight|bias)' is not finite"),
        ("only-float32", "set precisions= to those that the network can run in"),
        ("no-file", "exists only as a weights file; name one"),
    ],
)
def test_the_remedy_is_named(
    name: str, words: str, install_plugins: Callable[..., None], wrong_site: Path
) -> None:
    install_plugins(wrong_site)

    with pytest.raises(PluginError, match=words):
        check_model(name)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_a_network_that_exists_only_as_a_file_is_tried(
    install_plugins: Callable[..., None], wrong_site: Path, tmp_path: Path
) -> None:
    install_plugins(wrong_site)
    network = torch.nn.Conv2d(3, 1, 1)
    torch.jit.save(torch.jit.script(network), tmp_path / "network.pt")
    (tmp_path / "other.pt").write_bytes(b"no network")

    check_model("no-file", weights=tmp_path / "network.pt")
    with pytest.raises(PluginError, match=r"model 'no-file' cannot open '.*other.pt'"):
        check_model("no-file", weights=tmp_path / "other.pt")
    with pytest.raises(UsageError, match="exists only as a weights file"):
        load_model("no-file", untrained=True)


@pytest.mark.usefixtures("fakes")
def test_a_precision_that_a_network_cannot_run_in_is_refused(
    install_plugins: Callable[..., None], wrong_site: Path
) -> None:
    install_plugins(wrong_site)

    with pytest.raises(UsageError, match="'flat' runs in float32, not in bfloat16"):
        load_model("flat", precision="bfloat16", untrained=True)


def test_a_heavy_import_is_caught(
    install_plugins: Callable[..., None], make_site: Callable[..., Path]
) -> None:
    install_plugins(make_site("salcli_heavy"))

    with pytest.raises(PluginError, match=r"'light import': importing 'salcli_heavy' .* numpy;"):
        check_model(registry.models()["heavy"])


def test_a_heavy_import_in_a_hook_is_caught(
    install_plugins: Callable[..., None], make_site: Callable[..., Path]
) -> None:
    site = make_site("salcli_heavy")
    module = site / "salcli_heavy" / "__init__.py"
    late = "    import numpy as np\n\n    yield"
    text = module.read_text().replace("import numpy as np\n", "").replace("    yield", late)
    module.write_text(text)
    install_plugins(site)

    with pytest.raises(PluginError, match=r"'light import': .*asking its hooks imports numpy"):
        check_model("heavy")


def test_an_empty_tuple_may_be_a_default() -> None:
    @dataclass(frozen=True)
    class Options:
        layers: tuple[str, ...] = option((), "names of layers")

    spec = ModelSpec("m", "a model", "nowhere:Model", options=Options)
    has_options(spec)
    assert parse_options(spec, ["layers="], defaults={}) == Options()


@pytest.mark.usefixtures("fakes")
def test_a_model_can_be_tried_with_its_weights(tmp_path: Path) -> None:
    network = create("brightness", defaults={}).network
    torch.save(network.state_dict(), tmp_path / "grey.pt")
    torch.save({"other.weight": torch.zeros(1)}, tmp_path / "other.pt")

    check_model("brightness", weights=tmp_path / "grey.pt")
    with pytest.raises(PluginError, match="'factory'"):
        check_model("brightness", weights=tmp_path / "other.pt")


def test_what_is_made_anew_at_each_look_is_seen_anew() -> None:
    """Python gives the id of an object that is gone to the next one."""

    class Fresh(Mapping[int, list[int]]):
        def __getitem__(self, key: int) -> list[int]:
            return [key]

        def __iter__(self) -> Iterator[int]:
            return iter(range(5))

        def __len__(self) -> int:
            return 5

    assert _fingerprint(Fresh(), {}) == {str(n): [n] for n in range(5)}
