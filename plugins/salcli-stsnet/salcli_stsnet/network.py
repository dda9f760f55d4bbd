"""The nets of the paper, as their Caffe files describe them.

A stream is a chain of nine convolutions with a learned upsampling at its end. A two-stream net has
the first convolutions twice, for the frame (`conv1`, ...) and for the optical flow (`conv1_b`,
...), and joins their outputs. Every convolution keeps the size, every pooling halves it, rounding
up.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from salcli_stsnet import Net
from salcli_stsnet.convolutions import Convolution, WideConvolution

__all__ = ["CONVOLUTIONS", "LAYERS", "SINGLE", "STSNet", "Streams", "net_of"]

CONVOLUTIONS = (
    (3, 96, 7),
    (96, 256, 5),
    (256, 512, 3),
    (512, 512, 5),
    (512, 512, 5),
    (512, 256, 7),
    (256, 128, 11),
    (128, 32, 11),
    (32, 1, 13),
)
"""Input channels, output channels and kernel side of `conv1` to `conv9`."""

LAST = len(CONVOLUTIONS)

ROWS = 32
"""Number of rows that `begin` computes at once; even."""

SHRINKING = 4
"""Two poolings halve the sides, and `deconv1` enlarges by the same factor."""

MANY_CHANNELS = 96
"""From this many input channels on, convolutions are faster with fewer multiplications: all but
`conv1` and `conv9`."""

SINGLE: tuple[Net, ...] = ("ssnet", "tsnet")
"""Single-stream nets, with the same layers; their input is either the frame or the flow."""


@dataclass(frozen=True)
class Fusion:
    """How the two streams are joined after convolution number `after`."""

    after: int
    kind: Literal["maximum", "convolution", "mean"]


FUSIONS: dict[Net, Fusion] = {
    "stsconvnet": Fusion(5, "convolution"),
    "stsmaxnet": Fusion(5, "maximum"),
    "earlyfusion": Fusion(4, "convolution"),
    "stsavgnet": Fusion(LAST, "mean"),
}

LAYERS = frozenset(
    [
        *(f"conv{number}{suffix}" for number in range(1, LAST + 1) for suffix in ("", "_b")),
        *("conv_fuse", "deconv1", "deconv1_b"),
    ]
)
"""Names of all layers with weights in any net."""


def net_of(keys: Collection[str], *, name: str = "") -> Net | None:
    """The net that has these state-dict keys; `name` is the net's name in the file.

    SSNet and TSNet differ only in that name. `None` if the keys do not belong to any net.
    """
    if "conv1.weight" not in keys or "deconv1.weight" not in keys:
        return None
    if "conv_fuse.weight" in keys:
        return "stsconvnet" if "conv5_b.weight" in keys else "earlyfusion"
    if "deconv1_b.weight" in keys:
        return "stsavgnet"
    if "conv6_b.weight" in keys:
        return None  # late fusion, which was withdrawn; such a file never worked
    if "conv1_b.weight" in keys:
        return "stsmaxnet"
    return "tsnet" if name.lower().startswith("tsnet") else "ssnet"


def response_norm(x: Tensor) -> Tensor:
    """Caffe's LRN across 5 channels: x / (1 + 1e-4 / 5 * sum of squares) ** 0.75."""
    exact = x if x.dtype == torch.float64 else x.float()  # squares may overflow float16
    squares = functional.pad(exact.square(), (0, 0, 0, 0, 2, 2))
    channels = x.shape[1]
    around = squares[:, :channels]
    for first in range(1, 5):
        around = around + squares[:, first : first + channels]
    return (exact * (1 + 1e-4 / 5 * around) ** -0.75).to(x.dtype)


def pool(x: Tensor) -> Tensor:
    """Maximum over 3 x 3 pixels, every second pixel; the size is rounded up as Caffe does."""
    return functional.max_pool2d(x, 3, stride=2, ceil_mode=True)


def begin(layer: Convolution, x: Tensor) -> Tensor:
    """`conv1` with its ReLU, norm and pooling, some rows at a time.

    The pooling's input is by far the largest tensor of the net.
    """
    margin = layer.kernel_size[0] // 2
    padded = functional.pad(x, (0, 0, margin, margin))
    parts = []
    for first in range(0, x.shape[2] - 1, ROWS):
        # windows are three rows high and two apart: each part needs the first row of the next
        rows = padded[:, :, first : first + ROWS + 1 + 2 * margin]
        rows = functional.conv2d(rows, layer.weight, layer.bias, padding=(0, margin))
        parts.append(pool(response_norm(functional.relu(rows, inplace=True))))
    return torch.cat(parts, dim=2)


def convolution(inputs: int, outputs: int, side: int) -> Convolution:
    """A convolution that keeps the size, of the fastest kind."""
    if inputs >= MANY_CHANNELS:
        return WideConvolution(inputs, outputs, side)
    return Convolution(inputs, outputs, side)


