"""Reads Caffe's weights files, `.caffemodel`: one protobuf message, `NetParameter`.

The message is parsed in place, in a memory map, and only the wanted values are copied out of it. No
allocation trusts a size stated in the file: a length is validated against the file's size, a shape
against the number of values. So a damaged or hostile file costs no more memory than its own size.
The `protobuf` package would need a compiled schema, copies whole messages, keeps unneeded
gradients, and cannot read the values of twenty layers only.
"""

from __future__ import annotations

import logging
import math
import mmap
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import Tensor

from salcli import WeightsError
from salcli.authoring import is_page
from salcli_stsnet.wire import (
    EIGHT_BYTES,
    FOUR_BYTES,
    LENGTH,
    VARINT,
    Damaged,
    Span,
    fields,
    varint,
)

__all__ = ["CaffeModel", "read"]

logger = logging.getLogger(__name__)

NET_NAME, OLD_LAYERS, LAYERS = 1, 2, 100
"""Fields of a net: its name, and its layers in the encoding of 2014 or the current one."""

LAYER_FIELDS: Final = {OLD_LAYERS: (4, 6), LAYERS: (1, 7)}
"""Name and blobs of a layer in either encoding."""

OLDEST_LAYER = 1
"""Field of a layer of `OLD_LAYERS` that holds a layer in the encoding of 2013."""

LEGACY_SHAPE, SHAPE, DIMENSIONS = (1, 2, 3, 4), 7, 1
"""Fields of a blob: number, channels, height and width; or a shape of any length."""

VALUES: Final = {5: (FOUR_BYTES, 4), 8: (EIGHT_BYTES, 8)}
"""Fields of a blob with float32 and float64 values: kind of an unpacked value, and its bytes."""

MOST_DIMENSIONS = 32
"""Caffe's own limit."""

MOST_BLOBS = 2
"""A convolution has weights and a bias."""

LONGEST_NAME = 64
MOST_STRANGERS = 5

FOREIGN = {
    b"\x89HDF": "is an HDF5 file; save it as .caffemodel with Caffe",
    b"PK\x03\x04": "is a PyTorch file; name it .pth",
    b"\x80\x02": "is a PyTorch file; name it .pth",
}
"""First bytes of files that are often mistaken for a `.caffemodel`."""


@dataclass(frozen=True)
class CaffeModel:
    """What a file holds.

    Attributes:
        name: Name of the net, as in its description; empty if it has none.
        state: Weights and biases by `<layer>.weight` and `<layer>.bias`, float32.
        strangers: Names of a few other layers, for messages.
    """

    name: str
    state: dict[str, Tensor]
    strangers: tuple[str, ...]


def read(path: Path, layers: Collection[str]) -> CaffeModel:
    """The weights of the named layers; other layers, gradients and unknown fields are skipped.

    Raises:
        WeightsError: The file cannot be read, is not from Caffe, is damaged, or contains a value
            that is not finite.
    """
    try:
        with path.open("rb") as file:
            head = file.read(512)
            if not head:
                raise WeightsError(f"'{path}' is empty")
            data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    except OSError as error:
        raise WeightsError(f"weights file '{path}' cannot be read: {error.strerror}") from error
    if is_page("", head):
        raise WeightsError(f"'{path}' is a web page, not a weights file; download it again")
    for start, what in FOREIGN.items():
        if head.startswith(start):
            raise WeightsError(f"'{path}' {what}")
    try:
        net = _index(data, layers)
        state = {
            f"{layer}.{part}": _tensor(data, span, flat=part == "bias")
            for layer, blobs in net.chosen().items()
            for part, span in zip(("weight", "bias"), blobs, strict=False)
        }
    except Damaged as error:
        raise WeightsError(f"'{path}' is not a sound .caffemodel file: {error}") from error
    return CaffeModel(net.name, state, tuple(net.strangers))


@dataclass
class _Index:
    """A file's content, as positions."""

    name: str = ""
    blobs: dict[int, dict[str, list[Span]]] = field(
        default_factory=lambda: {OLD_LAYERS: {}, LAYERS: {}}
    )
    strangers: list[str] = field(default_factory=list)

    def chosen(self) -> dict[str, list[Span]]:
        """The blobs of the layers in the current encoding, or the old one's if it has none."""
        if self.blobs[LAYERS] and self.blobs[OLD_LAYERS]:
            logger.warning("the file has layers in two encodings; the older ones are ignored")
        return self.blobs[LAYERS] or self.blobs[OLD_LAYERS]


