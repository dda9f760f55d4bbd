"""Differentiable saliency losses, per map.

Each takes log-densities (log-softmax over a map's pixels) `[..., H, W]` and gives `[...]`.
Definitions as in Droste et al., "Unified Image and Video Saliency Modeling" (ECCV 2020), section
3.6, and Bylinskii et al., "What do different evaluation metrics tell us about saliency models?"
(TPAMI 2019).
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["cc", "kld", "nss"]

NSS_WITHOUT_FIXATIONS = 1.0
"""Value for a map on which nobody fixated anything, as the published UNISAL code has it."""


def kld(log_density: Tensor, density: Tensor) -> Tensor:
    """Kullback-Leibler divergence of the ground-truth density from the prediction, in nats.

    `density` sums to 1 per map; its zeros contribute nothing. There is no epsilon: a predicted
    log-density is finite.
    """
    return (torch.xlogy(density, density) - density * log_density).flatten(-2).sum(-1)


def nss(log_density: Tensor, fixations: Tensor) -> Tensor:
    """Normalised scanpath saliency: mean over fixated pixels of the standardised density (n - 1).

    `fixations` is bool. A map without fixations counts as 1.
    """
    saliency = log_density.exp().flatten(-2)
    fixated = fixations.flatten(-2).to(saliency.dtype)
    deviation, mean = torch.std_mean(saliency, dim=-1, keepdim=True)
    count = fixated.sum(-1)
    value = ((saliency - mean) / deviation * fixated).sum(-1) / count.clamp(min=1)
    return torch.where(count > 0, value, torch.full_like(value, NSS_WITHOUT_FIXATIONS))


def cc(log_density: Tensor, density: Tensor) -> Tensor:
    """Pearson correlation of prediction and ground-truth density."""
    p, q = log_density.exp().flatten(-2), density.flatten(-2)
    p, q = p - p.mean(-1, keepdim=True), q - q.mean(-1, keepdim=True)
    return torch.cosine_similarity(p, q, dim=-1, eps=0)
