"""What a weights file holds: ViNet, PAVEN's wrapper, a start, or something else of the family."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

from salcli import WeightsError
from salcli.authoring import Checkpoint

__all__ = ["backbone_of", "is_s3d", "unwrapped"]

AVINET = ("visual_model.", "audionet.", "bilinear.")
CLASSIFIER = ("fc.0.weight", "fc.0.bias")
TRUNK = re.compile(r"base\.(\d+)\.(.+)")
BEGINNINGS = (0, 5, 8, 14)
"""Where in S3D's trunk the four parts of the backbone begin."""


def unwrapped(saved: Checkpoint) -> Checkpoint:
    """The file's tensors under ViNet's names.

    Raises:
        WeightsError: It holds another network of the family, which is named.
    """
    state = {key.removeprefix("net."): tensor for key, tensor in saved.state.items()}
    if any(key.startswith(AVINET) for key in state):
        raise WeightsError(
            f"'{saved.path}' is an AViNet, which listens to the sound as well; this model is "
            "ViNet, which does not, and needs a file of ViNet"
        )
    if is_s3d(saved):
        raise WeightsError(
            f"'{saved.path}' is an S3D, without ViNet's decoder: it is only a start for training, "
            "by salcli train"
        )
    variant = variant_of(state)
    if variant:
        raise WeightsError(
            f"'{saved.path}' is a ViNet {variant}; only the standard one, for 32 frames with 3 "
            "skip connections, is supported"
        )
    return Checkpoint(state, saved.path, saved.metadata)


def variant_of(state: Mapping[str, Tensor]) -> str:
    """Which of the variants without published weights this is; empty for any other network."""

    def slices(key: str) -> int | None:
        weight = state.get(f"decoder.convtsp{key}.weight")
        return weight.shape[2] if weight is not None and weight.ndim == 5 else None

    skips = {"2.0": 0, "3.0": 1, "4.0": 2}
    for key, count in skips.items():
        if slices(key) == 1:
            return f"with {count} skip connections"
    frames = {(1, 1): 8, (2, 1): 16, (2, 3): 48}.get((slices("4.3") or 0, slices("4.6") or 0))
    return f"for {frames} frames" if frames else ""


def is_s3d(saved: Checkpoint) -> bool:
    """Whether this is an S3D as its author published it."""
    return any(TRUNK.fullmatch(key) for key in saved.state)


def backbone_of(saved: Checkpoint) -> Checkpoint:
    """An S3D's tensors under the backbone's names, without the classifier."""
    state = {}
    for key, tensor in saved.state.items():
        match = TRUNK.fullmatch(key)
        if match is not None:
            place = int(match[1])
            part = sum(place >= beginning for beginning in BEGINNINGS)
            state[f"base{part}.{place - BEGINNINGS[part - 1]}.{match[2]}"] = tensor
        elif key not in CLASSIFIER:
            state[key] = tensor
    return Checkpoint(state, saved.path)
