"""`salcli train`: train a model on published datasets or on your own data."""

from __future__ import annotations

from pathlib import Path

import typer

from salcli.commands import _options
from salcli.commands._options import DataOptions, Roots
from salcli.training.session import begin

__all__ = ["train"]


def train(
    context: typer.Context,
    *,
    model: _options.ModelName = "unisal",
    data: _options.Data = None,
    root: Roots = None,
    hold_out: _options.HoldOut = None,
    data_option: DataOptions = None,
    weights: _options.Start = None,
    recipe: _options.RecipeName = None,
    option: _options.ModelOptions = None,
    epochs: _options.Epochs = None,
    batch_size: _options.RecipeBatchSize = None,
    learning_rate: _options.Rate = None,
    clip_length: _options.ClipLength = None,
    clip_stride: _options.ClipStride = None,
    accumulation: _options.Accumulation = None,
    gradient_clip: _options.GradientClip = None,
    epoch_steps: _options.EpochSteps = None,
    patience: _options.Patience = None,
    train_cnn_after: _options.ThawAfter = None,
    seed: _options.Seed = None,
    evaluate: _options.Evaluate = None,
    workers: _options.Workers = 2,
    frame_memory: _options.FrameMemory = 512,
    device: _options.Device = "auto",
    precision: _options.Precision = "auto",
    deterministic: _options.Deterministic = False,
    checkpoint_minutes: _options.Minutes = 10.0,
    dry_run: _options.DryRun = False,
    output: _options.Output = Path("runs/train"),
    as_json: _options.JsonLines = False,
    verbose: _options.Verbose = False,
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
