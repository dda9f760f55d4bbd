"""The networks against the original's goldens, and against its frame-by-frame computation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from salcli_salema.architecture import LAYERS
from salcli_salema.convolutions import DoublingConvolution
from salcli_salema.generator import SalGANGenerator
from salcli_salema.network import AveragingStep, SalCLSTM30, SalCLSTM56, SalEMA, start_cells
from torch import Tensor, nn
from torch.nn import functional

from salcli.authoring import winograd

KEYS = Path(__file__).parent / "goldens" / "keys.tsv"

TOLERANCE = 1e-4
"""Absolute tolerance of the network's output, as the goldens state it."""

SAME = 1e-5
"""Tolerance between the maps of a batch and those of single frames."""

W = float(torch.sigmoid(torch.tensor(0.1)))

Weights = Mapping[str, Tensor]
Golden = Callable[[str], tuple[dict[str, Any], dict[str, np.ndarray]]]


def run(network: nn.Module, x: Tensor, cuts: Sequence[int], *, fast: bool, **more: Any) -> Tensor:
    """Maps `[T, h, w]` of one clip `[T, 3, h, w]`, taken in chunks that end at `cuts`."""
    found, state = [], None
    with torch.inference_mode():
        kernels = network.prepared() if fast else None
        for start, stop in pairwise((0, *cuts, len(x))):
            chunk = x[start:stop].contiguous(
                memory_format=torch.channels_last if fast else torch.contiguous_format
            )
            maps, state = network(chunk[None], state, kernels=kernels, **more)
            found.append(maps[0, :, 0])
    return torch.cat(found)


def test_keys_and_sizes_are_the_published_ones(clstm30_state: Weights) -> None:
    published = [tuple(line.split("\t")[:2]) for line in KEYS.read_text().splitlines()[1:]]
    with torch.device("meta"):
        networks = {
            "ema": SalEMA((30,), weights=(W,)),
            "learned": SalEMA((30,), weights=None),
            "double": SalEMA((7, 54), weights=(0.3, 0.3)),
            "static": SalEMA((), weights=()),
            "clstm30": SalCLSTM30(),
            "clstm56": SalCLSTM56(),
        }
    shapes = {
        name: [(key, "x".join(map(str, t.shape))) for key, t in network.state_dict().items()]
        for name, network in networks.items()
    }
    assert shapes["ema"] == shapes["double"] == shapes["static"] == published
    assert shapes["learned"] == [("alpha", "1"), *published]
    gates = [("Gates.weight", "2048x1024x3x3"), ("Gates.bias", "2048")]
    assert shapes["clstm30"] == [*published, *gates]
    assert shapes["clstm56"] == [
        *published[:48],
        ("Gates.weight", "512x256x3x3"),
        ("Gates.bias", "512"),
        ("final_convs.0.weight", "64x128x3x3"),
        ("final_convs.0.bias", "64"),
        ("final_convs.2.weight", "64x64x3x3"),
        ("final_convs.2.bias", "64"),
        ("final_convs.4.weight", "1x64x1x1"),
        ("final_convs.4.bias", "1"),
    ]
    parameters = {n: sum(p.numel() for p in net.parameters()) for n, net in networks.items()}
    assert parameters["ema"] == 31_787_009
    assert parameters["learned"] == 31_787_010
    assert parameters["clstm30"] == 50_663_425
    assert parameters["clstm56"] == 32_967_169


VARIANTS = {
    "ema30": ((30,), (W,), False),
    "ema30_weight0p1": ((30,), (0.1,), False),
    "ema30_residual": ((30,), (W,), True),
    "ema61": ((61,), (W,), False),
    "ema54": ((54,), (W,), False),
    "static": ((), (), False),
}


@pytest.mark.parametrize(
    ("name", "cuts", "fast"),
    [*((name, (3,), True) for name in VARIANTS), ("ema30", (1, 2, 3), False)],
)
def test_averages_equal_the_original(
    name: str, cuts: tuple[int, ...], fast: bool, make_ema: Callable[..., SalEMA], golden: Golden
) -> None:
    _, arrays = golden("network_tensor_variants")
    places, weights, residual = VARIANTS[name]
    network = make_ema(places, weights, residual=residual)
    x = torch.from_numpy(arrays["input_bgr_minus_mean"][:, 0])
    maps = run(network, x, cuts, fast=fast)
    np.testing.assert_allclose(maps.numpy(), arrays[f"output_{name}"], rtol=0, atol=TOLERANCE)


