"""TASED-Net against the original, from the network's input."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from salcli_tased import s3d
from salcli_tased.folded import Folded
from salcli_tased.model import Tased
from salcli_tased.network import Pooling, TasedNet, over_space, over_time, unpool
from salcli_tased.streaming import Streaming
from torch import nn
from torch.nn import functional
from torchvision.models.video import s3d as torchvision_s3d

from salcli import WeightsError
from salcli.authoring import Checkpoint, checkpoint

GOLDENS = Path(__file__).parent / "goldens"
Arrays = dict[str, np.ndarray]
Make = Callable[..., Tased]


def close(ours: torch.Tensor, golden: np.ndarray, tolerance: float) -> None:
    np.testing.assert_allclose(ours.numpy(), golden, rtol=0, atol=tolerance)


@contextmanager
def algorithms(*, deterministic: bool) -> Iterator[None]:
    torch.use_deterministic_algorithms(deterministic)
    yield
    torch.use_deterministic_algorithms(False)


def test_state_dict_keys_are_the_published_ones(network: TasedNet) -> None:
    lines = (GOLDENS / "keys.tsv").read_text().splitlines()[1:]
    ours = [
        (key, "x".join(map(str, tensor.shape)) or "scalar")
        for key, tensor in network.state_dict().items()
    ]
    assert ours == [tuple(line.split("\t")[:2]) for line in lines]
    assert sum(p.numel() for p in network.parameters()) == 21_260_693


@torch.inference_mode()
def test_network_equals_the_original(network: TasedNet, small: Arrays, clip: torch.Tensor) -> None:
    features = network.encode(clip)
    close(network.maxm2(features.y3)[0, ::8], small["y3m"], 1e-4)
    close(network.maxm3(features.y2)[0, ::8], small["y2m"], 1e-4)
    close(features.y0[0], small["y0"], 1e-3)
    for name in ("i2", "i1", "i0"):
        assert np.array_equal(getattr(features, name)[0].numpy(), small[name])
    close(network.convtsp1(features.y0)[0, ::4], small["z1"], 1e-3)
    saliency = network.decode(features)[0]
    close(saliency, small["out"], 1e-4)
    close(saliency.logit(), small["pre"], 1e-3)
    close(network(clip[..., :60, :92])[0], small["out_odd"], 1e-4)


@torch.inference_mode()
@pytest.mark.parametrize(("name", "height", "width"), [("out", 64, 96), ("out_odd", 60, 92)])
def test_stream_equals_the_original(
    name: str, height: int, width: int, network: TasedNet, small: Arrays, clip: torch.Tensor
) -> None:
    stream = Streaming(Folded(network), 32, most=32)
    stream.push(clip[0, ..., :height, :width].transpose(0, 1))
    close(stream.maps(range(1))[0], small[name], 1e-4)


def last_wins(x: torch.Tensor, switches: torch.Tensor, size: tuple[int, ...]) -> torch.Tensor:
    """The rule itself: one source after the other."""
    out = torch.zeros(*x.shape[:2], int(np.prod(size)))
    for b, c in np.ndindex(*x.shape[:2]):
        for place, value in zip(switches[b, c].flatten(), x[b, c].flatten(), strict=True):
            out[b, c, place] = value
    return out.view(*x.shape[:2], *size)


@pytest.mark.parametrize("threads", [1, 2, 5, 7])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last_3d])
def test_of_colliding_sources_the_last_wins(threads: int, layout: torch.memory_format) -> None:
    torch.manual_seed(0)
    pooled = torch.rand(2, 3, 4, 9, 14)
    x, switches = functional.max_pool3d(
        pooled, (1, 3, 3), (1, 2, 2), (0, 1, 1), return_indices=True
    )
    x = torch.rand_like(x)  # or colliding sources would be equal
    wanted = last_wins(x, switches, pooled.shape[2:])
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        found = unpool(x.contiguous(memory_format=layout), switches, pooled.shape[2:])
    finally:
        torch.set_num_threads(before)
    assert torch.equal(found, wanted)


def test_gradient_of_unpooling_reaches_overwritten_sources() -> None:
    x = torch.tensor([1.0, 2.0, 3.0]).view(1, 1, 1, 1, 3).requires_grad_()
    switches = torch.tensor([1, 3, 3]).view(1, 1, 1, 1, 3)
    out = unpool(x, switches, torch.Size((1, 1, 4)))
    assert out.flatten().tolist() == [0, 1, 0, 3]
    torch.autograd.backward(out, torch.tensor([5.0, 6.0, 7.0, 8.0]).view(1, 1, 1, 1, 4))
    assert x.grad is not None
    assert x.grad.flatten().tolist() == [6, 8, 8]


@pytest.fixture(scope="module")
def kinetics(sw1: Callable[..., None]) -> dict[str, torch.Tensor]:
    """An S3D with synthetic weights, under its own names."""
    net = TasedNet()
    pool = nn.Identity()
    trunk = [*net.base1, pool, *net.base2, pool, *net.base3, pool, *net.base4]
    whole = nn.ModuleDict(
        {"base": nn.Sequential(*trunk), "fc": nn.Sequential(nn.Conv3d(1024, 400, 1))}
    )
    sw1(whole)
    return whole.state_dict()


def saved(state: dict[str, torch.Tensor]) -> Checkpoint:
    return Checkpoint(state, Path("S3D_kinetics400.pt"))


@pytest.mark.parametrize("prefix", ["module.", ""])
@torch.inference_mode()
def test_s3d_starts_the_encoder(
    prefix: str, kinetics: dict[str, torch.Tensor], make: Make, clip: torch.Tensor, tmp_path: Path
) -> None:
    torch.save({prefix + key: t for key, t in kinetics.items()}, tmp_path / "S3D_kinetics400.pt")
    model = make({})
    decoder = model.network.convtsp1[0].weight.clone()
    model.start_from(checkpoint.read(tmp_path / "S3D_kinetics400.pt"))
    y0 = model.network.encode(clip).y0
    close(y0[0, ::8], np.load(GOLDENS / "s3d_init.npz")["y0"], 2e-3)
    assert torch.equal(model.network.convtsp1[0].weight, decoder)


def test_torchvision_s3d_starts_the_encoder(make: Make) -> None:
    torch.manual_seed(0)
    theirs = torchvision_s3d().eval()
    theirs.features[0][0][1].running_mean.normal_()
    model = make({})
    model.start_from(saved(theirs.state_dict()))
    pixels = torch.rand(1, 3, 8, 32, 32)
    mean, std = (torch.tensor(v).view(1, 3, 1, 1, 1) for v in s3d.KINETICS)
    with torch.inference_mode():
        ours = model.network.base1[0].bn_s(model.network.base1[0].conv_s(2 * pixels - 1))
        first = theirs.features[0]
        wanted = first[0][1](first[0][0]((pixels - mean) / std))
        inner = (
            ...,
            slice(2, -2),
            slice(2, -2),
        )  # padding is black for the one, grey for the other
        torch.testing.assert_close(ours[inner], wanted[inner], rtol=0, atol=1e-4)
        x = torch.rand(1, 192, 4, 8, 8)
        torch.testing.assert_close(
            model.network.base2(x), theirs.features[6](theirs.features[5](x))
        )
        x = torch.rand(1, 832, 4, 2, 2)
        torch.testing.assert_close(
            model.network.base4(x), theirs.features[15](theirs.features[14](x))
        )


def test_s3d_predicts_nothing(kinetics: dict[str, torch.Tensor], make: Make) -> None:
    with pytest.raises(WeightsError, match=r"without TASED-Net's decoder.*salcli train"):
        make({}).load(saved(kinetics))


def test_a_foreign_start_is_refused(kinetics: dict[str, torch.Tensor], make: Make) -> None:
    missing = {key: t for key, t in kinetics.items() if key != "base.9.branch0.0.conv.weight"}
    with pytest.raises(WeightsError, match=r"1 missing keys: base3\.1\.branch0\.0\.conv\.weight$"):
        make({}).start_from(saved(missing))
    wrong = {**kinetics, "base.0.conv_s.weight": torch.zeros(64, 3, 1, 5, 5)}
    with pytest.raises(WeightsError, match=r"1 wrong shapes: base1\.0\.conv_s\.weight"):
        make({}).start_from(saved(wrong))
    more = {**kinetics, "base.16.conv.weight": torch.zeros(1)}
    with pytest.raises(WeightsError, match=r"1 unexpected keys: base4\.2\.conv\.weight"):
        make({}).start_from(saved(more))
    with pytest.raises(WeightsError, match=r"not torchvision's S3D: it has 1 entries"):
        make({}).start_from(saved({"features.0.0.weight": torch.zeros(1)}))
    with pytest.raises(WeightsError, match=r"S3D_kinetics400\.pt"):
        make({}).start_from(saved({"fc.weight": torch.zeros(1)}))


def test_poolings_have_a_gradient_that_is_deterministic_on_a_gpu() -> None:
    torch.manual_seed(0)
    start = functional.relu(torch.randn(1, 2, 4, 9, 11))  # many maxima are equal, to 0
    for pooling in (over_space(), over_time(2, switches=True), Pooling(3, stride=1, padding=1)):
        found = []
        for deterministic in (False, True):
            x = start.clone().requires_grad_()
            with algorithms(deterministic=deterministic):
                pooled = pooling(x)
                values = pooled[0] if pooling.return_indices else pooled
                assert ("MaxPool3D" in values.grad_fn.name()) != deterministic
                values.square().sum().backward()
            found.append((values, x.grad, *(pooled[1:] if pooling.return_indices else ())))
        for plain, other in zip(*found, strict=True):
            torch.testing.assert_close(other, plain)
