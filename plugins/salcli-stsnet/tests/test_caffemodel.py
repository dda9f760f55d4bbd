"""Caffe's files: the goldens, files with every kind of error, mutations of valid ones."""

import hashlib
import json
import logging
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from salcli_stsnet import Net, caffewriter
from salcli_stsnet.caffemodel import read
from salcli_stsnet.model import Stsnet
from salcli_stsnet.network import LAYERS, STSNet

from salcli import UsageError, WeightsError

GOLDENS = Path(__file__).parent / "goldens"
MINI = sorted(GOLDENS.glob("*.caffemodel"))


@pytest.mark.parametrize("path", MINI, ids=lambda path: path.stem)
def test_every_encoding_gives_the_golden(path: Path) -> None:
    expected = dict(np.load(GOLDENS / "mini_a.npz"))
    found = read(path, LAYERS)
    assert set(found.state) == set(expected)
    for key, array in expected.items():
        assert found.state[key].dtype == torch.float32
        assert np.array_equal(found.state[key].numpy(), array), key
    assert found.name.startswith("MiniSTS")
    if "v1" in path.stem:
        assert "fc_unused" in found.strangers


@pytest.mark.parametrize("net", ["ssnet", "stsconvnet"])
def test_full_size_files_are_byte_for_byte_caffe_s(
    net: Net, weights_file: Callable[[Net], Path], filled: Callable[[Net], STSNet]
) -> None:
    check = json.loads((GOLDENS / "weights_check.json").read_text())["full_size_files"]["files"]
    path = weights_file(net)
    assert path.stat().st_size == check[net]["bytes"]
    assert hashlib.sha256(path.read_bytes()).hexdigest() == check[net]["sha256"]
    saved = Stsnet.read(path)
    assert saved.options == {"net": net}
    state = filled(net).state_dict()
    assert saved.state.keys() == state.keys()
    assert all(torch.equal(saved.state[key], state[key]) for key in state)


@pytest.mark.parametrize("net", ["stsmaxnet", "earlyfusion", "tsnet"])
def test_layers_are_written_in_the_published_order(net: Net, tmp_path: Path) -> None:
    check = json.loads((GOLDENS / "weights_check.json").read_text())["full_size_files"]["files"]
    listed = list(caffewriter.layers(STSNet(net)))
    assert [list(layer) for layer in listed] == check[net]["layers"]
    assert caffewriter.NAMES[net] == check[net]["net_name"]


def test_two_nets_in_one_are_not_written(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="two nets"):
        caffewriter.write(tmp_path / "average.caffemodel", STSNet("stsavgnet"))


