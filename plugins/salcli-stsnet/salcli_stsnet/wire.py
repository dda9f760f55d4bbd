"""Reads the wire format of protobuf in place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

__all__ = ["Damaged", "Field", "Span", "fields", "varint"]

VARINT, EIGHT_BYTES, LENGTH, FOUR_BYTES = 0, 1, 2, 5
"""Kinds of fields."""

Span: TypeAlias = tuple[int, int]
"""Start and end in a message."""


class Damaged(Exception):
    """A damaged message; the text completes a sentence that begins with the file's name."""


@dataclass(frozen=True)
class Field:
    """One field of a message.

    Attributes:
        number: Field number.
        kind: Wire type.
        span: Position of its content.
        value: Value of a `VARINT` field; else 0.
    """

    number: int
    kind: int
    span: Span
    value: int


def fields(data: memoryview, span: Span) -> Iterator[Field]:
    """The fields of a message, each validated to lie inside of it.

    Raises:
        Damaged: One does not, or its kind is unknown, such as obsolete groups.
    """
    place, end = span
    while place < end:
        tag, place = varint(data, place, end)
        number, kind = tag >> 3, tag & 7
        value, stop = 0, place
        if kind == VARINT:
            value, stop = varint(data, place, end)
        elif kind == LENGTH:
            length, place = varint(data, place, end)
            stop = place + length
        elif kind in (FOUR_BYTES, EIGHT_BYTES):
            stop = place + (4 if kind == FOUR_BYTES else 8)
        else:
            raise Damaged(f"byte {place} begins a field of the unknown kind {kind}")
        if number == 0:
            raise Damaged(f"byte {place} begins a field without a number")
        if stop > end:
            raise Damaged(f"the field at byte {place} ends {stop - end} bytes too late")
        yield Field(number, kind, (place, stop), value)
        place = stop


def varint(data: memoryview, place: int, end: int) -> tuple[int, int]:
    """A number in groups of seven bits, the lowest first, and the place after it.

    Raises:
        Damaged: It does not end in time.
    """
    value = 0
    for shift in range(0, 70, 7):
        if place >= end:
            raise Damaged(f"it breaks off at byte {place}")
        byte = data[place]
        place += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, place
    raise Damaged(f"the number before byte {place} is too long")
