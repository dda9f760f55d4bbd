"""A loaded model predicts with fused layers, and in threads, what its network predicts."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from salcli import Stimulus
from salcli.authoring import Model, create


@pytest.fixture
def model() -> Model:
    """A small batch of an untrained network for four domains, with statistics as if trained."""
    torch.manual_seed(0)
    made = create("unisal", options=["sources=DHF1K,Hollywood,UCFSports,SALICON"], defaults={})
    for layer in made.network.modules():
        if isinstance(layer, nn.BatchNorm2d) and layer.running_var is not None:
            nn.init.uniform_(layer.running_var, 0.5, 2)
            nn.init.uniform_(layer.weight, 0.5, 1.5)
    made.batch_size = 2
    made.to(torch.device("cpu"), torch.float32)
    return made


def maps_of(model: Model, stimulus: Stimulus) -> torch.Tensor:
    with torch.inference_mode():
        return torch.stack([prediction.saliency for prediction in model.predict(stimulus)])


@pytest.mark.parametrize("is_clip", [True, False])
def test_fused_layers_and_threads_change_nothing(model: Model, is_clip: bool) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (7, 48, 64, 3), np.uint8)
    stimulus = Stimulus(name="noise", frames=list(frames), fps=25.0 if is_clip else None)
    torch.set_num_threads(1)
    before = maps_of(model, stimulus)

    model.freeze()
    alone = maps_of(model, stimulus)
    torch.set_num_threads(2)
    try:
        together = maps_of(model, stimulus)
    finally:
        torch.set_num_threads(1)

    torch.testing.assert_close(alone, before, rtol=0, atol=2e-5)
    assert torch.equal(together, alone), "the number of threads changes bits"
