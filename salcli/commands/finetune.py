"""`salcli finetune`: go on from weights, on your own data or another dataset."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from salcli.commands import options, settings
from salcli.commands.conducting import begin
from salcli.commands.data import DataOptions, Roots
from salcli.plugins import registry

__all__ = ["finetune"]


def finetune(
    context: typer.Context,
    *,
    model: options.ModelName = registry.DEFAULT_MODEL,
    weights: settings.Start = None,
    data: settings.Data = None,
    root: Roots = None,
    fold: Annotated[
        int | None, typer.Option(min=0, help="Part of a dataset with folds that validates.")
    ] = None,
    hold_out: settings.HoldOut = None,
    data_option: DataOptions = None,
    recipe: settings.RecipeName = None,
    option: options.ModelOptions = None,
    learning_rate: settings.Rate = None,
    epochs: settings.Epochs = None,
    gamma: settings.RateGamma = None,
    train_cnn_after: settings.ThawAfter = None,
    batch_size: settings.BatchSize = None,
    clip_length: settings.ClipLength = None,
    clip_stride: settings.ClipStride = None,
    accumulation: settings.Accumulation = None,
    gradient_clip: settings.GradientClip = None,
    epoch_steps: settings.EpochSteps = None,
    patience: settings.Patience = None,
    seed: settings.Seed = None,
    evaluate: settings.Evaluate = None,
    workers: settings.Workers = 2,
    frame_memory: settings.FrameMemory = 512,
    device: options.Device = "auto",
    precision: options.Precision = "auto",
    deterministic: settings.Deterministic = False,
    checkpoint_minutes: settings.Minutes = 10.0,
    dry_run: settings.DryRun = False,
    output: settings.Output = Path("runs/finetune"),
    as_json: settings.JsonLines = False,
    verbose: options.Verbose = False,
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
