"""UNISAL's encoder: MobileNetV2 with two taps (section 3.1 of the paper)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from salcli.authoring import FusedConvolution
from salcli_unisal.layers import Norms, expansion

ENCODER_BLOCKS = (
    # (out channels, expansion, stride) of features 1..17, MobileNetV2 table 2
    (16, 1, 1),
    (24, 6, 2),
    (24, 6, 1),
    (32, 6, 2),
    (32, 6, 1),
    (32, 6, 1),
    (64, 6, 2),
    (64, 6, 1),
    (64, 6, 1),
    (64, 6, 1),
    (96, 6, 1),
    (96, 6, 1),
    (96, 6, 1),
    (160, 6, 2),
    (160, 6, 1),
    (160, 6, 1),
    (320, 6, 1),
)
TAP_4X, TAP_2X = 7, 14
"""Blocks whose output before subsampling is a skip connection: 64 channels at 1/8, 160 at 1/16."""


class InvertedResidual(nn.Module):
    """MobileNetV2 block of the encoder.

    A block of stride 2 is published as: run with stride 1, then keep every second row and column.
    Blocks whose full output is not needed convolve with stride 2, which is equivalent.

    `first` is the first row and column that is kept: 0 as published (PyTorch's symmetric padding),
    1 for weights trained with TensorFlow's SAME padding, which pads the bottom and the right only.
    """

    def __init__(self, cin: int, cout: int, *, factor: int, stride: int, first: int) -> None:
        super().__init__()
        norm = Norms((), specific=False)
        self.conv = expansion(cin, cout, factor, norm)
        self.stride, self.first = stride, first
        self.residual = stride == 1 and cin == cout

    def forward(self, x: Tensor) -> Tensor:
        """`[N, cin, h, w]` -> `[N, cout, h / stride, w / stride]`."""
        if self.stride == 1:
            y: Tensor = self.conv(x)
            return x + y if self.residual else y
        y = x
        for layer in self.conv:
            if isinstance(layer, nn.Conv2d | FusedConvolution) and layer.groups > 1:
                y = strided_convolution(y, layer, self.first)
            else:
                y = layer(y)
        return y

    def both(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The output before and after subsampling."""
        full: Tensor = self.conv(x)
        return full, full[:, :, self.first :: 2, self.first :: 2]


def strided_convolution(x: Tensor, layer: nn.Conv2d | FusedConvolution, first: int) -> Tensor:
    """Stride-2 3x3 convolution whose first output is centred on row and column `first` (0 or 1)."""
    if isinstance(layer, FusedConvolution):  # for `first`, its kernel is moved
        y: Tensor = layer(x, stride=(2, 2), padding=(1, 1))
        return y
    if first == 0:
        return F.conv2d(x, layer.weight, stride=2, padding=1, groups=layer.groups)
    return F.conv2d(F.pad(x, (0, 1, 0, 1)), layer.weight, stride=2, groups=layer.groups)


class MobileNetV2(nn.Module):
    """MobileNetV2 without its classifier, with two taps (section 3.1 of the paper)."""

    def __init__(self, *, first: int) -> None:
        super().__init__()
        stem = nn.Sequential(
            nn.Conv2d(3, 32, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU6()
        )
        blocks: list[nn.Module] = [stem]
        cin = 32
        for cout, factor, stride in ENCODER_BLOCKS:
            blocks.append(InvertedResidual(cin, cout, factor=factor, stride=stride, first=first))
            cin = cout
        last = nn.Sequential(nn.Conv2d(cin, 1280, 1, bias=False), nn.BatchNorm2d(1280), nn.ReLU6())
        self.features = nn.ModuleList([*blocks, last])
        self.first = first

    def move_kernels(self) -> None:
        """Let fused layers of stride 2 keep row and column `first` without padding their input.

        A kernel of 4x4 whose first row and column are zeros needs the usual padding on all sides,
        and thus no larger copy of the input.
        """
        strided = [
            block
            for index, block in enumerate(self.features)
            if index == 0 or (getattr(block, "stride", 1) == 2 and index not in (TAP_4X, TAP_2X))
        ]
        for block in strided if self.first else ():
            for layer in block.modules():
                if isinstance(layer, FusedConvolution) and layer.weight.shape[-1] == 3:
                    kernel = F.pad(layer.weight, (1, 0, 1, 0))
                    layer.weight = kernel.contiguous(memory_format=torch.channels_last)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """`[N, 3, h, w]` -> 1280 channels at 1/32, 160 at 1/16, 64 at 1/8."""
        taps: dict[int, Tensor] = {}
        for index, block in enumerate(self.features):
            if index == 0:
                convolution, norm, activation = block.children()
                assert isinstance(convolution, nn.Conv2d | FusedConvolution)
                x = activation(norm(strided_convolution(x, convolution, self.first)))
            elif index in (TAP_4X, TAP_2X):
                assert isinstance(block, InvertedResidual)
                taps[index], x = block.both(x)
            else:
                x = block(x)
        return x, taps[TAP_2X], taps[TAP_4X]
