"""The settings of the published script, which only Python changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from salcli_stsnet import SMALLEST

__all__ = ["Settings"]


@dataclass(frozen=True)
class Settings:
    """What the published class takes as arguments, and the streams' order, with its defaults.

    For weights that were trained in another way: `loaded.model.settings = Settings(mean=...)`.

    Attributes:
        max_input_size: Frames are shrunk to fit into this (H, W); `None` never shrinks.
        channels: Order of the channels in the net's input.
        mean: Subtracted from the channels, in the order of the net's input.
        input_scale: Factor applied to the input after that.
        saliency_mean: Added to 128 times the net's output; 31 undoes what the targets of SalNet's
            training subtracted.
        interpolation: How maps are resized to the frame.
        blur: Side of the final Gaussian blur, odd; 0 for none.
        swap_streams: The flow is fed to the first stream and the frame to the second; the authors
            do not say which is which.

    Raises:
        ValueError: A value is out of range.
    """

    max_input_size: tuple[int, int] | None = (512, 512)
    channels: Literal["bgr", "rgb"] = "bgr"
    mean: tuple[float, float, float] = (100.0, 110.0, 118.0)
    input_scale: float = 0.0078431372549
    saliency_mean: float = 127.0
    interpolation: Literal["cubic", "linear"] = "cubic"
    blur: int = 5
    swap_streams: bool = False

    def __post_init__(self) -> None:
        bound = self.max_input_size
        if bound is not None and min(bound) < SMALLEST:
            raise ValueError(
                f"max_input_size must be at least {SMALLEST} pixels a side, not {bound}"
            )
        if self.blur < 0 or (self.blur and self.blur % 2 == 0):
            raise ValueError(f"blur must be 0 or an odd number of pixels, not {self.blur}")
