"""STSNet's net in a file that needs neither salcli nor PyTorch."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from salcli_stsnet import Net
from salcli_stsnet.maps import finish
from salcli_stsnet.model import Stsnet
from salcli_stsnet.network import STSNet
from salcli_stsnet.settings import Settings
from torch import Tensor, nn

from salcli import Stimulus
from salcli.authoring import create
from salcli.testing import exported

pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

SIZE = (50, 71)


@pytest.mark.endurance
@pytest.mark.parametrize("net", ["stsconvnet", "ssnet"])
def test_a_file_gives_the_maps_of_salcli(
    net: Net, filled: Callable[[Net], STSNet], tmp_path: Path
) -> None:
    model = create("stsnet", options={"net": net, "flow": "frame"}, defaults={})
    assert isinstance(model, Stsnet)
    model.network = filled(net)
    frames = list(np.random.default_rng(0).integers(0, 256, (2, *SIZE, 3), np.uint8))
    with torch.inference_mode():
        expected = [each.saliency.numpy() for each in model.predict(Stimulus("noise", frames))]
    inputs = model.preprocess(frames).numpy()
    given = [inputs] * len(model.exportable(SIZE).inputs)
    maps = exported(model.exportable(SIZE), given, tmp_path)
    np.testing.assert_allclose(maps, expected, rtol=0, atol=1e-4)


def test_what_an_exporter_traces_is_not_kept_for_maps() -> None:
    class Finishing(nn.Module):
        def forward(self, output: Tensor) -> Tensor:
            return finish(output, (9, 12), settings=Settings(blur=7))

    output = torch.linspace(-1, 1, 24).view(2, 1, 3, 4)
    torch.export.export(Finishing(), (output,), strict=False)
    assert Finishing()(output).amax().item() == 1
