"""A weights file as published, of synthetic numbers."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from salcli_unisal.network import UNISAL


@pytest.fixture(scope="session")
def weights(unisal_sw1: Callable[..., None], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A raw state dict of all four domains."""
    network = UNISAL()
    unisal_sw1(network)
    path = tmp_path_factory.mktemp("weights") / "sw1.pth"
    torch.save(network.state_dict(), path)
    return path
