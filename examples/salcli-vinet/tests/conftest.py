"""ViNet with the synthetic weights of its goldens."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from salcli_vinet import VINET, Options
from salcli_vinet.model import Vinet
from salcli_vinet.network import VinetNet

from salcli.authoring import IMAGENET, pixels

GOLDENS = Path(__file__).parent / "goldens"

Arrays = dict[str, np.ndarray]
Make = Callable[..., Vinet]


@pytest.fixture(scope="session")
def network(sw1: Callable[..., None]) -> VinetNet:
    """Do not modify it."""
    net = VinetNet().eval()
    special = {"decoder.convtsp4.8.bias": lambda bias: bias - 1}
    sw1(net, gains={"decoder.convtsp4.8.weight": 0.8}, special=special)
    return net


@pytest.fixture(scope="session")
def make(network: VinetNet) -> Make:
    """A model with the synthetic weights, which may not be modified, and these options."""

    def made(**options: Any) -> Vinet:
        model = Vinet(VINET, Options(**options))
        model.network = network
        model.batch_size = 2
        return model

    return made


@pytest.fixture
def trainable(make: Make) -> Vinet:
    """One whose weights may be modified."""
    model = make()
    model.network = copy.deepcopy(model.network)
    return model


@pytest.fixture(scope="session")
def small() -> Arrays:
    """Arrays of the golden that starts at the network's input."""
    return dict(np.load(GOLDENS / "net_small.npz"))


@pytest.fixture(scope="session")
def clip(small: Arrays) -> torch.Tensor:
    """Its input, `[1, 3, 32, 64, 96]`."""
    return pixels(list(small["frames"]), standardised=IMAGENET).transpose(0, 1)[None]
