"""TASED-Net as published (sections 3 and 4 of the paper); attribute names are the published keys.

Shapes are `[B, C, T, h, w]`; the standard clip is T = 32 frames of 224 x 384.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["ClipMap", "Features", "Mixed", "SeparableUnit", "TasedNet", "Unit", "unpool"]


def norm(channels: int) -> nn.BatchNorm3d:
    """The batch norm of S3D."""
    return nn.BatchNorm3d(channels, eps=1e-3, momentum=0.001)


class Unit(nn.Module):
    """1x1x1 convolution, norm, ReLU."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv3d(inputs, outputs, 1, bias=False)
        self.bn = norm(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Convolution, norm and ReLU of `[B, C, T, h, w]`."""
        return functional.relu(self.bn(self.conv(x)), inplace=True)


class SeparableUnit(nn.Module):
    """Convolution over space, norm, ReLU; then over time, norm, ReLU."""

    def __init__(self, inputs: int, outputs: int, size: int, stride: int = 1) -> None:
        super().__init__()
        half = size // 2
        self.conv_s = nn.Conv3d(
            inputs,
            outputs,
            (1, size, size),
            stride=(1, stride, stride),
            padding=(0, half, half),
            bias=False,
        )
        self.bn_s = norm(outputs)
        self.conv_t = nn.Conv3d(
            outputs,
            outputs,
            (size, 1, 1),
            stride=(stride, 1, 1),
            padding=(half, 0, 0),
            bias=False,
        )
        self.bn_t = norm(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Both steps on `[B, C, T, h, w]`."""
        x = functional.relu(self.bn_s(self.conv_s(x)), inplace=True)
        return functional.relu(self.bn_t(self.conv_t(x)), inplace=True)


class Mixed(nn.Module):
    """Inception block: four branches side by side.

    Args:
        inputs: Input channels.
        widths: Output channels of: branch 0; branch 1, reduced and final; branch 2, reduced and
            final; branch 3.
    """

    def __init__(self, inputs: int, widths: tuple[int, int, int, int, int, int]) -> None:
        super().__init__()
        plain, reduced1, out1, reduced2, out2, pooled = widths
        self.branch0 = nn.Sequential(Unit(inputs, plain))
        self.branch1 = nn.Sequential(Unit(inputs, reduced1), SeparableUnit(reduced1, out1, 3))
        self.branch2 = nn.Sequential(Unit(inputs, reduced2), SeparableUnit(reduced2, out2, 3))
        self.branch3 = nn.Sequential(Pooling(3, stride=1, padding=1), Unit(inputs, pooled))

    def forward(self, x: Tensor) -> Tensor:
        """The branches' outputs for `[B, C, T, h, w]`, in order, as channels."""
        branches = (self.branch0, self.branch1, self.branch2, self.branch3)
        return torch.cat([branch(x) for branch in branches], dim=1)


class Pooling(nn.MaxPool3d):
    """Max-pooling with a gradient that can repeat itself to the last bit on CUDA.

    PyTorch's own adds it up in any order there, and refuses where algorithms must be deterministic;
    then the maxima are gathered from their places, whose gradient PyTorch adds up in order.
    """

    def forward(self, x: Tensor) -> Any:
        """The maxima of `[B, C, T, h, w]`, and their flat places if `return_indices`."""
        if not torch.are_deterministic_algorithms_enabled():
            return super().forward(x)
        how = self.kernel_size, self.stride, self.padding
        places: Tensor = functional.max_pool3d(x.detach(), *how, return_indices=True)[1]
        values = x.flatten(2).gather(2, places.flatten(2)).view_as(places)
        return (values, places) if self.return_indices else values


class Unpool(torch.autograd.Function):
    """Max-unpooling in which the last source in raster order wins on every device.

    The gradient is the published one: every source gets its target's gradient, even where another
    source has overwritten it.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, switches: Tensor, size: tuple[int, int, int]) -> Tensor:
        """The sources of `x [B, C, t, h, w]` at their places in a volume of zeros."""
        ctx.save_for_backward(switches)
        where = switches.flatten(2)
        order = torch.arange(where.shape[2], device=x.device).expand_as(where)
        places = size[0] * size[1] * size[2]
        winner = torch.full((*x.shape[:2], places), -1, device=x.device, dtype=torch.int64)
        winner.scatter_reduce_(2, where, order, "amax")
        values = x.flatten(2).gather(2, winner.clamp(min=0))
        return values.masked_fill_(winner < 0, 0).view(*x.shape[:2], *size)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        """Gathers."""
        (switches,) = ctx.saved_tensors
        gathered = gradients[0].flatten(2).gather(2, switches.flatten(2))
        return gathered.view(switches.shape), None, None


def unpool(x: Tensor, switches: Tensor, size: torch.Size) -> Tensor:
    """Put `x [B, C, t, h, w]` where the maxima were, in zeros `[B, C, *size]`.

    The decoder's windows overlap, so sources collide. PyTorch's own operator then keeps whichever
    is written last, which is a race on a GPU or with several threads.

    Args:
        x: The sources.
        switches: Flat places in the volume, as `max_pool3d` returns them.
        size: `(T, H, W)` of the volume.
    """
    output: Tensor = Unpool.apply(x, switches, tuple(size))
    return output


@dataclass(frozen=True)
class Features:
    """What the encoder passes to the decoder.

    Attributes:
        y3, y2: Outputs of `base1` and `base2`.
        y0: Output of `base4`.
        i2, i1, i0: Switches of `maxt2`, `maxt3`, `maxp4`.
        size2, size1: `(T, H, W)` of what `maxt2` and `maxt3` pool.
    """

    y3: Tensor
    y2: Tensor
    y0: Tensor
    i2: Tensor
    i1: Tensor
    i0: Tensor
    size2: torch.Size
    size1: torch.Size


def over_time(factor: int, *, switches: bool = False) -> Pooling:
    """Max-pooling of groups of `factor` slices."""
    return Pooling((factor, 1, 1), return_indices=switches)


def over_space(*, switches: bool = False) -> Pooling:
    """Max-pooling that halves height and width."""
    return Pooling((1, 3, 3), (1, 2, 2), (0, 1, 1), return_indices=switches)


def upwards(inputs: int, outputs: int, size: int, stride: int = 1) -> list[nn.Module]:
    """Transposed convolution over space, norm, ReLU."""
    padding = 0 if size == 1 else 1
    kernel, strides, paddings = (1, size, size), (1, stride, stride), (0, padding, padding)
    return [
        nn.ConvTranspose3d(inputs, outputs, kernel, strides, paddings, bias=False),
        norm(outputs),
        nn.ReLU(inplace=True),
    ]


def halving(channels: int) -> list[nn.Module]:
    """Convolution of pairs of slices, norm, ReLU."""
    kernel = (2, 1, 1)
    return [
        nn.Conv3d(channels, channels, kernel, kernel, bias=False),
        norm(channels),
        nn.ReLU(inplace=True),
    ]


class TasedNet(nn.Module):
    """Predicts the saliency map of the last frame of a clip.

    Args:
        clip_length: Frames of a clip: 32 as published; 16 and 64 change only the poolings over
            time, which have no weights.
    """

    def __init__(self, clip_length: int = 32) -> None:
        super().__init__()
        self.base1 = nn.Sequential(
            SeparableUnit(3, 64, 7, 2), over_space(), Unit(64, 64), SeparableUnit(64, 192, 3)
        )
        self.base2 = nn.Sequential(
            Mixed(192, (64, 96, 128, 16, 32, 32)), Mixed(256, (128, 128, 192, 32, 96, 64))
        )
        self.base3 = nn.Sequential(
            Mixed(480, (192, 96, 208, 16, 48, 64)),
            Mixed(512, (160, 112, 224, 24, 64, 64)),
            Mixed(512, (128, 128, 256, 24, 64, 64)),
            Mixed(512, (112, 144, 288, 32, 64, 64)),
            Mixed(528, (256, 160, 320, 32, 128, 128)),
        )
        self.base4 = nn.Sequential(
            Mixed(832, (256, 160, 320, 32, 128, 128)), Mixed(832, (384, 192, 384, 48, 128, 128))
        )
        self.maxp2 = over_space()
        self.maxp3 = Pooling(3, 2, 1)
        self.maxt4 = over_time(clip_length // 16)
        self.maxp4 = Pooling((1, 2, 2), return_indices=True)
        self.maxm2 = over_time(clip_length // 8)
        self.maxt2 = over_space(switches=True)
        self.maxm3 = over_time(clip_length // 8)
        self.maxt3 = over_space(switches=True)
        self.convtsp1 = nn.Sequential(*pointwise(1024, 1024), *upwards(1024, 832, 3))
        self.convtsp2 = nn.Sequential(*upwards(832, 480, 3))
        self.convtsp3 = nn.Sequential(*upwards(480, 192, 3))
        self.convtsp4 = nn.Sequential(
            *upwards(192, 64, 4, 2),
            *halving(64),
            *upwards(64, 4, 1),
            *halving(4),
            nn.ConvTranspose3d(4, 4, (1, 4, 4), (1, 2, 2), (0, 1, 1), bias=False),
            nn.Conv3d(4, 1, 1),
            nn.Sigmoid(),
        )

    def encode(self, x: Tensor) -> Features:
        """Features of clips `[B, 3, T, h, w]` in [-1, 1]."""
        y3 = self.base1(x)
        y2 = self.base2(self.maxp2(y3))
        y1 = self.base3(self.maxp3(y2))
        pooled, i0 = self.maxp4(self.maxt4(y1))
        groups2, groups1 = self.maxm2(y3), self.maxm3(y2)
        return Features(
            y3=y3,
            y2=y2,
            y0=self.base4(pooled),
            i2=self.maxt2(groups2)[1],
            i1=self.maxt3(groups1)[1],
            i0=i0,
            size2=groups2.shape[2:],
            size1=groups1.shape[2:],
        )

    def decode(self, features: Features) -> Tensor:
        """Saliency maps `[B, h, w]` in [0, 1]."""
        z = self.convtsp1(features.y0)
        doubled = torch.Size((z.shape[2], 2 * z.shape[3], 2 * z.shape[4]))
        z = self.convtsp2(unpool(z, features.i0, doubled))
        z = self.convtsp3(unpool(z, features.i1, features.size1))
        saliency: Tensor = self.convtsp4(unpool(z, features.i2, features.size2))
        return saliency[:, 0, 0]

    def forward(self, x: Tensor) -> Tensor:
        """The maps `[B, h, w]` of the last frames of clips `[B, 3, T, h, w]`.

        All poolings must fit the height and width, see `salcli_tased.Options`.
        """
        return self.decode(self.encode(x))


class ClipMap(nn.Module):
    """The network as a function to a tuple, for one that is exported."""

    def __init__(self, network: TasedNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, clips: Tensor) -> tuple[Tensor, ...]:
        """The maps `[B, h, w]` of the last frames of clips `[B, 3, T, h, w]`."""
        return (self.network(clips),)


def pointwise(inputs: int, outputs: int) -> list[nn.Module]:
    """Convolution of single pixels, norm, ReLU."""
    return [
        nn.Conv3d(inputs, outputs, 1, bias=False),
        norm(outputs),
        nn.ReLU(inplace=True),
    ]
