"""`salcli finetune`: go on from weights, on your own data or another dataset."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from salcli.commands import _options
from salcli.commands._options import DataOptions, Roots
from salcli.plugins import registry
from salcli.training.session import begin

__all__ = ["finetune"]


def finetune(
    context: typer.Context,
    *,
    model: _options.ModelName = registry.DEFAULT_MODEL,
    weights: _options.Start = None,
    data: _options.Data = None,
    root: Roots = None,
    fold: Annotated[
        int | None, typer.Option(min=0, help="Part of a dataset with folds that validates.")
    ] = None,
    hold_out: _options.HoldOut = None,
    data_option: DataOptions = None,
    recipe: _options.RecipeName = None,
    option: _options.ModelOptions = None,
    learning_rate: _options.Rate = None,
    epochs: _options.Epochs = None,
    gamma: _options.RateGamma = None,
    train_cnn_after: _options.ThawAfter = None,
    batch_size: _options.RecipeBatchSize = None,
    clip_length: _options.ClipLength = None,
    clip_stride: _options.ClipStride = None,
    accumulation: _options.Accumulation = None,
    gradient_clip: _options.GradientClip = None,
    epoch_steps: _options.EpochSteps = None,
    patience: _options.Patience = None,
    seed: _options.Seed = None,
    evaluate: _options.Evaluate = None,
    workers: _options.Workers = 2,
    frame_memory: _options.FrameMemory = 512,
    device: _options.Device = "auto",
    precision: _options.Precision = "auto",
    deterministic: _options.Deterministic = False,
    checkpoint_minutes: _options.Minutes = 10.0,
    dry_run: _options.DryRun = False,
    output: _options.Output = Path("runs/finetune"),
    as_json: _options.JsonLines = False,
    verbose: _options.Verbose = False,
) -> None:
    """Go on training from weights; the best ones are OUTPUT/best.safetensors.

    Scores on the validation recordings are stated before and after. The data are named as for
    'salcli train'; --model NAME means its published weights, unless --weights names others.

    The recipe is the model's one for this dataset, or its 'finetune', or its first.
    """
    names = [text.partition("=")[0] for text in data or ()]
    if weights and model == registry.DEFAULT_MODEL:
        model = model.partition(":")[0]  # its published weights are not where it starts
    recipes = (*(f"finetune-{name}" for name in names), "finetune")
    begin(locals(), published=True, recipes=recipes, compare=True)
