"""The spectral residual of X. Hou and L. Zhang (CVPR 2007)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from salcli.baselines import SpectralResidualOptions
from salcli.maps import gaussian_blur
from salcli.models.model import Model
from salcli.stream import batched
from salcli.types import Frame, Prediction, Stimulus

__all__ = ["SpectralResidual", "spectral_residual"]

GREY = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in grey (ITU-R BT.601)."""

NEIGHBOURS = 3
"""Side of the square over which the log spectrum is averaged (section 2.2)."""

SILENT = 1e-6
"""Amplitudes below this share of the largest are rounding, whose logarithm means nothing."""


class SpectralResidual(Model):
    """What is left of a frame when what all spectra share is taken off."""

    options: SpectralResidualOptions

    def build(self) -> nn.Module:
        """Nothing is learned."""
        return nn.Identity()

    def preprocess(self, frames: Sequence[Frame]) -> Tensor:
        """Grey in all three channels, of the wanted width: `[N, 3, h, w]` in [0, 1]."""
        height, width = frames[0].shape[:2]
        size = (max(1, round(height * self.options.width / width)), self.options.width)
        pixels = torch.from_numpy(np.stack(frames)).permute(0, 3, 1, 2).float().div_(255)
        grey = torch.einsum("nchw,c->nhw", pixels, torch.tensor(GREY))[:, None]
        resized = functional.interpolate(grey, size=size, mode="bicubic", antialias=True)
        return resized.expand(-1, 3, -1, -1)

    def predict(self, stimulus: Stimulus) -> Iterator[Prediction]:
        """One small map per frame, from 0 to 1."""
        for frames in batched(stimulus.frames, self.batch_size):
            grey = self.inputs(frames)[:, 0].float()
            yield from map(Prediction, spectral_residual(grey, sigma=self.options.sigma))


def spectral_residual(grey: Tensor, *, sigma: float) -> Tensor:
    """Saliency maps `[N, h, w]` from 0 to 1 of grey images `[N, h, w]` (equations 4 to 7).

    A uniform image, which has no spectrum but its mean, gives zeros.
    """
    spectrum = torch.fft.fft2(grey)
    amplitude = spectrum.abs()
    floor = SILENT * amplitude.amax(dim=(1, 2), keepdim=True)
    logarithm = torch.log(torch.maximum(amplitude, floor.clamp(min=SILENT)))
    edge = NEIGHBOURS // 2
    padded = functional.pad(logarithm[:, None], (edge, edge, edge, edge), mode="replicate")
    residual = logarithm - functional.avg_pool2d(padded, NEIGHBOURS, stride=1)[:, 0]
    whitened = torch.polar(residual.exp(), spectrum.angle())
    saliency = gaussian_blur(torch.fft.ifft2(whitened).abs() ** 2, sigma)
    silent = (amplitude > floor).sum(dim=(1, 2), keepdim=True) <= 1
    lowest = saliency.amin(dim=(1, 2), keepdim=True)
    reach = saliency.amax(dim=(1, 2), keepdim=True) - lowest
    flat = silent | (reach <= 0)
    stretched = (saliency - lowest) / torch.where(flat, torch.ones_like(reach), reach)
    return torch.where(flat, torch.zeros_like(saliency), stretched)
