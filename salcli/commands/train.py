"""`salcli train`: train a model on published datasets or on your own data."""

from __future__ import annotations

from pathlib import Path

import typer

from salcli.commands import options, settings
from salcli.commands.conducting import begin
from salcli.commands.data import DataOptions, Roots

__all__ = ["train"]


def train(
    context: typer.Context,
    *,
    model: options.ModelName = "unisal",
    data: settings.Data = None,
    root: Roots = None,
    hold_out: settings.HoldOut = None,
    data_option: DataOptions = None,
    weights: settings.Start = None,
    recipe: settings.RecipeName = None,
    option: options.ModelOptions = None,
    epochs: settings.Epochs = None,
    batch_size: settings.BatchSize = None,
    learning_rate: settings.Rate = None,
    clip_length: settings.ClipLength = None,
    clip_stride: settings.ClipStride = None,
    accumulation: settings.Accumulation = None,
    gradient_clip: settings.GradientClip = None,
    epoch_steps: settings.EpochSteps = None,
    patience: settings.Patience = None,
    train_cnn_after: settings.ThawAfter = None,
    seed: settings.Seed = None,
    evaluate: settings.Evaluate = None,
    workers: settings.Workers = 2,
    frame_memory: settings.FrameMemory = 512,
    device: options.Device = "auto",
    precision: options.Precision = "auto",
    deterministic: settings.Deterministic = False,
    checkpoint_minutes: settings.Minutes = 10.0,
    dry_run: settings.DryRun = False,
    output: settings.Output = Path("runs/train"),
    as_json: settings.JsonLines = False,
    verbose: options.Verbose = False,
) -> None:
    """Train a model on images or clips; the best weights are OUTPUT/best.safetensors.

    A folder given by --root holds:

    images/NAME.jpg - images of any format, or images/NAME/ - a folder of frames per clip, or
    videos/NAME.mp4;

    maps/NAME.png - their fixation density, 8-bit grey, of any size; of a clip maps/NAME/; and/or

    fixations/NAME.mat - fixations as SALICON publishes them, or NAME.png, a binary fixation map.

    --model NAME trains from scratch or from --weights; --model NAME:TAG goes on from these weights.

    On several devices: torchrun --nproc-per-node N -m salcli train ...
    """
    begin(locals(), published=False, compare=False)
