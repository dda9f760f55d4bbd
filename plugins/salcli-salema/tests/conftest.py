"""SalEMA's goldens, and networks with the synthetic weights used to compute them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from salcli_salema import SALEMA
from salcli_salema.model import Salema
from salcli_salema.network import SalCLSTM30, SalCLSTM56, SalEMA

from salcli.authoring import parse_options

GOLDENS = Path(__file__).parent / "goldens"
GAINS = {"salgan.0.weight": 0.01}
"""Inputs reach 150, so the first kernel is small, or every sigmoid would saturate."""

State = Mapping[str, torch.Tensor]


@pytest.fixture(scope="session")
def golden() -> Callable[[str], tuple[dict[str, Any], dict[str, np.ndarray]]]:
    """A golden's metadata and its arrays."""

    def read(name: str) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        arrays = GOLDENS / f"{name}.npz"
        described = json.loads((GOLDENS / f"{name}.json").read_text())
        return described, dict(np.load(arrays)) if arrays.exists() else {}

    return read


@pytest.fixture(scope="session")
def clstm30_state(sw1: Callable[..., None]) -> State:
    """Synthetic weights of SalCLSTM30, which contain those of SalEMA."""
    network = SalCLSTM30()
    sw1(network, gains=GAINS)
    return network.state_dict()


@pytest.fixture(scope="session")
def ema_state(clstm30_state: State) -> State:
    """Synthetic weights of SalEMA and of the static network."""
    return {key: tensor for key, tensor in clstm30_state.items() if "Gates" not in key}


@pytest.fixture(scope="session")
def clstm56_state(sw1: Callable[..., None]) -> State:
    """Synthetic weights of SalCLSTM56."""
    network = SalCLSTM56()
    sw1(network, gains=GAINS)
    return network.state_dict()


@pytest.fixture(scope="session")
def make_ema(ema_state: State) -> Callable[..., SalEMA]:
    """A SalEMA with these averaged layers, weights of the averages and residual."""

    def make(places: tuple[int, ...], weights: tuple[float, ...] = (), **more: bool) -> SalEMA:
        with torch.device("meta"):
            network = SalEMA(places, weights=weights, **more)
        network.load_state_dict(dict(ema_state), assign=True)
        return network.eval()

    return make


@pytest.fixture
def make_model(ema_state: State, clstm30_state: State) -> Callable[..., Salema]:
    """The model with the synthetic weights, ready to predict."""

    def make(*options: str, batch_size: int = 2) -> Salema:
        model = Salema(SALEMA, parse_options(SALEMA, options, defaults={}))
        with torch.device("meta"):
            model.network = model.build()
        recurrent = model.options.variant == "clstm30"
        state = clstm30_state if recurrent else ema_state
        model.network.load_state_dict(dict(state), assign=True)
        model.to(torch.device("cpu"), torch.float32)
        model.batch_size = batch_size
        return model

    return make


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Write weights as the authors did: legacy file, wrapped three times, optimiser beside them."""
    folder = tmp_path_factory.mktemp("published")

    def write(name: str, state: State) -> Path:
        path = folder / name
        if not path.exists():
            content = {
                "epoch": 8,
                "state_dict": {f"module.module.{key}": value for key, value in state.items()},
                "optimizer": {"state": {0: {"step": 7}}, "param_groups": [{"params": [0]}]},
            }
            torch.save(content, path, _use_new_zipfile_serialization=False)
        return path

    return write
