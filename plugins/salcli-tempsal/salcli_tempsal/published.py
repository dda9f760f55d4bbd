"""Recognises the published weights files by their keys, and picks what a network needs from them.

`checkpoint.read` has already removed the wrappers that training left in the keys, two around
each branch.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Literal, TypeAlias

from torch import Tensor

from salcli import WeightsError
from salcli.authoring import Checkpoint

__all__ = ["Content", "branch", "content", "encoder", "joined", "slices"]

Content: TypeAlias = Literal["full", "simple", "branches", "slices", "image", "encoder"]

PREFIXES = {"slices": "pnas_vol.", "image": "pnas_sal."}
"""Where the full network keeps the branches."""

EARLY = {"slices": "pnas_vol.", "image": "pnas."}
"""Where the early model keeps them."""

NAMES: Mapping[Content, str] = {
    "full": "the full network",
    "simple": "an early model, which mixes finished maps only",
    "branches": "both branches without the mixing module",
    "slices": "the slice branch alone",
    "image": "the image branch alone",
    "encoder": "an encoder alone",
}

REMEDIES: Mapping[Content, str] = {
    "full": "set the option 'network' to 'full'",
    "simple": "set the option 'network' to 'simple'",
    "branches": "it is for training with the recipe 'mixing'",
    "slices": "set the option 'network' to 'slices', or join both branches by "
    "'salcli tempsal join'",
    "image": "set the option 'network' to 'image', or join both branches by 'salcli tempsal join'",
    "encoder": "it is only for training a branch",
}
"""What to do with a file that does not hold the wanted network."""

CLASSIFIER = re.compile(r"(^|\.)(classifier|last_linear)\.")
"""The ImageNet classifier: in every published file, but unused in prediction."""

TIMM = (
    (r"^conv_0\.conv\.", "conv0."),
    (r"^conv_0\.bn\.", "conv0_bn."),
    (r"^cell_stem_0\.comb_iter_0_right\.conv\.", "stem1._ops.1.1."),
    (r"^cell_stem_0\.comb_iter_0_right\.bn\.", "stem1._ops.1.2."),
    (r"^cell_stem_0\.", "stem1."),
    (r"^cell_stem_1\.", "stem2."),
    (r"^cell_(\d+)\.", r"cells.\1."),
    (r"\.conv_1x1\.conv\.", ".preprocess1.op.1."),
    (r"\.conv_1x1\.bn\.", ".preprocess1.op.2."),
    (r"\.conv_prev_1x1\.conv\.", ".preprocess0.op.1."),
    (r"\.conv_prev_1x1\.bn\.", ".preprocess0.op.2."),
    (r"\.conv_prev_1x1\.path_([12])\.conv\.", r".preprocess0.conv_\1."),
    (r"\.conv_prev_1x1\.final_path_bn\.", ".preprocess0.bn."),
    (r"\.comb_iter_4_right\.conv\.", "._ops.9.op.1."),
    (r"\.comb_iter_4_right\.bn\.", "._ops.9.op.2."),
    *((rf"\.comb_iter_{k}_left\.", f"._ops.{2 * k}.") for k in range(5)),
    *((rf"\.comb_iter_{k}_right\.", f"._ops.{2 * k + 1}.") for k in range(5)),
    (r"\.separable_1\.depthwise_conv2d\.", ".op.1."),
    (r"\.separable_1\.pointwise_conv2d\.", ".op.2."),
    (r"\.bn_sep_1\.", ".op.3."),
    (r"\.separable_2\.depthwise_conv2d\.", ".op.5."),
    (r"\.separable_2\.pointwise_conv2d\.", ".op.6."),
    (r"\.bn_sep_2\.", ".op.7."),
)
"""Names of timm's `pnasnet5large`, which holds the same numbers, as patterns, and ours."""


def content(saved: Checkpoint) -> Content:
    """What the file holds.

    Raises:
        WeightsError: It is not a weights file of TempSAL.
    """
    keys = saved.state.keys()
    if "conv0.weight" in keys or "conv_0.conv.weight" in keys:
        return "encoder"
    if any(key.startswith("pnas_vol.") for key in keys):
        if any(key.startswith("pnas.") for key in keys):
            return "simple"
        if not any(key.startswith("pnas_sal.") for key in keys):
            raise WeightsError(
                f"'{saved.path}' holds the slice branch of a full network alone; the published "
                "one, multilevel_tempsal.pt, has the keys pnas_vol.*, pnas_sal.* and deconv_*"
            )
        mixed = any(key.startswith("deconv_mix.") for key in keys)
        return "full" if mixed else "branches"
    if "deconv_layer5.4.weight" in keys:
        return "slices"
    if "deconv_layer5.2.weight" in keys:
        return "image"
    raise WeightsError(
        f"'{saved.path}' is not a weights file of TempSAL: it has neither pnas_vol.*, "
        f"deconv_layer5.* nor conv0.*, but {', '.join(list(keys)[:5])}"
    )


def slices(saved: Checkpoint) -> int | None:
    """Number of slices that the file's network predicts; `None` if it predicts none."""
    last = saved.state.get("pnas_vol.deconv_layer5.4.weight")
    last = saved.state.get("deconv_layer5.4.weight") if last is None else last
    return None if last is None else last.shape[0]


def branch(saved: Checkpoint, wanted: Literal["full", "simple", "slices", "image"]) -> Checkpoint:
    """The part of a file that the network `wanted` needs, without classifiers.

    Raises:
        WeightsError: The file does not hold it.
    """
    found = content(saved)
    places = EARLY if found == "simple" else PREFIXES if found in ("full", "branches") else {}
    prefix = places.get(wanted, "")
    if not prefix and found != wanted:
        raise WeightsError(
            f"'{saved.path}' holds {NAMES[found]}, not {NAMES[wanted]}; {REMEDIES[found]}"
        )
    own = {k: tensor for k, tensor in saved.state.items() if k.startswith(prefix)}
    return _kept(saved, {key.removeprefix(prefix): tensor for key, tensor in own.items()})


def joined(image: Checkpoint, slices: Checkpoint, mixing: Checkpoint | None) -> dict[str, Tensor]:
    """Keys and tensors of both branches, and of the mixing module of a full network if given.

    Raises:
        WeightsError: A file does not hold the part it should provide.
    """
    branches = {"slices": branch(slices, "slices"), "image": branch(image, "image")}
    state = {
        PREFIXES[name] + key: tensor
        for name, saved in branches.items()
        for key, tensor in saved.state.items()
    }
    if mixing is not None:
        whole = branch(mixing, "full").state
        prefixes = tuple(PREFIXES.values())
        state |= {key: tensor for key, tensor in whole.items() if not key.startswith(prefixes)}
    return state


def encoder(saved: Checkpoint) -> Checkpoint:
    """An encoder's file with the keys of `PNASNet5Large`, from the original's names or timm's."""
    if "conv0.weight" in saved.state:
        return _kept(saved, saved.state)
    return _kept(saved, {_ours(key): tensor for key, tensor in saved.state.items()})


def _ours(key: str) -> str:
    for pattern, name in TIMM:
        key = re.sub(pattern, name, key)
    return key


def _kept(saved: Checkpoint, state: Mapping[str, Tensor]) -> Checkpoint:
    """The checkpoint without any classifiers."""
    kept = {key: tensor for key, tensor in state.items() if not CLASSIFIER.search(key)}
    return replace(saved, state=kept)
