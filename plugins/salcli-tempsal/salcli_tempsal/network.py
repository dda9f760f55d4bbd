"""TempSAL's networks (Aydemir et al., CVPR 2023): one map, one map per second, and both mixed.

Attribute names are the published state-dict keys. Slices are spans of viewing time of a still
picture, so they are channels here, never frames.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise, takewhile
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from salcli_tempsal.maps import bicubic
from salcli_tempsal.pnasnet import PNASNet5Large

__all__ = ["Branch", "ImageBranch", "Maps", "Plain", "SimpleMixing", "SliceBranch", "TempSAL"]

LEVELS = (96, 270, 1080, 2160, 4320)
"""Channels of the encoder's outputs that are decoded, at 1/2, 1/4, 1/8, 1/16 and 1/32."""

STAGES_SEEN = (0, 1, 6, 10, 14)
"""Which stages of the encoder these are: first convolution, first stem, cells 3, 7 and 11."""

DECODED = (512, 256, 270, 96, 128)
"""Channels after each decoder layer; each doubles the resolution."""


class Maps(NamedTuple):
    """What every network returns, float32 in [0, 1].

    Attributes:
        aggregate: `[N, h, w]`, for the whole viewing time.
        slices: `[N, T, h, w]`, T spans of it in order, on a common scale with maximum 1; T is 0 for
            a network without slices.
    """

    aggregate: Tensor
    slices: Tensor


def convolution(cin: int, cout: int) -> nn.Conv2d:
    """A 3x3 convolution that keeps the size."""
    return nn.Conv2d(cin, cout, 3, padding=1)


def upward(cin: int, cout: int) -> nn.Sequential:
    """A decoder layer: `[N, cin, h, w]` -> `[N, cout, 2 h, 2 w]`."""
    double = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)
    return nn.Sequential(convolution(cin, cout), nn.ReLU(), double)


def upward_layers(more: int) -> Iterable[tuple[str, nn.Sequential]]:
    """Names and decoder layers 1 to 4; `more` maps join the features at each."""
    for number in range(1, 5):
        cin = DECODED[number - 1] + LEVELS[4 - number] + more
        yield f"deconv_layer{number}", upward(cin, DECODED[number])


