"""What the original does to a map before writing it."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from salcli.authoring import gaussian_blur

__all__ = ["blurred", "finish", "stretched"]


def blurred(saliency: Tensor, size: tuple[int, int]) -> Tensor:
    """A map `[h, w]` at (H, W): resized as OpenCV does, bilinear without antialiasing; blurred.

    The kernel is that of `cv2.GaussianBlur` with 11 x 11 pixels, whose sigma then is 2.
    """
    large = functional.interpolate(saliency[None, None], size, mode="bilinear")[0, 0]
    return gaussian_blur(large, 2.0, truncate=2.5, border="mirror")


def stretched(saliency: Tensor) -> Tensor:
    """A map stretched to [0, 1] as the original does; a constant one becomes 0."""
    low, high = saliency.min(), saliency.max()
    return (saliency - low) / (high - low + 1e-5)


def finish(saliency: Tensor, size: tuple[int, int]) -> Tensor:
    """A map `[h, w]` in [0, 1] as the original writes it, at (H, W), before it rounds to 8 bit."""
    return stretched(blurred(saliency, size))
