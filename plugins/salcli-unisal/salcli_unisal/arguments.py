"""What the published training writes down of its arguments, with what a training here really used.

Of arguments that have no counterpart the value says what was done: losses of all datasets weigh 1,
the state is written after every epoch, files are looked for on the disk and not in a register.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from torch import nn

from salcli import Recipe
from salcli.authoring import Batches, Corpus, Model, Running
from salcli_unisal import SOURCES
from salcli_unisal.backbone import MEAN, STD
from salcli_unisal.layers import OTHER_MOMENTUM, STATIC_MOMENTUM
from salcli_unisal.network import HIDDEN, SMOOTHING, UNISAL

__all__ = ["METRICS", "Arguments", "finetuning", "of_dataset", "of_model", "of_training"]

METRICS = ("kld", "nss", "cc")
"""Names of the losses, in the published order."""

Arguments: TypeAlias = dict[str, Any]

OPTIMISERS = {"sgd": "SGD", "adam": "Adam"}
SCHEDULES = {"exponential": "ExponentialLR"}

HELD = {"DHF1K": (100, 0), "Hollywood": (75, 42), "UCFSports": (10, 27)}
"""How many videos validate, and the seed by which they are chosen (0: they are not shuffled)."""

UNLIMITED = 1_000_000
"""The published code's word for clips of any length."""


def of_training(
    output: Path,
    corpora: Sequence[Corpus],
    recipe: Recipe,
    running: Running,
    sources: Sequence[str],
) -> Arguments:
    """`Trainer.json`: arguments of the published trainer, in its order.

    Args:
        output: Folder of the run; its name up to the first `_` is the prefix, the rest the suffix.
        corpora: What was trained on, only data of `salcli_unisal.SOURCES`.
        recipe: How.
        running: How on this machine.
        sources: Domains of the network.
    """
    used = {SOURCES[corpus.name]: corpus for corpus in corpora}
    encoder = next(group for group in recipe.groups if group.encoder)
    metrics = [name for name in METRICS if name in recipe.losses]
    prefix, _, suffix = output.resolve().name.partition("_")

    def batch(*names: str) -> int | None:
        """Of the dataset, or of the other one that is trained in its place; none without either."""
        return next((used[name].batch_size for name in names if name in used), None)

    def clips(name: str) -> Arguments:
        found = used.get(name)
        return {"seq_len": found.clip_length, "frame_modulo": found.clip_stride} if found else {}

    return {
        "num_epochs": recipe.epochs,
        "optim_algo": OPTIMISERS.get(recipe.optimiser, recipe.optimiser),
        "momentum": recipe.momentum,
        "lr": recipe.learning_rate,
        "lr_scheduler": SCHEDULES.get(recipe.schedule, recipe.schedule),
        "lr_gamma": recipe.gamma,
        "weight_decay": recipe.weight_decay,
        "cnn_weight_decay": encoder.weight_decay,
        "grad_clip": recipe.gradient_clip,
        "loss_metrics": metrics,
        "loss_weights": [recipe.losses[name] for name in metrics],
        "data_sources": list(used),
        "batch_size": batch("DHF1K"),
        "salicon_batch_size": batch("SALICON", "MIT1003"),
        "hollywood_batch_size": batch("Hollywood"),
        "ucfsports_batch_size": batch("UCFSports"),
        "salicon_weight": 1.0,
        "hollywood_weight": 1.0,
        "ucfsports_weight": 1.0,
        "data_cfg": clips("DHF1K"),
        "salicon_cfg": {},
        "hollywood_cfg": clips("Hollywood"),
        "ucfsports_cfg": clips("UCFSports"),
        "shuffle_datasets": recipe.shuffle,
        "cnn_lr_factor": encoder.rate,
        "train_cnn_after": encoder.frozen_epochs,
        "cnn_eval": True,
        "model_cfg": {"sources": list(sources)},
        "prefix": prefix,
        "suffix": suffix,
        "num_workers": running.workers,
        "chkpnt_warmup": recipe.select_from,
        "chkpnt_epochs": 1,
        "tboard": (output / "tensorboard").is_dir(),
        "debug": False,
        "new_instance": False,
    }


def of_model(network: UNISAL, *, pretrained: bool, padding: str) -> Arguments:
    """`UNISAL.json`: arguments of the published model.

    Args:
        network: The network.
        pretrained: Whether the encoder did not start at random.
        padding: Of the encoder; what the published one does not know is among its arguments.
    """

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
        "ds_bn": network.ds_bn,
        "ds_adaptation": network.ds_adaptation,
        "ds_smoothing": network.ds_smoothing,
        "ds_gaussians": network.ds_gaussians,
        "verbose": 1,
    }


def of_dataset(corpus: Corpus, model: Model, recipe: Recipe, *, edition: str) -> Arguments:
    """`DHF1KDataset.json` and so on: arguments of the published class that reads a dataset.

    Sizes are those of a sample that was drawn for this; none where nothing could be trained on.

    Raises:
        InputError: A file of it cannot be read.
    """
    source = SOURCES[corpus.name]
    common: Arguments = {
        "phase": "train",
        "subset": None,
        "preproc_cfg": {"rgb_mean": list(MEAN), "rgb_std": list(STD)},
    }
    if source == "MIT1003":
        fold = int(edition.rpartition(" ")[2])
        return {**common, "n_x_val": 10, "x_val_step": fold, "x_val_seed": 27}
    one, simple = (
        dataclasses.replace(corpus, batch_size=1),
        dataclasses.replace(recipe, accumulation=1),
    )
    made = Batches([one], model, recipe=simple)
    sample = made[0, 0] if made.plan(0) else None
    common["out_size"] = list(sample.inputs.shape[-2:]) if sample else None
    common["target_size"] = list(sample.density.shape[-2:]) if sample else None
    if source == "SALICON":
        return common
    videos, seed = HELD[source]
    return {
        "seq_len": corpus.clip_length,
        "frame_modulo": corpus.clip_stride,
        "max_seq_len": UNLIMITED,
        **common,
        "val_size": videos,
        "n_x_val": 3,
        "x_val_step": 2,
        "x_val_seed": seed,
        "seq_per_vid": 1,
        "seq_per_vid_val": corpus.validation_clips or 1,
        "n_images_file": None,
        "sal_offset": None,
        "register_file": None,
        "verbose": 1,
        "debug": False,
    }


def finetuning(recipe: Mapping[str, Any], edition: str) -> str:
    """Name of the folder for what a finetuning on MIT1003 leaves, of its recipe as metadata."""
    encoder = next(group for group in recipe["groups"] if group["encoder"])
    return (
        f"MIT1003_lr{recipe['learning_rate']:.4f}_lrGamma{recipe['gamma']:.2f}"
        f"_nEpochs{recipe['epochs']}_TrainCNNAfter{encoder['frozen_epochs']}"
        f"_xVal{edition.rpartition(' ')[2]}"
    )
