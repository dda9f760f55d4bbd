"""Recognises weights files by their keys: this model's own, SalGAN's generator, VGG-16."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from torch import Tensor

from salcli import WeightsError
from salcli.authoring import IMAGENET, Checkpoint, Standardisation, checkpoint
from salcli_salema import Variant
from salcli_salema.architecture import BOTTLENECK, CONVOLUTIONS

__all__ = ["MEAN", "alpha_of", "renamed", "start_state", "variant_of"]

MEAN = (103.939, 116.779, 123.68)
"""Mean subtracted from blue, green and red, 0 to 255."""

OWN = Standardisation((MEAN[2] / 255, MEAN[1] / 255, MEAN[0] / 255), (1 / 255,) * 3)
"""The input of this model, in red, green and blue."""

PREFIX = "salgan."
ENCODER_CONVOLUTIONS = tuple(index for index in CONVOLUTIONS if index < BOTTLENECK)
ARRAYS = tuple(f"arr_{number}" for number in range(2 * len(CONVOLUTIONS)))
"""Names in the file of SalGAN's generator (2017): weight and bias alternate, in order."""


def variant_of(saved: Checkpoint) -> Variant:
    """The variant to which the keys belong; a static network has the keys of `ema`."""
    if not any(key.startswith("Gates.") for key in saved.state):
        return "ema"
    full = any(key.startswith("final_convs.") for key in saved.state)
    return "clstm56" if full else "clstm30"


def alpha_of(saved: Checkpoint) -> float:
    """The learned logit of the average's weight; any finite number, since nothing bounds it.

    Raises:
        WeightsError: It is not one finite number.
    """
    alpha = saved.state["alpha"]
    if alpha.numel() != 1 or not bool(alpha.isfinite().all()):
        raise WeightsError(f"'{saved.path}': alpha is not one finite number")
    return float(alpha)


def renamed(saved: Checkpoint) -> Checkpoint:
    """Weights of SalGAN's generator renamed to this model's keys; others are unchanged."""
    state: Mapping[str, Tensor] = saved.state
    if set(state) == set(ARRAYS):
        return replace(saved, state=_from_arrays(state))
    if state and all(key.partition(".")[0].isdecimal() for key in state):
        return replace(saved, state={PREFIX + key: tensor for key, tensor in state.items()})
    return saved


def start_state(saved: Checkpoint, wanted: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Initial weights for a training, by the network's keys.

    Args:
        saved: Weights of any variant, SalGAN's generator, or torchvision's VGG-16, which gives the
            encoder alone.
        wanted: The network's state dict. The gates of a ConvLSTM, its last convolutions and a
            learned alpha may be missing in the file; the layers may not.

    Raises:
        WeightsError: The file is none of these, keys are missing, or shapes differ.
    """
    found, needed = saved.state, list(wanted)
    if "features.28.weight" in found:
        found = _from_vgg16(saved)
        needed = [key for index in ENCODER_CONVOLUTIONS for key in _keys(index)]
    parts = {key.partition(".")[0] for key in found} | {"salgan"}
    needed = [key for key in needed if key.partition(".")[0] in parts]
    state = {key: found[key] for key in needed if key in found}
    complaint = checkpoint.mismatches(state, {key: wanted[key] for key in needed})
    if complaint:
        raise WeightsError(
            f"'{saved.path}' cannot start salema, which accepts weights of its variants, SalGAN's "
            f"generator and torchvision's VGG-16: {complaint}"
        )
    return state


def _keys(index: int) -> tuple[str, str]:
    return f"{PREFIX}{index}.weight", f"{PREFIX}{index}.bias"


def _from_arrays(arrays: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The arrays of Theano's SalGAN, which flips the decoder's kernels when applying them."""
    state: dict[str, Tensor] = {}
    for number, index in enumerate(CONVOLUTIONS):
        weight, bias = arrays[ARRAYS[2 * number]], arrays[ARRAYS[2 * number + 1]]
        turned = weight if index < BOTTLENECK or weight.ndim != 4 else weight.flip(2, 3)
        state |= dict(zip(_keys(index), (turned, bias), strict=True))
    return state


def _from_vgg16(saved: Checkpoint) -> dict[str, Tensor]:
    """The encoder, with its first convolution adapted to this model's input.

    The offset goes into the bias, which is exact except for a border of one pixel.
    """
    state = {
        f"{PREFIX}{key.removeprefix('features.')}": tensor
        for key, tensor in saved.state.items()
        if key.startswith("features.")
    }
    weight_key, bias_key = _keys(0)
    weight, bias = state.get(weight_key), state.get(bias_key)
    if weight is not None and bias is not None and weight.shape[1:2] == (3,):
        folded, constant = checkpoint.fold_inputs(weight, was=IMAGENET, now=OWN)
        state[weight_key], state[bias_key] = folded.flip(1), bias + constant
    return state
