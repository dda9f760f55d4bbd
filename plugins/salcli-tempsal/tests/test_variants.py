"""The networks of the authors' code besides the published one, and further terms of a loss."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from salcli_tempsal import Options, maps, published
from salcli_tempsal.backbones import BackboneBranch
from salcli_tempsal.model import TempSal
from salcli_tempsal.network import SimpleMixing
from torch import nn
from torchvision import models

from salcli import Batch, UsageError, WeightsError
from salcli.authoring import Checkpoint, checkpoint, create

from .conftest import hollow


def test_the_early_model_mixes_finished_maps_alone() -> None:
    model = hollow(network="simple")
    network = model.network
    assert isinstance(network, SimpleMixing)
    shapes = [tuple(layer.weight.shape[:2]) for layer in network.deconv_mix[::2]]
    assert shapes == [(16, 6), (32, 16), (1, 32)]
    with torch.no_grad():
        for tensor in network.state_dict().values():
            tensor.zero_()  # so that the image's map is 0.5 and slices, after division, are 1
        for layer in network.deconv_mix[::2]:
            layer.weight[0, 0, 1, 1] = 1
        found = network.eval()(torch.zeros(1, 3, 32, 32))
    expected = torch.full((1, 32, 32), 0.5).sigmoid()  # of the first map, which is the image's
    torch.testing.assert_close(found.aggregate, expected)
    assert found.slices.unique().tolist() == [1]
    recipe = model.recipes()["mixing"]
    trained = [name for name, _ in network.named_parameters() if not recipe.group(name).prefix]
    assert trained == [f"deconv_mix.{n}.{part}" for n in (0, 2, 4) for part in ("weight", "bias")]


def test_the_early_model_s_file_is_recognised() -> None:
    with torch.device("meta"):
        state = dict(SimpleMixing(3).state_dict())
    state["pnas.pnas.classifier.weight"] = torch.empty(1, device="meta")
    saved = Checkpoint(state, Path("boosted.pt"))
    assert (published.content(saved), published.slices(saved)) == ("simple", 3)
    assert published.branch(saved, "simple").state.keys() == state.keys() - {
        "pnas.pnas.classifier.weight"
    }
    image = published.branch(saved, "image").state
    assert {key.partition(".")[0] for key in image} == {
        "pnas",
        *(f"deconv_layer{number}" for number in range(6)),
    }
    assert image["deconv_layer5.2.weight"].shape[0] == 1
    with pytest.raises(WeightsError, match=r"an early model.* option 'network' to 'simple'"):
        published.branch(saved, "full")


ENCODERS: dict[str, tuple[int, list[int], list[tuple[int, int]]]] = {
    "vgg16": (
        4,
        [128, 256, 512, 512, 512],
        [(1024, 512), (1024, 256), (512, 128), (256, 128), (128, 128), (128, 1)],
    ),
    "mobilenet_v2": (
        5,
        [16, 24, 32, 96, 1280],
        [(1280, 96), (192, 32), (64, 24), (48, 16), (32, 16), (16, 16), (16, 1)],
    ),
}
"""Decoder layers with a convolution, channels of the levels, and of the convolutions."""


def other_encoder(name: str, **options: Any) -> TempSal:
    model = create("tempsal", options={"encoder": name, "input_size": 32, **options}, defaults={})
    assert isinstance(model, TempSal)
    model.network.eval()
    return model


@pytest.mark.parametrize("name", ENCODERS)
def test_other_encoders_have_the_authors_decoders(name: str) -> None:
    _, levels, convolutions = ENCODERS[name]
    network = other_encoder(name).network
    assert isinstance(network, BackboneBranch)
    seen: list[torch.Tensor] = []
    for end in (*network.ends, len(network.encoder)):
        network.encoder[end - 1].register_forward_hook(lambda *given: seen.append(given[2]))
    with torch.no_grad():
        found = network(torch.randn(2, 3, 64, 96))
    assert [(level.shape[1], level.shape[2]) for level in seen] == [
        *zip(levels, (32, 16, 8, 4, 2), strict=True)
    ]
    assert (found.aggregate.shape, found.slices.shape) == ((2, 64, 96), (2, 0, 64, 96))
    decoder = [m for part in (network.decoder, network.last) for m in part.modules()]
    ours = [(m.in_channels, m.out_channels) for m in decoder if isinstance(m, nn.Conv2d)]
    assert ours == convolutions


def test_another_encoder_starts_from_torchvision_s_file_and_goes_on_from_its_own(
    tmp_path: Path,
) -> None:
    model = other_encoder("mobilenet_v2")
    network = model.network
    assert isinstance(network, BackboneBranch)
    theirs = models.mobilenet_v2(weights=None).state_dict()
    model.start_from(Checkpoint(theirs, Path("mobilenet_v2-b0353104.pth")))
    ours = network.encoder.state_dict()
    assert all(torch.equal(ours[k], theirs[f"features.{k}"]) for k in ours)
    checkpoint.save(tmp_path / "own.safetensors", network.state_dict(), metadata={})
    again = other_encoder("mobilenet_v2")
    again.load(checkpoint.read(tmp_path / "own.safetensors"))
    x = torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(again.network(x).aggregate, network(x).aggregate)
    with pytest.raises(WeightsError, match="does not fit"):
        other_encoder("vgg16").start_from(Checkpoint(theirs, Path("mobilenet_v2.pth")))
    with pytest.raises(ValueError, match="for the image branch"):
        Options(encoder="vgg16", network="full")
    with pytest.raises(UsageError, match="for the image branch"):
        create("tempsal", options=["encoder=vgg16", "network=slices"], defaults={})


def test_further_terms_are_weighed_in_the_loss() -> None:
    model = other_encoder("mobilenet_v2", l1=0.5, nss=0.25)
    assert model.recipes()["image"].losses == {"kld": 1, "cc": -1, "nss": -0.25, "l1": 0.5}
    assert "l1" not in other_encoder("mobilenet_v2").recipes()["image"].losses
    random = torch.Generator().manual_seed(0)
    grey = torch.rand(2, 1, 1, 48, 64, generator=random)
    grey = grey / grey.amax(dim=(3, 4), keepdim=True)  # as SALICON's maps: the peak is white
    density = grey / grey.sum(dim=(3, 4), keepdim=True)
    batch = Batch(torch.randn(2, 1, 3, 32, 32, generator=random), density, density > 0)
    (loss,) = model.losses(batch)
    predicted = model.network(batch.inputs[:, 0]).aggregate
    expected = (predicted - maps.resized(grey[:, 0], (32, 32))[:, 0]).abs().mean()
    torch.testing.assert_close(loss.parts["l1"], expected)
    groups = {
        model.recipes()["image"].group(name).prefix for name, _ in model.network.named_parameters()
    }
    assert groups == {"", "encoder."}


@pytest.mark.endurance
def test_slices_beside_their_ground_truth_become_a_gif(
    salcli: Callable[..., Any], tmp_path: Path
) -> None:
    """A network of zeros, whose slices are all equal."""
    (tmp_path / "truth").mkdir()
    random = np.random.default_rng(0)
    Image.fromarray(random.integers(0, 256, (48, 64, 3), np.uint8)).save(tmp_path / "a.png")
    for index in range(2):
        grey = random.integers(0, 128 * (1 + index), (24, 32), np.uint8)
        Image.fromarray(grey).save(tmp_path / "truth" / f"a_{index}.png")
    network = hollow(network="slices", slices=2).network
    state = {key: tensor.zero_().half() for key, tensor in network.state_dict().items()}
    checkpoint.save(
        tmp_path / "w.safetensors", state, metadata={"options": {"network": "slices", "slices": 2}}
    )
    own = ("--weights", "w.safetensors", "-O", "input_size=32", "--device", "cpu")
    run = salcli("tempsal", "animate", "a.png", "missing.png", "--truth", "truth", *own)
    assert run.returncode == 1, run.stderr
    assert "missing.png" in run.stderr
    with Image.open(tmp_path / "viz_out" / "a.gif") as gif:
        assert (gif.n_frames, gif.size, gif.info["duration"]) == (2, (128, 144), 500)
    (tmp_path / "truth" / "a_1.png").unlink()
    run = salcli("tempsal", "animate", "a.png", "--truth", "truth", *own)
    assert run.returncode == 1
    assert "the model gives 2 slices of 'a', and 'truth' has 1" in run.stderr
