"""Differentiable saliency losses, per map, and `density_losses`, which has the usual three.

Each takes log-densities (log-softmax over a map's pixels) `[..., H, W]` and gives `[...]`.
Definitions as in Droste et al., "Unified Image and Video Saliency Modeling" (ECCV 2020), section
3.6, and Bylinskii et al., "What do different evaluation metrics tell us about saliency models?"
(TPAMI 2019).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from salcli.types import Batch

__all__ = ["cc", "density_losses", "kld", "nss"]

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


def density_losses(logits: Tensor, batch: Batch) -> dict[str, Tensor]:
    """`kld`, `nss` and `cc`, each the mean over a batch: the usual losses of an image model.

    So `losses` is `yield Loss(density_losses(self.network(batch.inputs.flatten(0, 1)), batch))`,
    and a recipe weighs them, such as `{"kld": 1.0, "nss": -0.1, "cc": -0.5}`.

    Args:
        logits: One map for each of the batch's ground truth, in its order: `[..., h, w]`. Its
            softmax over the pixels is the predicted density, after it was resized bilinearly.
        batch: With ground truth of the kind `density`, which sums to 1.
    """
    size = (batch.density.shape[-2], batch.density.shape[-1])
    logits = logits.float().reshape(-1, 1, *logits.shape[-2:])
    if logits.shape[-2:] != size:
        logits = functional.interpolate(logits, size=size, mode="bilinear")
    log_density = logits.flatten(1).log_softmax(1).view_as(batch.density)
    found = {
        "kld": kld(log_density, batch.density),
        "nss": nss(log_density, batch.fixations),
        "cc": cc(log_density, batch.density),
    }
    return {name: values.mean() for name, values in found.items()}
