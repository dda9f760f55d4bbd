"""Every installed model keeps the contract; every model that breaks it is caught."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from salcli.errors import PluginError
from salcli.plugins import registry
from salcli.testing import check_model

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
}

GOLDENS = Path(__file__).parents[1] / "goldens"

TRIALS: dict[str, dict[str, Any]] = {
    "mean-map": {"map": GOLDENS / "baselines" / "mean-map.npy"},
    "stsnet": {"input_size": (16, 20)},
    "tased": {"input_size": (32, 32)},
    # in the other mode, its kernels would be transformed anew for each of some forty stimuli
    "salema": {"input_size": (32, 32), "mode": "frames"},
    "tempsal": {"network": "slices", "input_size": 32},
}
"""Options that a model cannot do without, or that make a slow network small enough for a trial."""


@pytest.mark.parametrize("name", sorted(registry.models()))
def test_every_installed_model_keeps_the_contract(name: str) -> None:
    check_model(registry.model(name)[0], options=TRIALS.get(name, {}))


@pytest.mark.parametrize("name", ["brightness", "trail", "hungry"])
@pytest.mark.usefixtures("fakes")
def test_an_obedient_model_passes(name: str) -> None:
    check_model(registry.model(name)[0])


@pytest.mark.parametrize(("name", "law"), WRONG.items())
def test_a_model_that_breaks_a_law_is_caught(
    name: str, law: str, install_plugins: Callable[..., None], wrong_site: Path
) -> None:
    install_plugins(wrong_site)

    with pytest.raises(PluginError) as caught:
        check_model(registry.models()[name])

    assert str(caught.value).startswith(f"model '{name}' breaks the law '{law}': ")


def test_the_wrong_models_are_all_tried(
    install_plugins: Callable[..., None], wrong_site: Path
) -> None:
    before = set(registry.models())
    install_plugins(wrong_site)

    assert set(registry.models()) - before == set(WRONG)


def test_a_heavy_import_is_caught(
    install_plugins: Callable[..., None], make_site: Callable[..., Path]
) -> None:
    install_plugins(make_site("salcli_heavy"))

    with pytest.raises(PluginError, match="'light import': importing 'salcli_heavy' imports numpy"):
        check_model(registry.models()["heavy"])