def test_layers_on_the_way_equal_the_original(
    make_ema: Callable[..., SalEMA], golden: Golden
) -> None:
    _, arrays = golden("network_tensor_variants")
    network = make_ema((30,), (W,))
    x = torch.from_numpy(arrays["input_bgr_minus_mean"][:, 0])[None]
    with torch.inference_mode():
        encoded, averages, logits = (network(x, last=layer)[0][0] for layer in (29, 30, 60))
    for ours, key in (
        (encoded[:, ::32], "ema30_encoder29_ch_stride32"),
        (averages[:, ::32], "ema30_state_ch_stride32"),
        (logits[:, 0], "ema30_logit60"),
    ):
        wanted = arrays[key]
        limit = TOLERANCE * np.abs(wanted).max()
        np.testing.assert_allclose(ours.numpy(), wanted, rtol=0, atol=limit, err_msg=key)


@pytest.mark.parametrize(("cuts", "fast"), [((1, 2, 3), False), ((3,), True)])
def test_clstm30_equals_the_original(
    cuts: tuple[int, ...], fast: bool, clstm30_state: Weights, golden: Golden
) -> None:
    _, arrays = golden("network_tensor_variants")
    network = load(SalCLSTM30, clstm30_state)
    x = torch.from_numpy(arrays["input_bgr_minus_mean"][:, 0])
    maps = run(network, x, cuts, fast=fast)
    np.testing.assert_allclose(maps.numpy(), arrays["output_clstm30"], rtol=0, atol=TOLERANCE)
    with torch.inference_mode():
        _, state = network(x[None], kernels=network.prepared() if fast else None)
    wanted = arrays["clstm30_final_hidden_cell_ch_stride64"]
    ours = torch.cat(state)[:, ::64].numpy()
    np.testing.assert_allclose(ours, wanted, rtol=0, atol=TOLERANCE * np.abs(wanted).max())


def load(kind: Callable[..., nn.Module], state: Weights, **more: Any) -> nn.Module:
    with torch.device("meta"):
        network = kind(**more)
    network.load_state_dict(dict(state), assign=True)
    return network.eval()


class Original:
    """The specification's pseudo-code, one frame after another, with ReLUs in place as there."""

    def __init__(self, chain: SalGANGenerator) -> None:
        self.state = chain.state_dict()

    def layer(self, index: int, x: Tensor) -> Tensor:
        match LAYERS[index].kind:
            case "conv":
                weight = self.state[f"{index}.weight"]
                padding = weight.shape[-1] // 2
                return functional.conv2d(x, weight, self.state[f"{index}.bias"], padding=padding)
            case "relu":
                return functional.relu(x, inplace=index < 30)
            case "pool":
                return functional.max_pool2d(x, 2)
            case "upsample":
                return functional.interpolate(x, scale_factor=2, mode="nearest")
            case _:
                return torch.sigmoid(x)

    def clip(self, x: Tensor, weights: Mapping[int, float], *, residual: bool) -> Tensor:
        """Maps `[T, h, w]` for averages at the places that `weights` names."""
        states: dict[int, Tensor] = {}
        maps = []
        for frame in x:
            y = frame[None].clone()
            for index in range(len(LAYERS)):
                around = y
                y = self.layer(index, y)
                if index in weights:
                    w = weights[index]
                    y = w * y + (1 - w) * states[index] if index in states else y
                    states[index] = y
                    y = y + around if residual else y
            maps.append(y[0, 0])
        return torch.stack(maps)


def eighth(channels: int) -> int:
    return channels if channels in (1, 3) else channels // 8


THIN = [replace(layer, cin=eighth(layer.cin), cout=eighth(layer.cout)) for layer in LAYERS]


@pytest.fixture(scope="session")
def thin(sw1: Callable[..., None]) -> SalGANGenerator:
    """The layers with an eighth of the channels, which is enough to test their order."""
    chain = SalGANGenerator(THIN)
    sw1(chain, gains={"0.weight": 0.02})
    return chain.eval()


def thinned(
    chain: SalGANGenerator, places: tuple[int, ...], weights: tuple[float, ...], **more: Any
) -> SalEMA:
    with torch.device("meta"):
        network = SalEMA(places, weights=weights, **more)
    network.salgan = chain
    return network


def frames(count: int) -> Tensor:
    generator = torch.Generator().manual_seed(count)
    slow = torch.randn(1, 3, 32, 48, generator=generator)
    return 40 * (slow + torch.randn(count, 3, 32, 48, generator=generator))


