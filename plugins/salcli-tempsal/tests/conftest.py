"""TempSAL networks without random initialisation, which takes seconds for each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from salcli_tempsal.model import TempSal

from salcli import Frame, Prediction, Stimulus
from salcli.authoring import create

GOLDENS = Path(__file__).parent / "goldens"

GAINS = {"*pnas.*": 0.8}
"""Of the synthetic weights."""


def published_shapes() -> dict[str, torch.Tensor]:
    """An empty tensor for each entry of the published file."""
    shapes = {}
    for line in (GOLDENS / "keys.tsv").read_text().splitlines()[1:]:
        key, shape, dtype = line.split("\t")
        sides = () if shape == "scalar" else tuple(map(int, shape.split("x")))
        shapes[key] = torch.empty(sides, dtype=getattr(torch, dtype), device="meta")
    return shapes


def hollow(**options: Any) -> TempSal:
    """A model whose network has uninitialised weights: tests that use it fill them."""
    with torch.device("meta"):
        model = create("tempsal", options=options, defaults={})
    assert isinstance(model, TempSal)
    model.network = model.network.to_empty(device="cpu")
    return model


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
