"""ViNet as published; attribute names are the published keys.

Shapes are `[B, C, T, h, w]`; the standard clip is T = 32 frames of 224 x 384.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["Backbone", "SkipDecoder", "VinetNet"]


def bn(channels: int) -> nn.BatchNorm3d:
    """The batch norm of S3D."""
    return nn.BatchNorm3d(channels, eps=1e-3, momentum=0.001)


class BasicConv3d(nn.Module):
    """Pointwise convolution, norm, ReLU."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv3d(inputs, outputs, 1, bias=False)
        self.bn = bn(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """`[B, inputs, T, h, w]` to `[B, outputs, T, h, w]`."""
        return functional.relu(self.bn(self.conv(x)), inplace=True)


class SepConv3d(nn.Module):
    """Convolutions over space and then over time, each with norm and ReLU; both have the stride."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> None:
        super().__init__()
        k, s, p = kernel, stride, kernel // 2
        self.conv_s = nn.Conv3d(inputs, outputs, (1, k, k), (1, s, s), (0, p, p), bias=False)
        self.bn_s = bn(outputs)
        self.conv_t = nn.Conv3d(outputs, outputs, (k, 1, 1), (s, 1, 1), (p, 0, 0), bias=False)
        self.bn_t = bn(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """`[B, inputs, T, h, w]` to `[B, outputs, T / stride, h / stride, w / stride]`."""
        x = functional.relu(self.bn_s(self.conv_s(x)), inplace=True)
        return functional.relu(self.bn_t(self.conv_t(x)), inplace=True)


class InceptionBlock(nn.Module):
    """Four branches, joined: pointwise, two separable ones behind a reduction, pooled.

    Args:
        inputs: Channels of the input.
        first: Channels of the pointwise branch.
        second, third: Channels of the reduction and of the output of a separable branch.
        pooled: Channels of the pooled branch.
    """

    def __init__(
        self, inputs: int, first: int, second: tuple[int, int], third: tuple[int, int], pooled: int
    ) -> None:
        super().__init__()
        self.branch0 = nn.Sequential(BasicConv3d(inputs, first))
        self.branch1 = nn.Sequential(BasicConv3d(inputs, second[0]), SepConv3d(*second))
        self.branch2 = nn.Sequential(BasicConv3d(inputs, third[0]), SepConv3d(*third))
        self.branch3 = nn.Sequential(nn.MaxPool3d(3, 1, 1), BasicConv3d(inputs, pooled))

    def forward(self, x: Tensor) -> Tensor:
        """The outputs of the branches, in order, as channels."""
        return torch.cat([branch(x) for branch in self.children()], dim=1)


class Backbone(nn.Module):
    """S3D without its classifier, in four parts."""

    def __init__(self) -> None:
        super().__init__()
        self.base1 = nn.Sequential(
            SepConv3d(3, 64, 7, 2),
            nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1)),
            BasicConv3d(64, 64),
            SepConv3d(64, 192),
        )
        self.maxp2 = nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1))
        self.base2 = nn.Sequential(
            InceptionBlock(192, 64, (96, 128), (16, 32), 32),
            InceptionBlock(256, 128, (128, 192), (32, 96), 64),
        )
        self.maxp3 = nn.MaxPool3d(3, 2, 1)
        self.base3 = nn.Sequential(
            InceptionBlock(480, 192, (96, 208), (16, 48), 64),
            InceptionBlock(512, 160, (112, 224), (24, 64), 64),
            InceptionBlock(512, 128, (128, 256), (24, 64), 64),
            InceptionBlock(512, 112, (144, 288), (32, 64), 64),
            InceptionBlock(528, 256, (160, 320), (32, 128), 128),
        )
        self.maxp4 = nn.MaxPool3d(2, 2)
        self.base4 = nn.Sequential(
            InceptionBlock(832, 256, (160, 320), (32, 128), 128),
            InceptionBlock(832, 384, (192, 384), (48, 128), 128),
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Outputs of the parts for clips `[B, 3, T, h, w]`, the deepest first.

        For the standard clip: 1024 x 4 x 7 x 12, 832 x 8 x 14 x 24, 480 x 16 x 28 x 48, and 192 x
        16 x 56 x 96.
        """
        y3 = self.base1(x)
        y2 = self.base2(self.maxp2(y3))
        y1 = self.base3(self.maxp3(y2))
        return self.base4(self.maxp4(y1)), y1, y2, y3


def folding(inputs: int, outputs: int, slices: int) -> list[nn.Module]:
    """Convolution that makes one of each group of slices; ReLU; height and width doubled."""
    kernel, stride = (slices, 3, 3), (slices, 1, 1)
    return [
        nn.Conv3d(inputs, outputs, kernel, stride, (0, 1, 1), bias=False),
        nn.ReLU(inplace=True),
        nn.Upsample(scale_factor=(1, 2, 2), mode="trilinear"),
    ]


class SkipDecoder(nn.Module):
    """Joins what it has with the backbone's next part over time, and folds that to 4 slices."""

    def __init__(self) -> None:
        super().__init__()
        self.convtsp1 = nn.Sequential(*folding(1024, 832, 1))
        self.convtsp2 = nn.Sequential(*folding(832, 480, 3))
        self.convtsp3 = nn.Sequential(*folding(480, 192, 5))
        self.convtsp4 = nn.Sequential(
            *folding(192, 64, 5),
            *folding(64, 32, 2),
            nn.Conv3d(32, 32, (2, 1, 1), (2, 1, 1), bias=False),
            nn.ReLU(inplace=True),
            nn.Conv3d(32, 1, 1),
        )

    def forward(self, y0: Tensor, y1: Tensor, y2: Tensor, y3: Tensor) -> Tensor:
        """Logits `[B, h, w]` of saliency maps, for what the backbone gives."""
        z = torch.cat((self.convtsp1(y0), y1), dim=2)
        z = torch.cat((self.convtsp2(z), y2), dim=2)
        z = torch.cat((self.convtsp3(z), y3), dim=2)
        logits: Tensor = self.convtsp4(z)
        return logits[:, 0, 0]


class VinetNet(nn.Module):
    """Predicts the saliency map of the last frame of a clip."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = Backbone()
        self.decoder = SkipDecoder()

    def forward(self, x: Tensor) -> Tensor:
        """Maps `[B, h, w]` in [0, 1], float32, of clips `[B, 3, 32, h, w]`.

        Height and width must be multiples of 32.
        """
        # the decoder has no norms, so in half precision only the logits fit
        logits: Tensor = self.decoder(*self.backbone(x))
        return logits.float().sigmoid()
