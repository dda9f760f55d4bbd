"""Synthetic weights and inputs of the goldens, and a weights file as published."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from salcli_unisal.network import UNISAL


@pytest.fixture(scope="session")
def unisal_sw1(sw1: Callable[..., None]) -> Callable[..., None]:
    """Fill a UNISAL network with the synthetic weights of its goldens, which state the rule."""

    def smoothing(kernel: np.ndarray) -> np.ndarray:
        return np.abs(kernel) / np.abs(kernel).sum()

    gains = {"cnn.*": 0.75, "adaptation*.weight": 0.5}

    def fill(network: torch.nn.Module, *, salt: str = "") -> None:
        sw1(network, salt=salt, gains=gains, special={"smoothing*": smoothing})

    return fill


@pytest.fixture(scope="session")
def golden_input() -> Callable[..., torch.Tensor]:
    """The network input `[B, T, 3, H, W]` of UNISAL's goldens, by the formula that they state."""

    def compute(shape: tuple[int, int, int, int], phase: float) -> torch.Tensor:
        batch, steps, height, width = shape
        b, t, c, y, x = np.meshgrid(
            *map(np.arange, (batch, steps, 3, height, width)), indexing="ij"
        )
        values = (
            np.sin(0.11 * x + 0.5 * t + 0.9 * c + phase)
            + np.cos(0.17 * y - 0.3 * t + 1.3 * b)
            + 0.5 * np.sin(0.05 * x * (1 + c) + 0.07 * y + 0.2 * t * b)
        )
        return torch.from_numpy(values.astype(np.float32))

    return compute


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
