"""The arguments that the published training records, with the values that a training really used.

Arguments without a counterpart describe what was done: losses of all datasets weigh 1, the state is
written after every epoch, files are looked up on the disk, not in an index.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from salcli import TrainedDataset, TrainingRun
from salcli.authoring import IMAGENET
from salcli_unisal import SOURCES
from salcli_unisal.layers import OTHER_MOMENTUM, STATIC_MOMENTUM
from salcli_unisal.model import CLIP_SIZES, input_size
from salcli_unisal.network import SMOOTHING, UNISAL
from salcli_unisal.recipes import SELECTS_FROM, is_published
from salcli_unisal.recurrent import HIDDEN

__all__ = ["METRICS", "Arguments", "by_file"]

METRICS = ("kld", "nss", "cc")
"""Names of the losses, in the published order."""

Arguments: TypeAlias = dict[str, Any]

NAMES = {
    "sgd": "SGD",
    "salcli_unisal.solver:EarlySGD": "SGD",
    "adam": "Adam",
    "exponential": "ExponentialLR",
}
"""The published names of optimisers and schedules."""

VALIDATION = {"DHF1K": (100, 0), "Hollywood": (75, 42), "UCFSports": (10, 27)}
"""Number of validation videos, and the seed for choosing them (0: they are not shuffled)."""

UNLIMITED = 1_000_000
"""The published code's value for clips of any length."""


def by_file(
    run: TrainingRun, network: UNISAL, metadata: Mapping[str, Any]
) -> Mapping[str, Arguments]:
    """Arguments of the trainer, the network and each dataset, by the name of their file.

    Args:
        run: A training on datasets of `salcli_unisal.SOURCES` only.
        network: The trained network.
        metadata: Metadata of its best weights.
    """
    return {
        "Trainer.json": _trainer(run, network),
        "UNISAL.json": _network(network, metadata),
        **{
            f"{SOURCES[used.name]}Dataset.json": _dataset(used, published=is_published(run.recipe))
            for used in run.datasets
        },
    }


def _trainer(run: TrainingRun, network: UNISAL) -> Arguments:
    """Arguments in the published order; the run's name up to the first `_` is the prefix."""
    recipe, used = run.recipe, {SOURCES[each.name]: each for each in run.datasets}
    encoder = next(group for group in recipe.groups if group.encoder)
    metrics = [name for name in METRICS if name in recipe.losses]
    prefix, _, suffix = run.folder.resolve().name.partition("_")
    batches = {name: each.batch_size for name, each in used.items()}
    clips = {
        name: {"seq_len": each.clip_length, "frame_modulo": each.clip_stride}
        for name, each in used.items()
        if name in VALIDATION
    }
    return {
        "num_epochs": recipe.epochs,
        "optim_algo": NAMES.get(recipe.optimiser, recipe.optimiser),
        "momentum": recipe.momentum,
        "lr": recipe.learning_rate,
        "lr_scheduler": NAMES.get(recipe.schedule, recipe.schedule),
        "lr_gamma": recipe.gamma,
        "weight_decay": recipe.weight_decay,
        "cnn_weight_decay": encoder.weight_decay,
        "grad_clip": recipe.gradient_clip,
        "loss_metrics": metrics,
        "loss_weights": [recipe.losses[name] for name in metrics],
        "data_sources": list(used),
        "batch_size": batches.get("DHF1K"),
        "salicon_batch_size": batches.get("SALICON", batches.get("MIT1003")),
        "hollywood_batch_size": batches.get("Hollywood"),
        "ucfsports_batch_size": batches.get("UCFSports"),
        **dict.fromkeys(("salicon_weight", "hollywood_weight", "ucfsports_weight"), 1.0),
        "data_cfg": clips.get("DHF1K", {}),
        "salicon_cfg": {},
        "hollywood_cfg": clips.get("Hollywood", {}),
        "ucfsports_cfg": clips.get("UCFSports", {}),
        "shuffle_datasets": recipe.shuffle,
        "cnn_lr_factor": encoder.rate,
        "train_cnn_after": encoder.frozen_epochs,
        "cnn_eval": True,
        "model_cfg": {"sources": list(network.sources)},
        "prefix": prefix,
        "suffix": suffix,
        "num_workers": run.workers,
        "chkpnt_warmup": SELECTS_FROM if is_published(recipe) else 0,
        "chkpnt_epochs": 1,
        "tboard": (run.folder / "tensorboard").is_dir(),
        "debug": False,
        "new_instance": False,
    }


def _network(network: UNISAL, metadata: Mapping[str, Any]) -> Arguments:
    """The network's arguments, and the encoder's padding, which the published one lacks."""
    padding = metadata["options"]["padding"]
    skips = (network.skip_2x.dropout, network.skip_4x.dropout)
    same = ("ds_bn", "ds_adaptation", "ds_smoothing", "ds_gaussians")
    return {
        "sources": list(network.sources),
        "rnn_input_channels": HIDDEN,
        "rnn_hidden_channels": HIDDEN,
        "cnn_cfg": {
            "widen_factor": 1.0,
            "pretrained": metadata["start"] is not None,
            "input_channel": 32,
            "last_channel": 1280,
            **({} if padding == "symmetric" else {"padding": padding}),
        },
        "rnn_cfg": {
            "kernel_size": [3, 3],
            "gate_ksize": [3, 3],
            "dropout": [False, True, False],
            "drop_prob": [network.state_dropout] * 3,
            "mobile": True,
        },
        "res_rnn": network.res_rnn,
        "bypass_rnn": network.bypass_rnn,
        "drop_probs": [0.0, *(skip.p for skip in skips)],
        "gaussian_init": "manual",
        "n_gaussians": network.n_gaussians,
        "smoothing_ksize": SMOOTHING,
        "bn_momentum": OTHER_MOMENTUM,
        "static_bn_momentum": STATIC_MOMENTUM,
        **{name: getattr(network, name) for name in same},
        "verbose": 1,
    }


def _dataset(used: TrainedDataset, *, published: bool) -> Arguments:
    """Arguments of the published dataset class; sizes are those of the first frame."""
    source = SOURCES[used.name]
    mean, std = map(list, IMAGENET)
    standard = {"rgb_mean": mean, "rgb_std": std}
    common: Arguments = {"phase": "train", "subset": None, "preproc_cfg": standard}
    if source == "MIT1003":
        fold = int(used.edition.rpartition(" ")[2])
        return {**common, "n_x_val": 10, "x_val_step": fold, "x_val_seed": 27}
    size = CLIP_SIZES.get(source, used.frame_size)
    inputs = input_size(size, source)
    target = [round(side * used.truth_size) for side in inputs] if used.truth_size else list(size)
    common |= {"out_size": list(inputs), "target_size": target}
    if source == "SALICON":
        return common
    videos, seed = VALIDATION[source]
    return {
        "seq_len": used.clip_length,
        "frame_modulo": used.clip_stride,
        "max_seq_len": UNLIMITED,
        **common,
        "val_size": videos,
        "n_x_val": 3,
        "x_val_step": 2,
        "x_val_seed": seed,
        "seq_per_vid": 1,
        "seq_per_vid_val": 2 if source == "DHF1K" and published else 1,
        **dict.fromkeys(("n_images_file", "sal_offset", "register_file")),
        "verbose": 1,
        "debug": False,
    }
