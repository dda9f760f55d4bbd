"""The image branch with torchvision's encoders instead of PNASNet, as the authors' code has it.

Attribute names are salcli's own, since no weights were published.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib import import_module

import torch
from torch import Tensor, nn

from salcli import UsageError
from salcli.authoring import Checkpoint, load_strict
from salcli_tempsal.network import Maps, chain, upward

__all__ = ["BackboneBranch"]


@dataclass(frozen=True)
class EncoderLayout:
    """An encoder and its decoder.

    Attributes:
        ends: Number of the encoder's layers after which a level ends, at 1/2, 1/4, 1/8 and 1/16;
            the last level, at 1/32, is the encoder's output.
        levels: Channels of the five levels.
        decoded: Channels after each decoder layer; as many as the last level's at first if that
            layer only upsamples.
    """

    ends: tuple[int, int, int, int]
    levels: tuple[int, int, int, int, int]
    decoded: tuple[int, int, int, int, int]


LAYOUTS = {
    "vgg16": EncoderLayout((7, 12, 19, 24), (128, 256, 512, 512, 512), (512, 512, 256, 128, 128)),
    "mobilenet_v2": EncoderLayout((2, 4, 7, 14), (16, 24, 32, 96, 1280), (96, 32, 24, 16, 16)),
}


class BackboneBranch(nn.Module):
    """One map for the whole viewing time: SimpleNet with this encoder, randomly initialised.

    Raises:
        UsageError: torchvision is not installed.
    """

    def __init__(self, encoder: str) -> None:
        super().__init__()
        try:
            models = import_module("torchvision.models")  # only these encoders need it
        except ImportError as error:
            raise UsageError(
                f"encoder '{encoder}' needs torchvision: install 'salcli-tempsal[encoders]'"
            ) from error
        layout = LAYOUTS[encoder]
        self.encoder: nn.Sequential = getattr(models, encoder)(weights=None).features
        self.ends = layout.ends
        first = upward(layout.levels[-1], layout.decoded[0])
        if layout.decoded[0] == layout.levels[-1]:
            first = first[2:]
        self.decoder = nn.ModuleList([first])
        for number, cout in enumerate(layout.decoded[1:], start=1):
            cin = layout.decoded[number - 1] + layout.levels[4 - number]
            self.decoder.append(upward(cin, cout))
        self.last = chain(layout.decoded[-1], layout.decoded[-1], 1)

    def start_from(self, saved: Checkpoint) -> None:
        """Load a file of the whole branch, or torchvision's of the encoder with its classifier.

        Raises:
            WeightsError: It is neither.
        """
        own = {k: t for k, t in saved.state.items() if k.startswith("features.")}
        state = {key.removeprefix("features."): tensor for key, tensor in own.items()}
        load_strict(self.encoder if own else self, replace(saved, state=state or saved.state))

    def forward(self, x: Tensor, *, batchwide: bool = False) -> Maps:
        """`x` is `[N, 3, h, w]` in [-1, 1]; there are no slices, so `batchwide` has no effect."""
        skips = []
        for number, layer in enumerate(self.encoder, start=1):
            x = layer(x)
            if number in self.ends:
                skips.append(x)
        first, *others = self.decoder
        x = first(x)
        for layer, skip in zip(others, reversed(skips), strict=True):
            x = layer(torch.cat([x, skip], dim=1))
        aggregate = torch.sigmoid(self.last(x).float())
        return Maps(aggregate[:, 0], aggregate[:, :0])
