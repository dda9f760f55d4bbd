"""The published losses, of maps `[h, w]` that need not sum to 1."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["cc", "kld", "sim"]

EPSILON = 2.2204e-16


def kld(saliency: Tensor, density: Tensor) -> Tensor:
    """Kullback-Leibler divergence in nats of the prediction from the annotation."""
    p, g = saliency / saliency.sum(), density / density.sum()
    return (g * torch.log(EPSILON + g / (p + EPSILON))).sum()


def cc(saliency: Tensor, density: Tensor) -> Tensor:
    """Pearson's correlation."""
    return torch.corrcoef(torch.stack((saliency.flatten(), density.flatten())))[0, 1]


def sim(saliency: Tensor, density: Tensor) -> Tensor:
    """Similarity: what two maps have in common, each stretched to its range."""
    p, g = (
        stretched / stretched.sum()
        for stretched in ((m - m.min()) / (m.max() - m.min()) for m in (saliency, density))
    )
    return torch.minimum(p, g).sum()
