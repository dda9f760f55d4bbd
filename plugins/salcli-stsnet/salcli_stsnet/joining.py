"""Joins single streams into two-stream nets, the start of their training (section 4.2)."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from salcli_stsnet.network import STSNet

__all__ = ["joined"]


def joined(
    network: STSNet, frame: Mapping[str, Tensor], flow: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """A state dict for a two-stream network.

    The first stream and everything after the fusion come from `frame`, the second stream from
    `flow`, both state dicts of a single stream; a learned fusion keeps its initial values, the mean
    of the streams. Keys that the single streams lack are left out.
    """
    state = {}
    for key, own in network.state_dict().items():
        layer, _, part = key.partition(".")
        source = flow if layer.endswith("_b") else frame
        single = f"{layer.removesuffix('_b')}.{part}"
        if layer == "conv_fuse":
            state[key] = own
        elif single in source:
            state[key] = source[single]
    return state
