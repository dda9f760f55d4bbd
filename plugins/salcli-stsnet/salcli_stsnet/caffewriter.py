"""Writes a net as a Caffe weights file, `.caffemodel`, for users of Caffe."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from torch import Tensor

from salcli import UsageError
from salcli.authoring import atomic
from salcli_stsnet import Net
from salcli_stsnet.caffemodel import DIMENSIONS, LAYER_FIELDS, LAYERS, NET_NAME, SHAPE
from salcli_stsnet.network import LAST, STSNet
from salcli_stsnet.wire import LENGTH

__all__ = ["NAMES", "layers", "write"]

NAMES: dict[Net, str] = {
    "ssnet": "SSNet",
    "tsnet": "TSNet",
    "stsmaxnet": "STSMaxNet",
    "stsconvnet": "STSConvNet",
    "earlyfusion": "EarlyFusion_Net",
}
"""Names of the nets in the published descriptions."""

TYPE, DATA = 2, 5
"""Fields of a layer and of a blob."""


def write(path: Path, network: STSNet) -> None:
    """Write a network, layer by layer in the order of the published description.

    Raises:
        UsageError: The net is not a single net in Caffe.
        OutputError: The file cannot be written.
    """
    if network.net not in NAMES:
        raise UsageError(f"{network.net} is two nets in Caffe; export its two streams one by one")
    state = network.state_dict()
    with atomic.replacing(path) as part, part.open("wb") as file:
        file.write(_message(NET_NAME, NAMES[network.net].encode()))
        for name, kind in layers(network):
            file.write(_message(LAYERS, _layer(name, kind, state)))


def layers(network: STSNet) -> Iterator[tuple[str, str]]:
    """Names and types of all layers, including those without weights."""
    fusion = network.fusion
    twice = fusion.after if fusion else 0
    for number in range(1, LAST + 1):
        steps = [("conv", "Convolution")]
        steps += [("relu", "ReLU")] if number < LAST else []
        steps += [("norm", "LRN")] if number == 1 else []
        steps += [("pool", "Pooling")] if number <= 2 else []
        for step, kind in steps:
            for suffix in ("", "_b") if number <= twice else ("",):
                yield f"{step}{number}{suffix}", kind
        if fusion and number == twice:
            if fusion.kind == "maximum":
                yield "elt_fuse", "Eltwise"
            else:
                yield "concat", "Concat"
                yield "conv_fuse", "Convolution"
    yield "deconv1", "Deconvolution"


def _layer(name: str, kind: str, state: Mapping[str, Tensor]) -> bytes:
    name_field, blobs_field = LAYER_FIELDS[LAYERS]
    content = _message(name_field, name.encode()) + _message(TYPE, kind.encode())
    for part in ("weight", "bias"):
        if (tensor := state.get(f"{name}.{part}")) is not None:
            content += _message(blobs_field, _blob(tensor))
    return content


def _blob(tensor: Tensor) -> bytes:
    values = np.ascontiguousarray(tensor.detach().float().cpu().numpy(), "<f4").tobytes()
    sides = b"".join(_varint(side) for side in tensor.shape)
    return _message(DATA, values) + _message(SHAPE, _message(DIMENSIONS, sides))


def _message(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | LENGTH) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    groups = bytearray()
    while value > 127:
        groups.append(value & 127 | 128)
        value >>= 7
    groups.append(value)
    return bytes(groups)
