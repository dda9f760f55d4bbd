"""The arguments that the published training records, with the values that a training really used.

Arguments without a counterpart describe what was done: losses of all datasets weigh 1, the state is
written after every epoch, files are looked up on the disk, not in an index.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from torch import nn

from salcli import Recipe, TrainedDataset, TrainingRun
from salcli_unisal import SOURCES
from salcli_unisal.backbone import MEAN, STD
from salcli_unisal.layers import OTHER_MOMENTUM, STATIC_MOMENTUM
from salcli_unisal.model import CLIP_SIZES, input_size
from salcli_unisal.network import SMOOTHING, UNISAL
from salcli_unisal.recurrent import HIDDEN

__all__ = ["METRICS", "Arguments", "by_file"]

METRICS = ("kld", "nss", "cc")
"""Names of the losses, in the published order."""

Arguments: TypeAlias = dict[str, Any]

OPTIMISERS = {"sgd": "SGD", "adam": "Adam"}
SCHEDULES = {"exponential": "ExponentialLR"}

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
    pretrained, padding = metadata["start"] is not None, metadata["options"]["padding"]
    return {
        "Trainer.json": _trainer(run, network),
        "UNISAL.json": _network(network, pretrained=pretrained, padding=padding),
        **{f"{SOURCES[used.name]}Dataset.json": _dataset(used) for used in run.datasets},
    }


def _trainer(run: TrainingRun, network: UNISAL) -> Arguments:
    """Arguments in the published order; the run's name up to the first `_` is the prefix."""
    recipe, used = run.recipe, {SOURCES[each.name]: each for each in run.datasets}
    encoder = next(group for group in recipe.groups if group.encoder)
    metrics = [name for name in METRICS if name in recipe.losses]
    prefix, _, suffix = run.folder.resolve().name.partition("_")

    def batch(*names: str) -> int | None:
        """Arguments of the dataset, or of the one trained in its place; empty without either."""
        return next((used[name].batch_size for name in names if name in used), None)

    def clips(name: str) -> Arguments:
        found = used.get(name)
        return {"seq_len": found.clip_length, "frame_modulo": found.clip_stride} if found else {}

    return {
        **_optimisation(recipe),
        "cnn_weight_decay": encoder.weight_decay,
        "grad_clip": recipe.gradient_clip,
        "loss_metrics": metrics,
        "loss_weights": [recipe.losses[name] for name in metrics],
        "data_sources": list(used),
        "batch_size": batch("DHF1K"),
        "salicon_batch_size": batch("SALICON", "MIT1003"),
        "hollywood_batch_size": batch("Hollywood"),
        "ucfsports_batch_size": batch("UCFSports"),
        **dict.fromkeys(("salicon_weight", "hollywood_weight", "ucfsports_weight"), 1.0),
        "data_cfg": clips("DHF1K"),
        "salicon_cfg": {},
        "hollywood_cfg": clips("Hollywood"),
        "ucfsports_cfg": clips("UCFSports"),
        "shuffle_datasets": recipe.shuffle,
        "cnn_lr_factor": encoder.rate,
        "train_cnn_after": encoder.frozen_epochs,
        "cnn_eval": True,
        "model_cfg": {"sources": list(network.sources)},
        "prefix": prefix,
        "suffix": suffix,
        "num_workers": run.workers,
        "chkpnt_warmup": recipe.select_from,
        "chkpnt_epochs": 1,
        "tboard": (run.folder / "tensorboard").is_dir(),
        "debug": False,
        "new_instance": False,
    }


def _optimisation(recipe: Recipe) -> Arguments:
    return {
        "num_epochs": recipe.epochs,
        "optim_algo": OPTIMISERS.get(recipe.optimiser, recipe.optimiser),
        "momentum": recipe.momentum,
        "lr": recipe.learning_rate,
        "lr_scheduler": SCHEDULES.get(recipe.schedule, recipe.schedule),
        "lr_gamma": recipe.gamma,
        "weight_decay": recipe.weight_decay,
    }


def _network(network: UNISAL, *, pretrained: bool, padding: str) -> Arguments:
    """The network's arguments, and the encoder's padding, which the published one lacks."""

    def dropout(skip: nn.Module) -> float:
        return next(layer.p for layer in skip.modules() if isinstance(layer, nn.Dropout2d))

    encoder = {
        "widen_factor": 1.0,
        "pretrained": pretrained,
        "input_channel": 32,
        "last_channel": 1280,
    }
    recurrent = {
        "kernel_size": [3, 3],
        "gate_ksize": [3, 3],
        "dropout": [False, True, False],
        "drop_prob": [network.state_dropout] * 3,
        "mobile": True,
    }
    same = ("ds_bn", "ds_adaptation", "ds_smoothing", "ds_gaussians")
    return {
        "sources": list(network.sources),
        "rnn_input_channels": HIDDEN,
        "rnn_hidden_channels": HIDDEN,
        "cnn_cfg": encoder if padding == "symmetric" else {**encoder, "padding": padding},
        "rnn_cfg": recurrent,
        "res_rnn": network.res_rnn,
        "bypass_rnn": network.bypass_rnn,
        "drop_probs": [0.0, dropout(network.skip_2x), dropout(network.skip_4x)],
        "gaussian_init": "manual",
        "n_gaussians": network.n_gaussians,
        "smoothing_ksize": SMOOTHING,
        "bn_momentum": OTHER_MOMENTUM,
        "static_bn_momentum": STATIC_MOMENTUM,
        **{name: getattr(network, name) for name in same},
        "verbose": 1,
    }


def _dataset(used: TrainedDataset) -> Arguments:
    """Arguments of the published dataset class; sizes are those of the first frame."""
    source = SOURCES[used.name]
    common: Arguments = {
        "phase": "train",
        "subset": None,
        "preproc_cfg": {"rgb_mean": list(MEAN), "rgb_std": list(STD)},
    }
    if source == "MIT1003":
        fold = int(used.edition.rpartition(" ")[2])
        return {**common, "n_x_val": 10, "x_val_step": fold, "x_val_seed": 27}
    size = CLIP_SIZES.get(source, used.frame_size)
    height, width = input_size(size, source)
    target = (round(height * used.truth_size), round(width * used.truth_size))
    common["out_size"] = [height, width]
    common["target_size"] = list(target if used.truth_size else size)
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
        "seq_per_vid_val": used.validation_clips or 1,
        "n_images_file": None,
        "sal_offset": None,
        "register_file": None,
        "verbose": 1,
        "debug": False,
    }
