"""Checks the structure of a MATLAB 5 file, since scipy's reader trusts it.

scipy crashes at an unknown type of numbers, and makes cell and struct arrays with all the elements
that they declare before it reads one.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["check"]

HEADER = 128
NUMBERS = frozenset({1, 2, 3, 4, 5, 6, 7, 9, 12, 13})
TEXTS = frozenset({1, 2, 3, 4, 16, 17, 18})
MATRIX, COMPRESSED = 14, 15
"""Types of data elements."""

CELL, STRUCT, OBJECT, CHARACTERS, SPARSE = 1, 2, 3, 4, 5
NUMERIC = range(6, 16)
"""Classes of arrays."""

COMPLEX = 0x800

MOST_BYTES = 2**28
"""Of one variable, unpacked."""


@dataclass(frozen=True)
class _Part:
    """A data element: its type, and where its content is."""

    kind: int
    content: bytes


def check(content: bytes) -> None:
    """Refuse a file of version 5 whose elements are not what they must be; others pass.

    Raises:
        ValueError: A type is unknown, or something declares more than the file has.
        zlib.error: A variable cannot be unpacked.
    """
    order = {b"IM": "<", b"MI": ">"}.get(content[126:HEADER])
    if order is None or struct.unpack(f"{order}H", content[124:126])[0] >> 8 != 1:
        return
    for part in _parts(content[HEADER:], order):
        if part.kind == COMPRESSED:
            unpacked = zlib.decompressobj().decompress(part.content, MOST_BYTES)
            for inner in _parts(unpacked, order):
                _check_matrix(inner, order)
        else:
            _check_matrix(part, order)


def _parts(data: bytes, order: str) -> Iterator[_Part]:
    """The data elements one after the other."""
    position = 0
    while position < len(data):
        if len(data) - position < 8:
            raise ValueError("a data element is cut off")
        first, size = struct.unpack_from(f"{order}II", data, position)
        start, padding = position + 8, 0 if first == COMPRESSED else -size % 8
        if first >> 16:  # up to four bytes, within the tag
            first, size, start, padding = first & 0xFFFF, first >> 16, position + 4, 0
            padding = 4 - size
        if padding < 0 or start + size > len(data):
            raise ValueError("a data element is longer than the file")
        yield _Part(first, data[start : start + size])
        position = start + size + padding


def _check_matrix(part: _Part, order: str) -> None:
    if part.kind != MATRIX:
        raise ValueError(f"type {part.kind} in the place of an array")
    if not part.content:
        return  # an empty array
    flags, sides, _, *rest = _parts(part.content, order)
    (word,) = struct.unpack_from(f"{order}I", flags.content)
    shape = struct.unpack(f"{order}{len(sides.content) // 4}i", sides.content)
    array_class = word & 0xFF
    if array_class in (CELL, STRUCT, OBJECT):
        names = {CELL: 0, STRUCT: 2, OBJECT: 3}[array_class]
        fields = _fields(rest[:names], order) if names else 1
        if min(shape) < 0 or math.prod(shape) * fields != len(rest) - names:
            raise ValueError(f"{len(rest) - names} elements instead of {shape} x {fields}")
        for each in rest[names:]:
            _check_matrix(each, order)
        return
    known = TEXTS if array_class == CHARACTERS else NUMBERS
    expected = (3 if array_class == SPARSE else 1) + bool(word & COMPLEX)
    if array_class not in (CHARACTERS, SPARSE, *NUMERIC) or len(rest) != expected:
        raise ValueError(f"an array of class {array_class} with {len(rest)} parts")
    if strange := [each.kind for each in rest if each.kind not in known]:
        raise ValueError(f"unknown type of numbers: {strange[0]}")


def _fields(names: list[_Part], order: str) -> int:
    """Number of fields of a struct array."""
    *_, length, texts = names
    width = int.from_bytes(length.content, "little" if order == "<" else "big", signed=True)
    if width < 1:
        raise ValueError(f"names of {width} bytes")
    return len(texts.content) // width
