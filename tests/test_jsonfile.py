"""JSON of a known shape is read as that, or refused with the place where it differs."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, NotRequired, TypedDict

import pytest
from msgspec import Meta

from salcli.errors import InputError
from salcli.files.jsonfile import parse_json, read_json


class Row(TypedDict):
    name: str
    kind: Literal["clip", "stills"]
    frames: Annotated[int, Meta(ge=0)]
    seconds: float | None
    labels: list[str]
    note: NotRequired[Any]


ROW: dict[str, Any] = {"name": "a", "kind": "clip", "frames": 1, "seconds": 2.5, "labels": ["x"]}


@dataclass(frozen=True)
class Point:
    x: int


def test_a_value_of_the_shape_is_read() -> None:
    assert parse_json(json.dumps(ROW), Row) == ROW
    assert parse_json(json.dumps({**ROW, "later": 1, "note": [{}]}).encode(), Row) == {
        **ROW,
        "note": [{}],
    }
    assert parse_json('{"x": 3}', Point) == Point(3)
    assert parse_json('["a", 1, 2]', tuple[str, int, int]) == ("a", 1, 2)


@pytest.mark.parametrize(
    ("wrong", "place"),
    [
        ({"name": 1}, "$.name"),
        ({"kind": ["clip"]}, "$.kind"),
        ({"frames": -1}, "$.frames"),
        ({"frames": True}, "$.frames"),
        ({"seconds": 10**400}, "$.seconds"),
        ({"labels": ["x", None]}, "$.labels[1]"),
    ],
)
def test_another_shape_is_refused_with_its_place(wrong: dict[str, Any], place: str) -> None:
    with pytest.raises(ValueError, match=r"Expected|out of range") as caught:
        parse_json(json.dumps({**ROW, **wrong}), Row)

    assert place in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"\xff", b"[" * 100_000 + b"]" * 100_000, b"9" * 5_000, b'{"name": "a"}'],
    ids=["nothing", "cut", "no text", "deep", "long number", "keys missing"],
)
def test_a_damaged_file_is_an_input_error(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(content)

    with pytest.raises(InputError, match=r"a\.json' is damaged, or not of salcli: "):
        read_json(tmp_path / "a.json", Row)


def test_a_file_that_is_not_there_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read: No such file"):
        read_json(tmp_path / "a.json", Row)
