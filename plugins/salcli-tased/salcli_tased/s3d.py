"""Starts TASED-Net's encoder from an S3D that was trained on Kinetics-400."""

from __future__ import annotations

import re

from torch import Tensor, nn

from salcli import WeightsError
from salcli.authoring import (
    COUNTER,
    MINUS_ONE_TO_ONE,
    Checkpoint,
    Standardisation,
    checkpoint,
    load_strict,
)
from salcli_tased.network import TasedNet

__all__ = ["is_s3d", "load"]

TRUNK = (5, 8, 14)
"""Indices in S3D's trunk at which `base2`, `base3` and `base4` begin."""

CLASSIFIER = ("fc.0.weight", "fc.0.bias")

ORIGINAL = re.compile(r"base\.(\d+)\.(.+)")

KINETICS = Standardisation((0.43216, 0.394666, 0.37645), (0.22803, 0.22145, 0.216989))
"""Of torchvision's S3D."""


def is_s3d(saved: Checkpoint) -> bool:
    """Whether a file holds an S3D, in its author's or torchvision's format."""
    return any(key.startswith(("base.", "features.")) for key in saved.state)


def load(network: TasedNet, saved: Checkpoint) -> None:
    """Load the encoder, without the classifier.

    Raises:
        WeightsError: The file is not a complete S3D.
    """
    parts = ("base1", "base2", "base3", "base4")
    encoder = nn.ModuleDict({name: getattr(network, name) for name in parts})
    if any(key.startswith("features.") for key in saved.state):
        state = from_torchvision(encoder, saved)
    else:
        state = {
            our_name(key): tensor for key, tensor in saved.state.items() if key not in CLASSIFIER
        }
    load_strict(encoder, Checkpoint(state, saved.path))


def our_name(key: str) -> str:
    """TASED-Net's name for S3D's `base.N.REST`; other names stay unchanged."""
    match = ORIGINAL.fullmatch(key)
    if match is None:
        return key
    place, rest = int(match[1]), match[2]
    part = sum(place >= start for start in TRUNK)
    return f"base{part + 1}.{place - (0, *TRUNK)[part]}.{rest}"


def from_torchvision(encoder: nn.Module, saved: Checkpoint) -> dict[str, Tensor]:
    """Torchvision's entries under our names: they are the same, in the same order.

    Raises:
        WeightsError: There are more or fewer.
    """
    wanted = [key for key in encoder.state_dict() if not key.endswith(COUNTER)]
    found = {
        key: tensor
        for key, tensor in saved.state.items()
        if key.startswith("features.") and not key.endswith(COUNTER)
    }
    if len(found) != len(wanted):
        raise WeightsError(
            f"'{saved.path}' is not torchvision's S3D: it has {len(found)} entries features.*, "
            f"not {len(wanted)}"
        )
    state = dict(zip(wanted, found.values(), strict=True))
    if state["base1.0.conv_s.weight"].ndim == 5:
        take_inputs_from_minus_one(state)
    return state


def take_inputs_from_minus_one(state: dict[str, Tensor]) -> None:
    """Adapt a first layer for (p / 255 - mean) / std to p / 127.5 - 1; the function is the same.

    The constant goes into the mean of the norm that follows.
    """
    state["base1.0.conv_s.weight"], constant = checkpoint.fold_inputs(
        state["base1.0.conv_s.weight"], was=KINETICS, now=MINUS_ONE_TO_ONE
    )
    state["base1.0.bn_s.running_mean"] = state["base1.0.bn_s.running_mean"] - constant
