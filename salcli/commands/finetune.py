"""`salcli finetune`: go on from weights, on your own data or another dataset."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from salcli import logs, registry
from salcli.commands import options, settings
from salcli.commands.conducting import conduct
from salcli.commands.training import Request

__all__ = ["finetune"]


def finetune(
    context: typer.Context,
    *,
    model: options.ModelName = registry.DEFAULT_MODEL,
    weights: settings.Start = None,
    data: settings.Data = None,
    root: settings.Roots = None,
    fold: Annotated[
        int | None, typer.Option(min=0, help="Part of a dataset with folds that validates.")
    ] = None,
    hold_out: settings.HoldOut = None,
    data_option: settings.DataOptions = None,
    recipe: settings.RecipeName = None,
    option: options.ModelOptions = None,
    learning_rate: settings.Rate = None,
    epochs: settings.Epochs = None,
    learning_rate_gamma: settings.RateGamma = None,
    train_cnn_after: settings.ThawAfter = None,
    batch_size: settings.BatchSize = None,
    clip_length: settings.ClipLength = None,
    clip_stride: settings.ClipStride = None,
    accumulation: settings.Accumulation = None,
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
    context.with_resource(logs.heard(quiet=False, verbose=verbose))
    changes = {
        "epochs": epochs,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "clip_length": clip_length,
        "clip_stride": clip_stride,
        "accumulation": accumulation,
        "epoch_steps": epoch_steps,
        "patience": patience,
        "seed": seed,
        "gamma": learning_rate_gamma,
        "schedule": None if learning_rate_gamma is None else "exponential",
    }
    general = {"fold": fold, "hold_out": hold_out}
    names = [text.partition("=")[0] for text in data or ()]
    request = Request(
        model=model.partition(":")[0] if weights and model == registry.DEFAULT_MODEL else model,
        options=option or (),
        start=weights,
        published=True,
        recipe=recipe,
        recipes=(*(f"finetune-{name}" for name in names), "finetune"),
        changes={name: value for name, value in changes.items() if value is not None},
        thaw_after=train_cnn_after,
        data=data or (),
        roots=root or (),
        data_options={name: str(value) for name, value in general.items() if value is not None},
        given_data_options=data_option or (),
        device=device,
        deterministic=deterministic,
    )
    conduct(
        request,
        output=output,
        workers=workers,
        frame_memory=frame_memory,
        precision=precision,
        checkpoint_minutes=checkpoint_minutes,
        dry_run=dry_run,
        as_json=as_json,
        compare=True,
        evaluate=evaluate,
    )