class Upsampling(nn.ConvTranspose2d):
    """Enlarges height and width by four with learned weights, initialised as a mean."""

    def __init__(self) -> None:
        super().__init__(1, 1, 2 * SHRINKING, stride=SHRINKING, padding=SHRINKING // 2, bias=False)

    def reset_parameters(self) -> None:
        """Initialise as SalNet's training did."""
        nn.init.normal_(self.weight, mean=1 / self.weight.numel(), std=1e-6)


class Averaging(Convolution):
    """Joins two streams by a learned mixture of their channels, initialised as their mean."""

    def __init__(self, channels: int) -> None:
        super().__init__(2 * channels, channels, 1)

    def reset_parameters(self) -> None:
        """Initialise as the mean of the two streams."""
        outputs = self.out_channels
        with torch.no_grad():
            self.weight.zero_()
            for channel in range(outputs):
                self.weight[channel, [channel, outputs + channel]] = 0.5
        if self.bias is not None:
            nn.init.zeros_(self.bias)


class STSNet(nn.Module):
    """One of the nets; attribute names are the layer names of the Caffe files."""

    def __init__(self, net: Net) -> None:
        super().__init__()
        self.net = net
        self.fusion = FUSIONS.get(net)
        twice = self.fusion.after if self.fusion else 0
        for number, (inputs, outputs, side) in enumerate(CONVOLUTIONS, start=1):
            for suffix in ("", "_b") if number <= twice else ("",):
                self.add_module(f"conv{number}{suffix}", convolution(inputs, outputs, side))
        if self.fusion and self.fusion.kind == "convolution":
            self.conv_fuse = Averaging(CONVOLUTIONS[twice - 1][1])
        for suffix in ("", "_b") if twice == LAST else ("",):
            self.add_module(f"deconv1{suffix}", Upsampling())

    def prepare(self) -> None:
        """Compute wide convolutions with fewer multiplications until the next training."""
        for module in self.modules():
            if isinstance(module, WideConvolution):
                module.prepare()

    def forward(self, frame: Tensor, flow: Tensor) -> Tensor:
        """Raw saliency `[N, 1, 4 * (h // 4), 4 * (w // 4)]`, about -1 to 1.

        Args:
            frame: `[N, 3, h, w]`, preprocessed; TSNet ignores it.
            flow: The optical flow's picture, likewise; SSNet ignores it. May be `frame`.
        """
        if self.fusion is None:
            x = self.convolve(flow if self.net == "tsnet" else frame, 1, LAST)
            return self.upsample(x)
        after = self.fusion.after
        one, two = self.convolve(frame, 1, after), self.convolve(flow, 1, after, suffix="_b")
        if self.fusion.kind == "mean":
            return (self.upsample(one) + self.upsample(two, suffix="_b")) / 2
        if self.fusion.kind == "maximum":
            fused = torch.maximum(one, two)
        else:
            fused = self.conv_fuse(torch.cat([one, two], dim=1))
        return self.upsample(self.convolve(fused, after + 1, LAST))

    def convolve(self, x: Tensor, first: int, last: int, *, suffix: str = "") -> Tensor:
        """Convolutions `first` to `last` of a stream, each with its following layers."""
        for number in range(first, last + 1):
            layer = cast(Convolution, self.get_submodule(f"conv{number}{suffix}"))
            if number == 1:
                x = begin(layer, x)
                continue
            x = layer(x)
            if number < LAST:
                x = functional.relu(x, inplace=True)
            if number == 2:
                x = pool(x)
        return x

    def upsample(self, x: Tensor, *, suffix: str = "") -> Tensor:
        """The chain's last layer."""
        enlarged: Tensor = self.get_submodule(f"deconv1{suffix}")(x)
        return enlarged


class Streams(nn.Module):
    """A net as a function of tensors: frames and flows `[N, 3, h, w]` to a tuple of its output.

    Args:
        network: The net.
        pad: Whether the input is padded to a multiple of `SHRINKING`, so that the output has its
            size.
        swapped: Whether the first stream sees the flow.
    """

    def __init__(self, network: STSNet, *, pad: bool, swapped: bool) -> None:
        super().__init__()
        self.network, self.pad, self.swapped = network, pad, swapped

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Of a net that sees one of both, the only input may be given."""
        frames, flows = inputs[0], inputs[-1]
        if self.swapped:
            frames, flows = flows, frames
        height, width = frames.shape[-2:]
        if self.pad:
            margins = (0, -width % SHRINKING, 0, -height % SHRINKING)
            frames, flows = (functional.pad(x, margins, "reflect") for x in (frames, flows))
        return (self.network(frames, flows)[..., :height, :width],)
