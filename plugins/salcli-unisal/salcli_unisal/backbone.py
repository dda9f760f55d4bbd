"""Starts UNISAL's encoder from MobileNetV2 weights trained on ImageNet."""

from __future__ import annotations

import re

from torch import Tensor

from salcli.authoring import IMAGENET, MINUS_ONE_TO_ONE, Checkpoint, checkpoint, load_strict
from salcli_unisal.network import UNISAL

COUNTER = "num_batches_tracked"

NESTED = re.compile(r"^(features\.\d+\.conv)\.(\d)\.(?:(\d)\.)?(\w+)$")
"""torchvision groups a convolution with its norm; UNISAL numbers a block's layers consecutively."""


def is_mobilenet(saved: Checkpoint) -> bool:
    """Whether a file holds a MobileNetV2, in torchvision's format or that of UNISAL's authors."""
    return "features.0.0.weight" in saved.state


def load(network: UNISAL, saved: Checkpoint, *, inputs_from_minus_one: bool) -> None:
    """Load the encoder, without the classifier.

    `inputs_from_minus_one`: the file was trained on inputs (p - 127.5) / 127.5, as TensorFlow's
    MobileNets are; the first layer is then adapted to UNISAL's standardised inputs.

    Raises:
        WeightsError: The file is not a complete MobileNetV2.
    """
    nested = "features.1.conv.0.0.weight" in saved.state
    # Some files store the batch counters, which are unused here, as vectors.
    state = {key: t for key, t in network.cnn.state_dict().items() if key.endswith(COUNTER)}
    for key, tensor in saved.state.items():
        if key.startswith("features.") and not key.endswith(COUNTER):
            state[flat_name(key) if nested else key] = tensor.float()
    if inputs_from_minus_one:
        fold_normalisation(state)
    load_strict(network.cnn, Checkpoint(state, saved.path))


def flat_name(key: str) -> str:
    """The key of torchvision in UNISAL's numbering.

    A group holds convolution, norm and activation and so counts for three layers; the last 1x1
    convolution and its norm follow the groups one by one.
    """
    match = NESTED.match(key)
    if match is None:
        return key
    block, outer, inner, rest = match.groups()
    if inner is not None:
        return f"{block}.{3 * int(outer) + int(inner)}.{rest}"
    groups = 1 if block == "features.1.conv" else 2
    return f"{block}.{3 * groups + int(outer) - groups}.{rest}"


def fold_normalisation(state: dict[str, Tensor]) -> None:
    """Adapt a first layer for inputs in -1..1 to (p / 255 - mean) / std; the function is the same.

    The constant goes into the bias of the norm that follows (whose statistics are 0 and 1).
    """
    state["features.0.0.weight"], constant = checkpoint.fold_inputs(
        state["features.0.0.weight"], was=MINUS_ONE_TO_ONE, now=IMAGENET
    )
    scale = state["features.0.1.weight"] / (state["features.0.1.running_var"] + 1e-5).sqrt()
    state["features.0.1.bias"] = state["features.0.1.bias"] + scale * constant
