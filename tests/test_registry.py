"""Names of models, tags and datasets."""

import pytest

from salcli import registry
from salcli.errors import UnknownName

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


def test_unknown_datasets() -> None:
    with pytest.raises(UnknownName, match="did you mean folder"):
        registry.dataset("foldr")


def test_names_for_completion() -> None:
    assert {"brightness", "unisal", "unisal:open"} <= set(registry.model_names())


def test_the_core_registers_metrics() -> None:
    assert {"CC", "NSS", "AUC-Judd", "SIM", "KLD"} <= set(registry.metrics())