def chain(*channels: int) -> nn.Sequential:
    """3x3 convolutions from each number of channels to the next, with ReLU between."""
    layers: list[nn.Module] = []
    for cin, cout in pairwise(channels):
        layers += [convolution(cin, cout), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


class Branch(nn.Module):
    """An encoder and its own decoder; `widths` are the channels of the last convolutions."""

    def __init__(self, *widths: int) -> None:
        super().__init__()
        self.pnas = PNASNet5Large()
        self.deconv_layer0 = upward(LEVELS[-1], DECODED[0])
        for name, layer in upward_layers(0):
            self.add_module(name, layer)
        self.deconv_layer5 = chain(DECODED[-1], *widths)

    def decode(self, stages: Sequence[Tensor]) -> tuple[Tensor, list[Tensor], Tensor]:
        """Decode the encoder's features.

        Returns:
            The first layer's output at 1/16, the features at 1/2 to 1/16, and logits at full size.
        """
        *skips, deepest = (stages[index] for index in STAGES_SEEN)
        skips[0] = functional.pad(skips[0], (0, 1, 0, 1))  # from 127 to 128 pixels
        first: Tensor = self.deconv_layer0(deepest)
        x = first
        for number, skip in enumerate(reversed(skips), start=1):
            x = self.get_submodule(f"deconv_layer{number}")(torch.cat([x, skip], dim=1))
        return first, skips, self.deconv_layer5(x)


class ImageBranch(Branch):
    """One map for the whole viewing time: SimpleNet with this encoder."""

    def __init__(self) -> None:
        super().__init__(128, 1)

    def forward(self, x: Tensor, *, batchwide: bool = False) -> Maps:
        """`x` is `[N, 3, h, w]` in [-1, 1]; there are no slices, so `batchwide` has no effect."""
        aggregate = self.map(self.decode(self.pnas(x))[2])
        return Maps(aggregate[:, 0], aggregate[:, :0])

    def map(self, logits: Tensor) -> Tensor:
        """Logits `[N, 1, h, w]` -> saliency."""
        return torch.sigmoid(logits.float())


class SliceBranch(Branch):
    """One map for each span of viewing time."""

    def __init__(self, slices: int) -> None:
        super().__init__(64, 32, slices)

    def forward(self, x: Tensor, *, batchwide: bool = False) -> Maps:
        """`x` is `[N, 3, h, w]` in [-1, 1].

        No aggregate of slices without the mixing module was published: here it is their mean, as
        the fixations of the whole viewing time are those of all its spans.
        """
        slices = self.maps(self.decode(self.pnas(x))[2], batchwide=batchwide)
        return Maps(slices.mean(dim=1), slices)

    def maps(self, logits: Tensor, *, batchwide: bool) -> Tensor:
        """Logits `[N, T, h, w]` -> slices, divided by the maximum over all slices of an image.

        The original divides by the maximum over all images of the batch: `batchwide`.
        """
        slices = torch.sigmoid(logits.float())
        return slices / (slices.amax() if batchwide else slices.amax(dim=(1, 2, 3), keepdim=True))


class TempSAL(nn.Module):
    """Both branches, and the spatiotemporal mixing module that decodes again with their maps.

    The features that are decoded again are those of the slice branch.
    """

    def __init__(self, slices: int) -> None:
        super().__init__()
        self.pnas_vol = SliceBranch(slices)
        self.pnas_sal = ImageBranch()
        for name, layer in upward_layers(1 + slices):
            self.add_module(name, layer)
        self.deconv_mix = chain(DECODED[-1] + 1 + slices, 16, 32, 1)

    def forward(self, x: Tensor, *, batchwide: bool = False) -> Maps:
        """`x` is `[N, 3, h, w]` in [-1, 1]; for `batchwide` see `SliceBranch.maps`."""
        stages = self.pnas_vol.pnas(x)
        first, skips, logits = self.pnas_vol.decode(stages)
        slices = self.pnas_vol.maps(logits, batchwide=batchwide)
        again = self.pnas_sal.pnas(x, stages[: self.shared_stages()])
        single = self.pnas_sal.map(self.pnas_sal.decode(again)[2])
        maps = torch.cat([single, slices], dim=1)
        # features are in this order, too, when the network predicts: no layer has to reorder them
        maps = maps.to(first.dtype, memory_format=torch.channels_last)
        mixed = first
        for number, skip in enumerate(reversed(skips), start=1):
            resized = bicubic(maps, skip.shape[-2:])
            layer = self.get_submodule(f"deconv_layer{number}")
            mixed = layer(torch.cat([mixed, skip, resized], dim=1))
        mixed = self.deconv_mix(torch.cat([mixed, maps], dim=1))
        return Maps(torch.sigmoid(mixed.float())[:, 0], slices)

    def shared_stages(self) -> int:
        """Number of first encoder stages that both branches share; see `share`."""
        pairs = zip(self.pnas_vol.pnas.stages(), self.pnas_sal.pnas.stages(), strict=True)
        modules = sum(1 for _ in takewhile(lambda pair: pair[0] is pair[1], pairs))
        return max(modules - 1, 0)  # the first convolution and its batch norm are one stage

    def share(self) -> int:
        """Share the first stages that are equal in both encoders between the branches.

        They are then stored once and run once. Only for prediction: in training, shared stages
        would learn from both branches.

        Returns:
            How many of the 15 stages are shared; 15 are the whole encoder.
        """
        kept, replaced = self.pnas_vol.pnas, self.pnas_sal.pnas
        for name in kept.stage_names():
            module = kept.get_submodule(name)
            if not equal(module, replaced.get_submodule(name)):
                break
            replaced.set_submodule(name, module)
        return self.shared_stages()


class SimpleMixing(nn.Module):
    """Both branches, of which only the finished maps are mixed: the authors' early model."""

    def __init__(self, slices: int) -> None:
        super().__init__()
        self.pnas_vol = SliceBranch(slices)
        self.pnas = ImageBranch()
        self.deconv_mix = chain(1 + slices, 16, 32, 1)

    def forward(self, x: Tensor, *, batchwide: bool = False) -> Maps:
        """`x` is `[N, 3, h, w]` in [-1, 1]; for `batchwide` see `SliceBranch.maps`."""
        slices = self.pnas_vol(x, batchwide=batchwide).slices
        maps = torch.cat([self.pnas(x).aggregate[:, None], slices], dim=1)
        mixed = self.deconv_mix(maps.to(x.dtype))
        return Maps(torch.sigmoid(mixed.float())[:, 0], slices)


class Plain(nn.Module):
    """A network of `[N, 3, h, w]` as a function to a plain tuple: aggregate and slices."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, frames: Tensor) -> tuple[Tensor, ...]:
        """See `Maps`."""
        return tuple(self.network(frames))


def equal(some: nn.Module, other: nn.Module) -> bool:
    """Whether two modules of one kind hold the same numbers; ignores batch norms' counters."""
    theirs = other.state_dict()
    return all(
        torch.equal(tensor, theirs[key])
        for key, tensor in some.state_dict().items()
        if tensor.is_floating_point()
    )
