"""Options of a model from the command line, and lazy imports."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from salcli.errors import PluginError, UnknownName, UsageError
from salcli.specs import ModelSpec, option, parse_options, resolve


@dataclass(frozen=True)
class Options:
    gain: float = 1.0
    steps: int = 3
    smooth: bool = False
    mode: Literal["plain", "LAB"] = "plain"
    limit: int | None = None
    sizes: tuple[int, ...] = (1, 2)
    pair: tuple[int, int] = (0, 0)
    table: Path = Path("x")
    name: str = ""
    other_thing: list[int] | None = None
    share: float | None = option(None, "part of it", above=0, max=1)

    def __post_init__(self) -> None:
        if self.gain < 0:
            raise ValueError("gain must not be negative")


SPEC = ModelSpec("m", "summary", "a:b", options=Options)


@pytest.mark.parametrize(
    ("text", "field", "value"),
    [
        ("gain=2", "gain", 2.0),
        ("steps=-4", "steps", -4),
        ("smooth=Yes", "smooth", True),
        ("smooth=0", "smooth", False),
        ("mode=lab", "mode", "LAB"),
        ("limit=7", "limit", 7),
        ("limit=none", "limit", None),
        ("share=none", "share", None),
        ("share=1", "share", 1.0),
        ("sizes=3,4,5", "sizes", (3, 4, 5)),
        ("pair=3,4", "pair", (3, 4)),
        ("table=a/b=c", "table", Path("a/b=c")),
        ("name=", "name", ""),
        ("other-thing=none", "other_thing", None),
    ],
)
def test_texts_become_values(text: str, field: str, value: object) -> None:
    assert getattr(parse_options(SPEC, [text], defaults={}), field) == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("gain", "an option is key=value, not 'gain'"),
        ("=3", "an option is key=value, not '=3'"),
        ("gain=lots", "option gain=lots of model 'm': must be a number"),
        ("steps=1.5", "option steps=1.5 of model 'm': must be a whole number"),
        ("smooth=maybe", "option smooth=maybe of model 'm': must be true or false"),
        ("mode=RGB", "option mode=RGB of model 'm': must be one of plain, LAB"),
        ("sizes=1,x", "must be a whole number"),
        ("pair=1,2,3", "must be 2 comma-separated values"),
        ("share=0", "option share=0 of model 'm': must be above 0 and at most 1"),
        ("share=1.5", "must be above 0 and at most 1"),
        ("gain=-1", "model 'm': gain must not be negative"),
    ],
)
def test_what_does_not_fit_is_refused(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_options(SPEC, [text], defaults={})
    assert message in str(caught.value)


def test_unknown_options_offer_the_nearest() -> None:
    with pytest.raises(UnknownName, match="no option of model 'm' named 'gian'; did you mean gain"):
        parse_options(SPEC, ["gian=1"], defaults={})


def test_a_type_that_no_text_can_be_is_the_plugins_fault() -> None:
    with pytest.raises(PluginError, match="list"):
        parse_options(SPEC, ["other_thing=1"], defaults={})


def test_what_is_given_wins_over_defaults() -> None:
    parsed = parse_options(SPEC, ["gain=2"], defaults={"gain": 5.0, "steps": 9})
    assert (parsed.gain, parsed.steps, parsed.mode) == (2.0, 9, "plain")


def test_a_number_from_a_mapping_is_not_rounded() -> None:
    with pytest.raises(UsageError, match="whole number"):
        parse_options(SPEC, {"steps": 2.5}, defaults={})


@pytest.mark.parametrize(
    ("field", "value"),
    [("steps", float("inf")), ("gain", 10**400), ("sizes", 3), ("pair", {}), ("table", [])],
)
def test_values_of_a_file_that_do_not_fit_are_refused(field: str, value: object) -> None:
    with pytest.raises(UsageError, match=f"option {field}="):
        parse_options(SPEC, {}, defaults={field: value})


def test_a_model_without_options_refuses_all() -> None:
    plain = ModelSpec("m", "summary", "a:b")
    assert parse_options(plain, [], defaults={}) is None
    with pytest.raises(UsageError, match="has no options"):
        parse_options(plain, ["a=1"], defaults={})


@given(
    st.builds(
        Options,
        gain=st.floats(0, allow_infinity=False),
        steps=st.integers(),
        smooth=st.booleans(),
        limit=st.none() | st.integers(),
        sizes=st.lists(st.integers()).map(tuple),
        pair=st.tuples(st.integers(), st.integers()),
        other_thing=st.none(),
    )
)
def test_values_written_as_texts_come_back(options: Options) -> None:
    def text(value: object) -> str:
        return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)

    texts = [f"{f.name}={text(getattr(options, f.name))}" for f in fields(options)]
    assert parse_options(SPEC, texts, defaults={}) == options


@pytest.mark.parametrize("target", ["no.such:thing", "pathlib:Nothing", "not a module"])
def test_what_cannot_be_imported_is_named(target: str) -> None:
    with pytest.raises(PluginError, match=f"cannot import '{target}'"):
        resolve(target)