def _index(data: memoryview, wanted: Collection[str]) -> _Index:
    net = _Index()
    for found in fields(data, (0, len(data))):
        if found.kind != LENGTH:
            continue
        if found.number == NET_NAME:
            net.name = _text(data, found.span)
        elif found.number in LAYER_FIELDS:
            name, blobs = _layer(data, found.span, encoding=found.number)
            if blobs and name in wanted:
                if len(blobs) > MOST_BLOBS:
                    raise Damaged(f"layer '{name}' has more than {MOST_BLOBS} blobs")
                net.blobs[found.number][name] = blobs
            elif len(net.strangers) < MOST_STRANGERS:
                net.strangers.append(name)
    return net


def _layer(data: memoryview, span: Span, *, encoding: int) -> tuple[str, list[Span]]:
    """Name and blobs of a layer; stops once there are too many blobs."""
    name_field, blobs_field = LAYER_FIELDS[encoding]
    name, blobs = "", list[Span]()
    for found in fields(data, span):
        if found.kind != LENGTH:
            continue
        if found.number == name_field:
            name = _text(data, found.span)
        elif found.number == blobs_field and len(blobs) <= MOST_BLOBS:
            blobs.append(found.span)
        elif found.number == OLDEST_LAYER and encoding == OLD_LAYERS:
            raise Damaged(
                "its layers use the encoding of 2013; upgrade it with Caffe's "
                "upgrade_net_proto_binary"
            )
    return name, blobs


def _text(data: memoryview, span: Span) -> str:
    """A name, truncated if it is too long."""
    start, end = span
    return bytes(data[start : min(end, start + LONGEST_NAME)]).decode("utf-8", errors="replace")


def _tensor(data: memoryview, span: Span, *, flat: bool) -> Tensor:
    """The values of a blob in its shape; gradients are skipped.

    As in Caffe, doubles take precedence over floats, and the old four-dimensional shape over the
    new one.
    """
    legacy, shape = dict.fromkeys(LEGACY_SHAPE, 0), list[int]()
    is_legacy = False
    values = {number: bytearray() for number in VALUES}
    for found in fields(data, span):
        if found.number in LEGACY_SHAPE and found.kind == VARINT:
            legacy[found.number], is_legacy = found.value, True
        elif found.number == SHAPE and found.kind == LENGTH:
            for side in _sides(data, found.span):
                shape.append(side)
                if len(shape) > MOST_DIMENSIONS:
                    raise Damaged(f"a blob has more than {MOST_DIMENSIONS} dimensions")
        elif found.number in VALUES and found.kind in (LENGTH, VALUES[found.number][0]):
            start, end = found.span
            if (end - start) % VALUES[found.number][1]:
                raise Damaged(f"the values that begin at byte {start} break off")
            values[found.number] += data[start:end]
    sides = tuple(legacy.values()) if is_legacy else tuple(shape)
    return _shaped(_floats(values), sides, flat=flat)


def _sides(data: memoryview, span: Span) -> Iterator[int]:
    """The dimensions in a shape, packed or one by one."""
    for found in fields(data, span):
        if found.number != DIMENSIONS:
            continue
        if found.kind == VARINT:
            yield found.value
        elif found.kind == LENGTH:
            place, end = found.span
            while place < end:
                side, place = varint(data, place, end)
                yield side


def _floats(values: dict[int, bytearray]) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    floats, doubles = values.values()
    with np.errstate(all="ignore"):  # a double beyond float32 is found right below
        array = (
            np.frombuffer(doubles, "<f8").astype(np.float32)
            if doubles
            else np.frombuffer(floats, "<f4").astype(np.float32, copy=False)
        )
    if not np.isfinite(array).all():
        raise Damaged("a blob has values that are not finite")
    return array


def _shaped(
    array: np.ndarray[tuple[int], np.dtype[np.float32]], sides: tuple[int, ...], *, flat: bool
) -> Tensor:
    if math.prod(sides) != len(array):
        shown = " x ".join(map(str, sides)) or "of no shape"
        raise Damaged(f"a blob {shown} has {len(array)} values")
    if flat and len(array) == max(sides, default=0):
        sides = (len(array),)  # an old bias is 1 x 1 x 1 x N
    if array.size == 0:
        return torch.zeros(sides)
    return torch.from_numpy(array).reshape(sides)
