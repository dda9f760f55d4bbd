"""The 62 layers of SalGAN's generator, as data; weight keys and averages refer to their indices.

VGG-16's convolutions up to `conv5_3`, and a decoder that mirrors them (Pan et al., "SalGAN: Visual
Saliency Prediction with Generative Adversarial Networks", 2017, section 3.1).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

__all__ = [
    "BOTTLENECK",
    "LAYERS",
    "CONVOLUTIONS",
    "ENCODER",
    "LAST",
    "RESIDUAL_PLACES",
    "LayerSpec",
]


@dataclass(frozen=True)
class LayerSpec:
    """One layer; a convolution is 3x3 with padding 1, the last one 1x1."""

    kind: Literal["conv", "relu", "pool", "upsample", "sigmoid"]
    cin: int
    cout: int
    kernel: int = 3

    @property
    def keeps_shape(self) -> bool:
        """Whether the layer's output can be added to its input."""
        return self.cin == self.cout and self.kind not in ("pool", "upsample")


DOWN = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
"""Output channels of the encoder's convolutions; resolution is halved between blocks."""

UP = ((512, 512, 512), (512, 512, 512), (256, 256, 256), (128, 128), (64, 64))
"""The same of the decoder; resolution is doubled between blocks."""


def _blocks(
    blocks: tuple[tuple[int, ...], ...], between: Literal["pool", "upsample"], channels: int
) -> Iterator[LayerSpec]:
    for number, block in enumerate(blocks):
        if number:
            yield LayerSpec(between, channels, channels)
        for wide in block:
            yield LayerSpec("conv", channels, wide)
            yield LayerSpec("relu", wide, wide)
            channels = wide


ENCODER = tuple(_blocks(DOWN, "pool", 3))
"""Layers 0 to 29."""

LAYERS = (
    *ENCODER,
    *_blocks(UP, "upsample", 512),
    LayerSpec("conv", 64, 1, kernel=1),
    LayerSpec("sigmoid", 1, 1),
)
"""Layers 0 to 61."""

BOTTLENECK = len(ENCODER)
"""The first layer of the decoder, 30: where SalEMA averages and SalCLSTM30 puts its cell."""

LAST = len(LAYERS) - 1
"""Index of the sigmoid."""

CONVOLUTIONS = tuple(index for index, layer in enumerate(LAYERS) if layer.kind == "conv")
"""Indices of the layers with weights, in the order of the published arrays."""

RESIDUAL_PLACES = frozenset(index for index, layer in enumerate(LAYERS) if layer.keeps_shape)
"""Layers that can have a residual connection around them."""
