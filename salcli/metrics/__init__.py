"""Saliency metrics: pure functions of arrays, with the published variants as keywords.

`saliency` is `[H, W]`, any scale; where it is taken as a density, values below zero shift the whole
map. `density` is a ground-truth fixation density `[H, W]`, any scale. `fixations` counts the
fixations of each pixel, `[H, W]`; a metric either counts every fixation, or with `repeats=False`
every fixated pixel once, for which a binary map is enough. `negatives` counts the fixations of
other stimuli likewise. Defaults are the definitions of Bylinskii et al., "What do different
evaluation metrics tell us about saliency models?", TPAMI 2019, section 4, without random parts;
what the public protocols do differently is in `salcli.protocols`.

Every function gives NaN where the metric is undefined: no fixations, a density of zeros, or a
constant map for CC and NSS. It raises `ValueError` on arrays of different shapes and on NaN. SIM
and KLD take a saliency map of zeros as uniform. Random parts take a `numpy.random.Generator`.

Arrays may be numpy's or torch's, through the array API; computations are in double precision. On a
CPU use numpy, which sorts seven times as fast as torch, and sorting is most of the work; on a GPU
use tensors. Random numbers are the same for both.
"""

from __future__ import annotations

from salcli.metrics.arrays import EPSILON
from salcli.metrics.auc import auc, auc_judd, shuffled_auc
from salcli.metrics.distribution import cc, kld, sim
from salcli.metrics.pointwise import ig, nss
from salcli.metrics.sampled import area_of_samples, auc_borji, shuffled_auc_sampled

__all__ = [
    "EPSILON",
    "area_of_samples",
    "auc",
    "auc_borji",
    "auc_judd",
    "cc",
    "ig",
    "kld",
    "nss",
    "shuffled_auc",
    "shuffled_auc_sampled",
    "sim",
]
