"""ViNet against the original, from the network's input; and what its weights files may hold."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from salcli_vinet.model import Vinet
from salcli_vinet.network import Backbone, VinetNet
from salcli_vinet.weightsfile import BEGINNINGS, unwrapped

from salcli import WeightsError
from salcli.authoring import Checkpoint

GOLDENS = Path(__file__).parent / "goldens"
TOLERANCES = json.loads((GOLDENS / "net_small.json").read_text())["tolerances"]
FILE = Path("file.pt")
Arrays = dict[str, np.ndarray]


def close(ours: torch.Tensor, golden: np.ndarray, tolerance: float) -> None:
    np.testing.assert_allclose(ours.numpy(), golden, rtol=0, atol=tolerance)


def test_state_dict_keys_are_the_published_ones(network: VinetNet) -> None:
    lines = (GOLDENS / "keys.tsv").read_text().splitlines()[1:]
    ours = [
        (key, "x".join(map(str, tensor.shape)) or "scalar")
        for key, tensor in network.state_dict().items()
    ]
    assert ours == [tuple(line.split("\t")[:2]) for line in lines]
    assert sum(p.numel() for p in network.parameters()) == 31_099_585


@torch.inference_mode()
def test_network_equals_the_original(network: VinetNet, small: Arrays, clip: torch.Tensor) -> None:
    """Every part, within the tolerance that the golden states for it."""
    decoder = network.decoder
    features = network.backbone(clip)
    found = dict(zip(("y0", "y1", "y2", "y3"), features, strict=True))
    found["z1"] = decoder.convtsp1(found["y0"])
    found["z2"] = decoder.convtsp2(torch.cat((found["z1"], found["y1"]), 2))
    found["z3"] = decoder.convtsp3(torch.cat((found["z2"], found["y2"]), 2))
    found["z4"] = decoder.convtsp4[:3](torch.cat((found["z3"], found["y3"]), 2))
    found["z5"] = decoder.convtsp4[3:6](found["z4"])
    assert torch.equal(decoder.convtsp4[6:](found["z5"])[:, 0, 0], decoder(*features))
    every = {"y3": (8, 3, 2, 2), "y2": (16, 3, 1, 1), "y0": (8,), "z5": (8, 1, 2, 2)}
    for name, tensor in found.items():
        steps = tuple(slice(None, None, step) for step in every.get(name, (16,)))
        close(tensor[0][steps], small[name], TOLERANCES[name])
    logits = decoder(*features)[0]
    close(logits, small["pre"], TOLERANCES["pre"])
    close(logits.sigmoid(), small["out"], TOLERANCES["out"])


def s3d_keys() -> dict[str, torch.Tensor]:
    """An S3D as its author published it; the values do not matter."""
    state = {}
    for key, tensor in Backbone().state_dict().items():
        part, place, rest = key.removeprefix("base").split(".", 2)
        state[f"base.{int(place) + BEGINNINGS[int(part) - 1]}.{rest}"] = tensor
    fc = {"fc.0.weight": torch.zeros(400, 1024, 1, 1, 1), "fc.0.bias": torch.zeros(400)}
    return state | fc


@torch.inference_mode()
def test_start_from_s3d_equals_the_original(
    trainable: Vinet, clip: torch.Tensor, sw1: Callable[..., None]
) -> None:
    class AsDict(torch.nn.Module):
        """Lets the rule fill a plain state dict."""

        def state_dict(self) -> dict[str, torch.Tensor]:  # type: ignore[override]
            return s3d_keys()

        def load_state_dict(self, state: dict[str, torch.Tensor]) -> None:  # type: ignore[override]
            self.filled = state

    author = AsDict()
    sw1(author)
    assert len(author.filled) == 464
    trainable.start_from(Checkpoint(author.filled, FILE))
    y0 = trainable.network.backbone(clip)[0]
    close(y0[0, ::8], np.load(GOLDENS / "s3d_init.npz")["y0"], 2e-3)


def test_wrapped_weights_are_loaded_and_incomplete_ones_refused(trainable: Vinet) -> None:
    state = trainable.network.state_dict()
    wrapped = {f"net.{k}": t for k, t in state.items() if not k.endswith("num_batches_tracked")}
    trainable.load(Checkpoint(wrapped, FILE))
    del wrapped["net.decoder.convtsp2.0.weight"]
    with pytest.raises(WeightsError, match=r"1 missing keys: decoder\.convtsp2\.0\.weight"):
        trainable.load(Checkpoint(wrapped, FILE))


def weight(channels: int, slices: int) -> torch.Tensor:
    return torch.zeros(channels, 32, slices, 1, 1)


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"visual_model.backbone.base1.0.conv_s.weight": weight(1, 1)}, "is an AViNet"),
        ({"base.0.conv_s.weight": weight(64, 1)}, "is an S3D, without ViNet's decoder"),
        ({"decoder.convtsp4.3.weight": weight(32, 1)}, ""),
        (
            {"decoder.convtsp4.3.weight": weight(32, 1), "decoder.convtsp4.6.weight": weight(1, 1)},
            "for 8 frames",
        ),
        (
            {"decoder.convtsp4.3.weight": weight(32, 2), "decoder.convtsp4.6.weight": weight(1, 1)},
            "for 16 frames",
        ),
        (
            {"decoder.convtsp4.3.weight": weight(32, 2), "decoder.convtsp4.6.weight": weight(1, 3)},
            "for 48 frames",
        ),
        ({"decoder.convtsp2.0.weight": weight(480, 1)}, "with 0 skip"),
        ({"decoder.convtsp3.0.weight": weight(192, 1)}, "with 1 skip"),
        ({"decoder.convtsp4.0.weight": weight(64, 1)}, "with 2 skip"),
    ],
    ids=["avinet", "s3d", "standard", "8", "16", "48", "no-skip", "one-skip", "two-skips"],
)
def test_other_networks_of_the_family_are_named(
    state: dict[str, torch.Tensor], message: str
) -> None:
    saved = Checkpoint(state, FILE)
    if message:
        with pytest.raises(WeightsError, match=message):
            unwrapped(saved)
    else:
        assert unwrapped(saved).state == state
