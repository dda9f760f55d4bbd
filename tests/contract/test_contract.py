"""Every model of the core keeps the contract; every model that breaks it is caught."""

import re
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
    "too-few": ("one valid map per frame", "there must be one map per frame"),
    "too-many": ("one valid map per frame", "there must be one map per frame"),
    "float64": ("one valid map per frame", r"not a float32 tensor \[h, w\]"),
    "three-dimensional": ("one valid map per frame", r"not a float32 tensor \[h, w\]"),
    "no-tensor": ("one valid map per frame", r"a ndarray .* not a float32 tensor \[h, w\]"),
    "out-of-range": ("one valid map per frame", r"values outside \[0, 1\]"),
    "negative": ("one valid map per frame", r"values outside \[0, 1\].*: -"),
    "infinite": ("one valid map per frame", r"values outside \[0, 1\].*: inf"),
    "not-a-number": ("one valid map per frame", r"values outside \[0, 1\].*: NaN"),
    "wrong-extra": ("one valid map per frame", "as early of frame 1, not a float32 tensor"),
    "no-prediction": ("one valid map per frame", "not a salcli.Prediction"),
    "no-generator": ("one valid map per frame", "'NoneType' object is not iterable"),
    "reversed-stills": ("in order", "yield maps in the order of the frames"),
    "reversed-clip": ("in order", "yield maps in the order of the frames"),
    "carrying": (
        "a still does not depend on its neighbours",
        "with path=recurrent, .* unless stimulus.is_clip, begin each frame with a new state",
    ),
    "leaking": ("no state between stimuli", "in local variables of predict"),
    "large-and-leaking": ("no state between stimuli", "in local variables of predict"),
    "buffering": ("nothing kept", "leave the network in evaluation mode"),
    "remembering": ("nothing kept", r"changes self\.newest; let it travel as a local variable"),
    "seeding": ("leaves no trace", "use a Generator of its own"),
    "drawing": ("leaves no trace", "use a Generator of its own"),
    "touching": ("leaves no trace", "change a copy"),
    "short-sighted": ("context", "more than the 0 frames before .* leave it out"),
    "eager": ("lazy", r"take a few at a time, as by batched\("),
    "batch-dependent": ("batch size changes nothing", "not over the batch"),
    "random": ("deterministic", "draw no random numbers"),
    "in-training": ("deterministic", "leave the network in evaluation mode"),
    "not-a-model": ("factory", "is not a salcli.authoring.Model"),
    "missing-factory": ("factory", "cannot import 'salcli_wrong.model:Nobody'"),
    "nothing-built": ("factory", r"build\(\) gave NoneType, not a torch.nn.Module"),
    "no-file": ("factory", "exists only as a weights file; name one"),
    "Bad Name": ("description", "a name is lower case letters, digits"),
    "no-summary": ("description", "the summary is one line"),
    "two-lines": ("description", "the summary is one line"),
    "takes-nothing": ("description", "it accepts 'stills', 'clips' or both"),
    "takes-sound": ("description", "it accepts 'stills', 'clips' or both"),
    "no-defaults": ("options", r"no default; write it as salcli.option\(default, help\)"),
    "no-help": ("options", r"no help; write it as salcli.option\(default, help\)"),
    "mistyped": ("options", "size=large .* must be a whole number"),
    "not-frozen": ("options", r"write @dataclass\(frozen=True\) above it"),
    "unknown-option": ("options", "remove colour="),
    "same-tag": ("weights", "rename one"),
    "bad-tag": ("weights", "a tag is lower case letters, digits"),
    "no-hash": ("weights", "needs a hash .* see sha256sum"),
    "bad-hash": ("weights", "no hash such as sha256:"),
    "no-source": ("weights", "it needs URLs, or a resource inside the plugin"),
    "no-file-name": ("weights", "set filename="),
    "no-resource": ("weights", "add the file to the wheel"),
    "no-licence": ("licence", "set licence= to"),
    "no-weights-licence": ("licence", "set licence= to"),
    "hidden-layers": ("registered layers", "use nn.ModuleList"),
    "past-the-hook": ("input through the hook", r"self.inputs\(frames\) asks the hook"),
    "elsewhere": ("one device", "make tensors with device=self.device"),
    "stranded": ("one device", "make tensors with device=self.device"),
    "stranded-chunks": ("one device", "make tensors with device=self.device"),
    "only-float32": ("precisions", "set precisions= to those that the network can run in"),
    "unhappy-recipe": ("training", r"write losses\(batch\)"),
    "unnamed-loss": ("training", "the recipe weighs the losses kld, but the model gives klk"),
    "failing-loss": ("training", "recipe 'main', stills: model 'failing-loss' failed"),
    "failing-clips": ("training", "recipe 'main', clips of 3 frames: model 'failing-clips' failed"),
    "many-losses": ("training", "no finite scalar with a gradient; take means"),
    "cut-off": ("training", "no parameter gets a gradient; does something cut it off"),
    "endless-gradient": ("training", "is not finite; is there a root or logarithm of 0"),
    "unknown-optimiser": ("training", "cannot import 'adman'"),
    "misspelt-groups": (
        "training",
        "prefix='encodre.*its names are those of the network, such as 'weight'",
    ),
}
"""Of each model, the law that it breaks, and words of the remedy."""

RIGHT = ("far-reaching", "far-sighted", "fixed", "flat")
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


@pytest.mark.parametrize(("name", "law", "remedy"), [(n, *told) for n, told in WRONG.items()])
def test_a_model_that_breaks_a_law_is_caught_and_the_remedy_named(
    name: str, law: str, remedy: str, install_plugins: Callable[..., None], wrong_site: Path
) -> None:
    install_plugins(wrong_site)

    with pytest.raises(PluginError) as caught:
        check_model(registry.models()[name])

    how = str(caught.value).removeprefix(f"model '{name}' breaks the law '{law}': ")
    assert how != str(caught.value)
    assert re.search(remedy, how)


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
