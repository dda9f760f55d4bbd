"""The tree of errors and its exit codes."""

import pytest

from salcli import errors


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("SalcliError", 1),
        ("InputError", 1),
        ("OutputError", 1),
        ("UsageError", 2),
        ("UnknownName", 2),
        ("WeightsError", 3),
        ("PluginError", 4),
    ],
)
def test_exit_codes(name: str, code: int) -> None:
    assert getattr(errors, name).exit_code == code
    assert issubclass(getattr(errors, name), errors.SalcliError)
    assert name in errors.__all__


def test_the_tree_is_drawn_as_it_is() -> None:
    for name in errors.__all__:
        assert name in (errors.__doc__ or "")


def test_unknown_names() -> None:
    assert str(errors.UnknownName("model", "abd", ["abc", "xyz"])) == (
        "no model named 'abd'; did you mean abc?"
    )
    assert str(errors.UnknownName("model", "q", ["b", "a"], remedy="(see there)")) == (
        "no model named 'q'; known: a, b (see there)"
    )
    assert str(errors.UnknownName("model", "q", [])) == "no model named 'q'; none are installed"
