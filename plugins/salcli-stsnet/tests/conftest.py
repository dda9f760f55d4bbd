"""STSNet's goldens, and nets with the weights used to compute them."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from salcli_stsnet import Net, caffewriter
from salcli_stsnet.network import STSNet

GOLDENS = Path(__file__).parent / "goldens"


@pytest.fixture(scope="session")
def golden() -> Callable[[str], tuple[dict, dict[str, np.ndarray]]]:
    """The content of a golden's JSON file, and its arrays; PNG files are decoded."""

    def read(name: str) -> tuple[dict, dict[str, np.ndarray]]:
        described = json.loads((GOLDENS / f"{name}.json").read_text())
        arrays = dict(np.load(GOLDENS / f"{name}.npz"))
        for key in [key for key in arrays if key.endswith("_png")]:
            picture = Image.open(io.BytesIO(arrays.pop(key).tobytes()))
            arrays[key.removesuffix("_png")] = np.asarray(picture)
        return described, arrays

    return read


@pytest.fixture(scope="session")
def filled(sw1: Callable[..., None]) -> Callable[[Net], STSNet]:
    """A net with the goldens' weights, ready to predict; shared by all tests, so never train it."""
    rule = json.loads((GOLDENS / "weights_check.json").read_text())["weights_rule"]

    @cache
    def make(net: Net) -> STSNet:
        network = STSNet(net).eval()
        if net == "stsconvnet":
            special = dict.fromkeys(rule["absolute_value"], np.abs)
            sw1(network, gains=rule["gain"], special=special)
        else:  # a tensor depends on its key only, and this net has them all
            state = make("stsconvnet").state_dict()
            network.load_state_dict({key: state[key] for key in network.state_dict()})
        return network

    return make


@pytest.fixture(scope="session")
def weights_file(
    filled: Callable[[Net], STSNet], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[Net], Path]:
    """A `.caffemodel` file with the goldens' weights."""

    @cache
    def write(net: Net) -> Path:
        path = tmp_path_factory.mktemp("weights") / f"{net}.caffemodel"
        caffewriter.write(path, filled(net))
        return path

    return write
