"""TASED-Net's network in a file that needs neither salcli nor PyTorch."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from salcli_tased.finishing import finish
from salcli_tased.model import Tased

from salcli.testing import exported

pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

Make = Callable[..., Tased]


@pytest.mark.endurance
def test_a_file_gives_the_maps_of_salcli(make: Make, clip: torch.Tensor, tmp_path: Path) -> None:
    model = make({"input_size": (64, 96)})
    with torch.inference_mode():
        expected = finish(model.network(clip))[:, 0]
    maps = exported(model.exportable((64, 96)), [clip.numpy()], tmp_path)
    np.testing.assert_allclose(maps, expected.numpy(), rtol=0, atol=1e-4)