PLACES = [
    *(((place,), False) for place in (0, 2, 3, 4, 7, 9, 24, 29, 30, 36, 37, 44, 55, 60, 61)),
    *(((place,), True) for place in (1, 2, 3, 28, 29, 30, 37, 53, 61)),
    *((places, False) for places in ((7, 54), (0, 2), (30, 61))),
]


@pytest.mark.parametrize(("places", "residual"), PLACES)
def test_batches_equal_single_frames_at_every_kind_of_place(
    places: tuple[int, ...], residual: bool, thin: SalGANGenerator
) -> None:
    x = frames(5)
    weights = (0.3, 0.6)[: len(places)]
    network = thinned(thin, places, weights, residual=residual)
    with torch.inference_mode():
        original = Original(thin)
        wanted = original.clip(x, dict(zip(places, weights, strict=True)), residual=residual)
    assert (wanted[1:] - wanted[:-1]).abs().max() > 100 * SAME
    for cuts, fast in (((1, 2, 3, 4), False), ((2, 3), True), ((), True)):
        maps = run(network, x, cuts, fast=fast)
        torch.testing.assert_close(maps, wanted, rtol=0, atol=SAME)


def test_an_encoder_place_keeps_the_rectified_average(thin: SalGANGenerator) -> None:
    """The original's quirk makes a difference, so the test above would notice its absence."""
    x, network = frames(3), thinned(thin, (7,), (0.3,))
    with torch.inference_mode():
        maps, state = network(x[None])
        network.rectified = lambda place: False
        natural, _ = network(x[None])
    assert state[0].min() == 0
    assert (maps - natural).abs().max() > 100 * SAME


@pytest.mark.parametrize("kind", ["clstm30", "clstm30-residual", "clstm56"])
def test_batches_equal_single_frames_with_a_cell(kind: str, thin: SalGANGenerator) -> None:
    x, network = frames(4), thin_with_cell(thin, kind)
    wanted = run(network, x, (1, 2, 3), fast=False)
    assert (wanted[1:] - wanted[:-1]).abs().max() > 100 * SAME
    for cuts in ((1,), (2,), ()):
        torch.testing.assert_close(run(network, x, cuts, fast=True), wanted, rtol=0, atol=SAME)


def thin_with_cell(thin: SalGANGenerator, kind: str) -> nn.Module:
    torch.manual_seed(0)
    with torch.device("meta"):
        full = kind == "clstm56"
        network = SalCLSTM56() if full else SalCLSTM30(residual="residual" in kind)
    channels = network.Gates.in_channels // 16
    network.Gates = nn.Conv2d(2 * channels, 4 * channels, 3, padding=1)
    network.salgan = thin
    if full:
        network.salgan = SalGANGenerator(THIN[:56]).eval()
        network.salgan.load_state_dict(thin.state_dict(), strict=False)
        network.final_convs = nn.Sequential(*list(thin)[56:])
    return network.eval()


def test_a_cell_is_the_one_that_the_paper_s_code_has() -> None:
    """Gates are input, forget, output, candidate; the cell, not the hidden state, is decoded."""
    torch.manual_seed(0)
    network = SalCLSTM56()
    x = torch.randn(1, 2, 3, 16, 16)
    with torch.inference_mode():
        small = network(x, last=55)[0][0]
        hidden = cell = torch.zeros(1, 128, 16, 16)
        found = []
        for value in small:
            gates = network.Gates(torch.cat([value[None], hidden], dim=1))
            i, f, o, g = gates.chunk(4, dim=1)
            cell = torch.sigmoid(f) * cell + torch.sigmoid(i) * torch.tanh(g)
            hidden = torch.sigmoid(o) * torch.tanh(cell)
            found.append(network.final_convs(cell)[0])
        torch.testing.assert_close(network(x)[0][0], torch.stack(found))


def test_first_frame_equals_the_static_network(thin: SalGANGenerator) -> None:
    x, static = frames(1), thinned(thin, (), ())
    wanted = run(static, x, (), fast=False)
    for place in (2, 30, 61):
        assert torch.equal(run(thinned(thin, (place,), (0.2,)), x, (), fast=False), wanted)


