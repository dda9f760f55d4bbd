"""TASED-Net with the synthetic weights of its goldens."""

import copy
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from salcli_tased.model import Tased
from salcli_tased.network import TasedNet

from salcli.authoring import create

GOLDENS = Path(__file__).parent / "goldens"

Make = Callable[..., Tased]


def to_inputs(frames: np.ndarray) -> torch.Tensor:
    """Frames `[n, h, w, 3]` in the network's size, so that nothing is resized."""
    return (torch.from_numpy(frames).float().permute(0, 3, 1, 2) * 2 - 255) / 255


@pytest.fixture(scope="session")
def network(sw1: Callable[..., None]) -> TasedNet:
    """Do not modify it."""
    net = TasedNet().eval()
    special = {"convtsp4.13.bias": lambda bias: bias - 1.5}
    sw1(net, gains={"convtsp4.13.weight": 0.3}, special=special)
    return net


@pytest.fixture(scope="session")
def make(network: TasedNet) -> Make:
    """A model with the synthetic weights and these options; its network may be modified."""

    def made(options: Mapping[str, Any], *, batch_size: int = 2) -> Tased:
        model = create("tased", options=options, defaults={})
        assert isinstance(model, Tased)
        model.network = copy.deepcopy(network)
        model.batch_size = batch_size
        return model

    return made


@pytest.fixture(scope="session")
def weights_file(network: TasedNet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As published: in the old container, from a DataParallel wrapper."""
    path = tmp_path_factory.mktemp("weights") / "TASED_updated.pt"
    state = {f"module.{key}": tensor for key, tensor in network.state_dict().items()}
    torch.save(state, path, _use_new_zipfile_serialization=False)
    return path


@pytest.fixture(scope="session")
def small() -> dict[str, np.ndarray]:
    """Arrays of the golden that starts at the network's input."""
    return dict(np.load(GOLDENS / "net_small.npz"))


@pytest.fixture(scope="session")
def clip(small: dict[str, np.ndarray]) -> torch.Tensor:
    """Its input, `[1, 3, 32, 64, 96]`."""
    return to_inputs(small["frames"]).transpose(0, 1)[None]