def field(number: int, content: bytes) -> bytes:
    """A length-delimited field."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def varint(value: int) -> bytes:
    groups = bytearray()
    while value > 127:
        groups.append(value & 127 | 128)
        value >>= 7
    return bytes([*groups, value])


def number(number: int, value: int) -> bytes:
    return varint(number << 3) + varint(value)


def floats(*values: float) -> bytes:
    return np.array(values, "<f4").tobytes()


def shape(*sides: int) -> bytes:
    return field(7, field(1, b"".join(map(varint, sides))))


def layer(*blobs: bytes, name: bytes = b"conv1") -> bytes:
    return field(100, field(1, name) + b"".join(field(7, blob) for blob in blobs))


SOUND = field(5, floats(1, 2)) + shape(2)

HOSTILE = {
    "empty": (b"", "is empty"),
    "web page": (b"<!DOCTYPE html><html>", "is a web page"),
    "HDF5": (b"\x89HDF\r\n\x1a\n", "is an HDF5 file"),
    "zip": (b"PK\x03\x04rest", "name it .pth"),
    "pickle": (b"\x80\x02}q\x00.", "name it .pth"),
    "text": (b"layer { name: 'conv1' }", "not a sound .caffemodel"),
    "truncated": (layer(SOUND)[:-3], "bytes too late"),
    "length over the end": (varint(100 << 3 | 2) + varint(2**60), "bytes too late"),
    "length that overflows": (varint(100 << 3 | 2) + b"\xff" * 9 + b"\x7f", "bytes too late"),
    "endless number": (b"\xa2\x06" + b"\xff" * 20, "too long"),
    "half a number": (b"\xa2\x86", "breaks off"),
    "group": (varint(100 << 3 | 3) + b"\x00" * 8, "unknown kind 3"),
    "field zero": (b"\x02\x00", "without a number"),
    "inner length": (field(100, varint(7 << 3 | 2) + varint(1000)), "bytes too late"),
    "absurd sides": (layer(field(5, floats(1)) + shape(2**31, 2**31)), "has 1 values"),
    "sides that overflow": (layer(field(5, floats(1)) + shape(2**63, 2, 1)), "has 1 values"),
    "negative legacy side": (
        layer(field(5, floats(1)) + number(1, 2**64 - 1) + number(4, 1)),
        "has 1 values",
    ),
    "no shape": (layer(field(5, floats(1, 2))), "of no shape has 2 values"),
    "too many sides": (layer(field(5, floats(1)) + shape(*[1] * 33)), "32 dimensions"),
    "half a float": (layer(field(5, b"123") + shape(1)), "break off"),
    "half a double": (layer(field(8, b"1234") + shape(1)), "break off"),
    "not a number": (layer(field(5, floats(np.nan)) + shape(1)), "not finite"),
    "double too large": (layer(field(8, np.float64(1e300).tobytes()) + shape(1)), "not finite"),
    "three blobs": (layer(SOUND, SOUND, SOUND), "more than 2 blobs"),
    "of 2013": (field(2, field(1, field(1, b"conv1"))), "encoding of 2013"),
}


@pytest.mark.parametrize(("content", "told"), HOSTILE.values(), ids=HOSTILE)
def test_what_is_wrong_is_told(content: bytes, told: str, tmp_path: Path) -> None:
    path = tmp_path / "wrong.caffemodel"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=told) as caught:
        read(path, LAYERS)
    assert str(path) in str(caught.value)


def test_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="No such file"):
        read(tmp_path / "none.caffemodel", LAYERS)


def test_caffe_s_rules_for_values_and_shapes(tmp_path: Path) -> None:
    path = tmp_path / "rules.caffemodel"
    double = field(8, np.array([3, 4], "<f8").tobytes())
    legacy = b"".join(number(i, side) for i, side in zip((1, 2, 3, 4), (1, 1, 1, 2), strict=True))
    path.write_bytes(
        field(1, b"Net")
        + layer(field(5, floats(1)) + field(5, floats(2)) + shape(2), SOUND)
        + layer(field(5, floats(1, 2)) + double + shape(2), name=b"conv2")
        + layer(SOUND, field(5, floats(5, 6)) + legacy + shape(1, 2), name=b"conv3")
        + layer(shape(0, 3), name=b"conv4")
        + layer(name=b"relu1")
    )
    found = read(path, LAYERS)
    assert found.state["conv1.weight"].tolist() == [1, 2]  # chunks are put together
    assert found.state["conv2.weight"].tolist() == [3, 4]  # doubles win
    assert found.state["conv3.bias"].tolist() == [5, 6]  # the old shape wins, a bias is flat
    assert found.state["conv4.weight"].shape == (0, 3)
    assert found.strangers == ("relu1",)


def test_today_s_encoding_wins(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "both.caffemodel"
    old = field(2, field(4, b"conv1") + field(6, field(5, floats(7, 8)) + shape(2)))
    path.write_bytes(old + layer(SOUND))
    with caplog.at_level(logging.WARNING):
        found = read(path, LAYERS)
    assert found.state["conv1.weight"].tolist() == [1, 2]
    assert "two encodings" in caplog.text


def peak_of(path: Path) -> int:
    """Maximum number of bytes allocated by reading, whether it succeeds or not."""
    tracemalloc.start()
    try:
        with suppress(WeightsError):
            read(path, LAYERS)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_many_things_of_no_use_take_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "many.caffemodel"
    blob = field(7, b"")
    for content in (
        layer(b"") * 3_000,
        field(100, b"") * 10_000,
        field(100, field(1, b"x") + blob * 10_000),
        layer(field(7, field(1, b"\x01" * 50_000))),
        layer(field(6, b"\x00" * 100_000) + SOUND),
        field(100, field(1, b"n" * 100_000)),
    ):
        path.write_bytes(content)
        assert peak_of(path) < 40_000


Edit = tuple[str, float, bytes]

edits = st.tuples(
    st.sampled_from(["replace", "insert", "delete"]),
    st.floats(0, 1),
    st.one_of(
        st.binary(min_size=1, max_size=6),
        st.sampled_from([b"\xff" * 9 + b"\x01", b"\xff\xff\xff\xff\x07", b"\x00\x00\xc0\x7f"]),
    ),
)


@settings(
    max_examples=250,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=True,
)
@given(
    source=st.sampled_from(MINI), changes=st.lists(edits, min_size=1, max_size=4), cut=st.booleans()
)
def test_mutations_raise_nothing_but_weights_errors(
    source: Path, changes: list[Edit], cut: bool, tmp_path: Path
) -> None:
    content = bytearray(source.read_bytes())
    for kind, share, new in changes:
        # most bytes are values; the structure around them is near the beginnings of layers
        place = int(share**3 * (len(content) - 1))
        content[place : place + (0 if kind == "insert" else len(new))] = (
            b"" if kind == "delete" else new
        )
        if cut and kind == "delete":
            del content[place:]
            break
    path = tmp_path / "mutation.caffemodel"
    path.write_bytes(content)
    assert peak_of(path) < 4 * source.stat().st_size + 100_000
