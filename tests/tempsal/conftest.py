"""TempSAL with the synthetic weights of its goldens: drawn once, being 240 million numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from salcli_tempsal.model import TempSal

from salcli.types import Frame, Prediction, Stimulus

GOLDENS = Path(__file__).parents[1] / "goldens" / "tempsal"

GAINS = {"*pnas.*": 0.8}


class State:
    """Looks like a network to whoever fills one, but has names and shapes only."""

    def __init__(self, tensors: Mapping[str, torch.Tensor]) -> None:
        self.tensors = tensors

    def state_dict(self) -> Mapping[str, torch.Tensor]:
        return self.tensors

    def load_state_dict(self, state: Mapping[str, torch.Tensor]) -> None:
        self.tensors = state


def published_shapes() -> dict[str, torch.Tensor]:
    """An empty tensor for each entry of the published file."""
    shapes = {}
    for line in (GOLDENS / "keys.tsv").read_text().splitlines()[1:]:
        key, shape, dtype = line.split("\t")
        sides = () if shape == "scalar" else tuple(map(int, shape.split("x")))
        shapes[key] = torch.empty(sides, dtype=getattr(torch, dtype), device="meta")
    return shapes


def write(path: Path, sw1: Callable[..., None]) -> None:
    state = State(published_shapes())
    sw1(state, gains=GAINS)
    torch.save(state.tensors, path)


@pytest.fixture(scope="package")
def sw1_file(sw1: Callable[..., None], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A file with the published file's keys, all of them, and the synthetic weights."""
    path = tmp_path_factory.mktemp("tempsal") / "multilevel_tempsal.pt"
    write(path, sw1)
    yield path
    path.unlink()


@pytest.fixture(scope="package")
def wave() -> torch.Tensor:
    """The network input `[2, 3, 256, 256]` of the goldens, by the formula that they state."""
    b, c, i, j = np.meshgrid(*map(np.arange, (2, 3, 256, 256)), indexing="ij")
    values = 0.9 * np.sin(2 * np.pi * (i * (c + 1 + b) / 64 + j * (3 - c + 2 * b) / 97))
    return torch.from_numpy(values.astype(np.float32))


def read(path: Path) -> Frame:
    return np.asarray(Image.open(path).convert("RGB"))


def predict(model: TempSal, frames: list[Frame]) -> list[Prediction]:
    stimulus = Stimulus("golden", frames, size=frames[0].shape[:2])
    with torch.inference_mode():
        return list(model.predict(stimulus))
