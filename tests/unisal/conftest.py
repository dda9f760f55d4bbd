"""A weights file as published, of synthetic numbers."""

import shutil
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


@pytest.fixture
def part(miniature: Callable[[str], Path], tmp_path: Path) -> Callable[..., Path]:
    """A dataset of the files of a miniature whose paths match one of some patterns."""

    def make(name: str, *patterns: str) -> Path:
        whole, root = miniature(name), tmp_path / "data" / name
        for path in (found for pattern in patterns for found in whole.glob(pattern)):
            target = root / path.relative_to(whole)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
        return root

    return make
