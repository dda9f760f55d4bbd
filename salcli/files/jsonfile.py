"""Reads JSON whose shape is known: records, journals and reports that salcli itself wrote.

They are input like any other: somebody may have edited, truncated or invented them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeVar

from salcli.errors import InputError

__all__ = ["parse_json", "read_json", "shaped"]

T = TypeVar("T")


def shaped(value: Any, shape: type[T]) -> T:
    """A value as JSON has it, if it has this shape.

    Args:
        value: Of dictionaries, lists, texts, numbers, truth values and `None`.
        shape: A dataclass or `TypedDict` (keys that it does not name are left out), `list[str]`,
            `dict[str, Any]`; limits as in `Annotated[int, msgspec.Meta(ge=0)]`. Nothing is
            converted, except whole numbers to floats and lists to tuples.

    Raises:
        ValueError: It has another one; the message says where.
    """
    import msgspec

    try:
        return msgspec.convert(value, shape)
    except (msgspec.ValidationError, OverflowError, RecursionError) as error:
        raise ValueError(str(error)) from error


def parse_json(text: str | bytes, shape: type[T]) -> T:
    """The value of a JSON text, bytes as UTF-8, if it has this shape; see `shaped`.

    Raises:
        ValueError: It is not JSON, or of another shape; the message says where.
    """
    try:
        value = json.loads(text if isinstance(text, str) else text.decode("utf-8"))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    return shaped(value, shape)


def read_json(path: Path, shape: type[T]) -> T:
    """The value of a JSON file, if it has this shape; see `parse_json`.

    Raises:
        InputError: It is missing, cannot be read, is not JSON, or of another shape.
    """
    try:
        return parse_json(path.read_bytes(), shape)
    except OSError as error:
        raise InputError(f"'{path}' cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise InputError(f"'{path}' is damaged, or not of salcli: {error}") from error
