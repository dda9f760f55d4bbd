"""The network as a function of tensors gives the maps of a prediction."""

import numpy as np
import pytest
import torch

from salcli import Stimulus, load_model


@pytest.mark.endurance  # a large network, although for small pictures
@torch.inference_mode()
def test_a_function_of_tensors_gives_the_published_map() -> None:
    model = load_model("tempsal", untrained=True, options={"input_size": 128}).model
    frames = list(np.random.default_rng(0).integers(0, 256, (2, 90, 120, 3), np.uint8))
    expected = list(model.predict(Stimulus("noise", frames, fps=None, size=(90, 120))))
    exportable = model.exportable((90, 120))
    maps = exportable.finish(*exportable.network(model.preprocess(frames)))
    for found, wanted in zip(maps, expected, strict=True):
        torch.testing.assert_close(found, wanted.saliency, rtol=0, atol=1e-6)