def test_several_runs_at_once_are_independent(thin: SalGANGenerator) -> None:
    network = thinned(thin, (30,), (W,))
    one, other = frames(3), frames(4)[:3]
    with torch.inference_mode():
        maps, state = network(torch.stack([one, other]))
    assert maps.shape == (2, 3, 1, 32, 48)
    assert state[0].shape[0] == 2
    for index, clip in enumerate((one, other)):
        alone = run(network, clip, (), fast=False)
        torch.testing.assert_close(maps[index, :, 0], alone, rtol=0, atol=SAME)


@pytest.mark.parametrize(("channels", "size"), [(3, (5, 7)), (128, (24, 32))])
@pytest.mark.parametrize("bias", [True, False])
def test_doubling_and_convolution_by_phases(
    channels: int, size: tuple[int, int], bias: bool
) -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(channels, 64, 3, padding=1, bias=bias)
    x = torch.randn(2, channels, *size).to(memory_format=torch.channels_last)
    with torch.inference_mode():
        ours = DoublingConvolution(conv)(x).double()
        doubled = functional.interpolate(x.double(), scale_factor=2, mode="nearest")
        true = conv.double()(doubled)
    torch.testing.assert_close(ours, true, rtol=0, atol=1e-5)


def test_small_maps_take_the_plain_convolution(make_ema: Callable[..., SalEMA]) -> None:
    x, network = 40 * torch.randn(2, 3, 48, 80), make_ema((30,), (W,))
    wanted = run(network, x, (1,), fast=False)
    torch.testing.assert_close(run(network, x, (), fast=True), wanted, rtol=0, atol=SAME)


@pytest.mark.parametrize("place", [3, 30])
def test_dropout_takes_whole_channels_and_is_asked_for(place: int, thin: SalGANGenerator) -> None:
    network = thinned(thin, (place,), (W,))
    x = frames(2)
    assert torch.equal(run(network, x, (), fast=False), run(network, x, (), fast=False))
    torch.manual_seed(0)
    one = run(network, x, (), fast=False, dropout=True)
    other = run(network, x, (), fast=False, dropout=True)
    torch.manual_seed(0)
    again = run(network, x, (), fast=False, dropout=True)
    assert torch.equal(one, again)
    assert (one - other).abs().max() > 100 * SAME


def test_a_cell_starts_with_the_authors_seed() -> None:
    gates, last = nn.Conv2d(8, 16, 3), nn.Conv2d(4, 1, 1)
    state = torch.random.get_rng_state()
    start_cells([gates, last])
    assert torch.equal(state, torch.random.get_rng_state())
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(65)
        for conv in (gates, last):
            assert torch.equal(conv.weight, nn.init.xavier_normal_(torch.empty(conv.weight.shape)))
            assert not conv.bias.any()


def test_multiplications_are_those_of_the_card() -> None:
    """At 192x256: 4/9 after an upsampling, and a quarter by Winograd's way, after it as well."""
    height, width, plain, fast, doubled = 192, 256, 0, 0, False
    for layer in LAYERS:
        if layer.kind == "pool":
            height, width = height // 2, width // 2
        if layer.kind == "conv":
            shape = (layer.cout, layer.cin, layer.kernel, layer.kernel)
            tiled = winograd.is_wide(torch.empty(shape)) and winograd.fits(
                torch.empty(1, layer.cin, height, width)
            )
            work = layer.cin * layer.cout * layer.kernel**2 * height * width
            plain += 4 * work if doubled else work
            fast += (work if tiled else 16 * work // 9) if doubled else work // (4 if tiled else 1)
            if doubled:
                height, width = 2 * height, 2 * width
        doubled = layer.kind == "upsample"
    gates = 1024 * 2048 * 9 * 12 * 16
    found = [f"{n / 1e9:.2f}" for n in (plain, fast, plain + gates, fast + gates)]
    assert found == ["39.95", "15.16", "43.57", "18.79"]


@pytest.mark.parametrize("place", [30, 28])
@torch.inference_mode()
def test_a_step_with_an_explicit_state_computes_the_same(place: int) -> None:
    torch.manual_seed(0)
    network = SalEMA((place,), weights=(0.4,), residual=place == 28).eval()
    frames, step = torch.randn(3, 3, 32, 32), AveragingStep(network)
    expected, _ = network(frames[None])
    average, begun = torch.zeros_like(step.before(frames[:1])[0]), torch.zeros(1, 1, 1, 1)
    for frame, wanted in zip(frames, expected[0], strict=True):
        found, average, begun = step(frame[None], average, begun)
        torch.testing.assert_close(found[0], wanted, rtol=0, atol=1e-6)
