"""Options that `salcli train` and `salcli finetune` share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

__all__ = [
    "Accumulation",
    "BatchSize",
    "ClipLength",
    "ClipStride",
    "Data",
    "Deterministic",
    "DryRun",
    "EpochSteps",
    "Epochs",
    "Evaluate",
    "FrameMemory",
    "GradientClip",
    "HoldOut",
    "JsonLines",
    "Minutes",
    "Output",
    "Patience",
    "Rate",
    "RateGamma",
    "RecipeName",
    "Seed",
    "Start",
    "ThawAfter",
    "Workers",
]

HERE = "In place of the recipe's."

Data: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME[=DIR]",
        help="Dataset, as in 'salcli datasets'; repeatable. The recipe's if neither this nor "
        "--root is given.",
    ),
]
HoldOut: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="EVERY[:FIRST]",
        help="Where a dataset has no validation part: keep every so-many-th recording of each "
        "folder, counting from FIRST (0 if not given) in the natural order of names.",
    ),
]
Start: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--weights",
        "--start",
        metavar="FILE",
        help="Weights to start from: this model's own, or of a backbone that it knows.",
    ),
]
RecipeName: TypeAlias = Annotated[
    str | None, typer.Option("--recipe", metavar="NAME", help="Recipe of the model.")
]
Epochs: TypeAlias = Annotated[int | None, typer.Option(min=1, help=HERE)]
BatchSize: TypeAlias = Annotated[int | None, typer.Option(min=1, help=HERE)]
Rate: TypeAlias = Annotated[float | None, typer.Option("--lr", min=0, help=HERE)]
RateGamma: TypeAlias = Annotated[
    float | None, typer.Option("--lr-gamma", min=0, help="Factor on the rate after each epoch.")
]
ThawAfter: TypeAlias = Annotated[
    int | None,
    typer.Option("--train-cnn-after", min=0, help="Epochs in which the encoder is kept still."),
]
ClipLength: TypeAlias = Annotated[
    int | None, typer.Option(min=0, help="Frames per sample of a clip; 0 for whole clips.")
]
ClipStride: TypeAlias = Annotated[
    int | None, typer.Option(min=1, help="Use every so-many-th frame of a clip.")
]
Accumulation: TypeAlias = Annotated[
    int | None, typer.Option(min=1, help="Batches per step of the optimiser.")
]
GradientClip: TypeAlias = Annotated[
    float | None,
    typer.Option(min=0, help="Longest gradient, for each frame of a loss; longer are shortened."),
]
EpochSteps: TypeAlias = Annotated[
    int | None,
    typer.Option(min=1, help="Steps of the optimiser after which is validated, as one epoch."),
]
Patience: TypeAlias = Annotated[
    int | None, typer.Option(min=1, help="End after so many epochs that were not the best.")
]
Seed: TypeAlias = Annotated[int | None, typer.Option(min=0, help=HERE)]
Workers: TypeAlias = Annotated[int, typer.Option(min=0, help="Processes that prepare batches.")]
FrameMemory: TypeAlias = Annotated[
    int, typer.Option(metavar="MB", min=0, help="Decoded frames that are remembered.")
]
Minutes: TypeAlias = Annotated[
    float,
    typer.Option(
        "--checkpoint-minutes", min=0, help="Write the state so often, besides after every epoch."
    ),
]
Deterministic: TypeAlias = Annotated[
    bool, typer.Option("--deterministic", help="Only arithmetic that repeats itself, or an error.")
]
DryRun: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--dry-run",
        help="Take two steps and validate one recording, then say how much memory and time the "
        "training would take; nothing is kept.",
    ),
]
Output: TypeAlias = Annotated[
    Path,
    typer.Option(
        "--output", "-o", metavar="DIR", help="Folder of the run; an interrupted run goes on."
    ),
]
Evaluate: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME[:SPLIT][=DIR]",
        help="Dataset on which the best weights are scored in the end, as by 'salcli score'; "
        "repeatable; 'none' for none.",
        show_default="the recipe's, as far as they are there",
    ),
]
JsonLines: TypeAlias = Annotated[
    bool, typer.Option("--json", help="One JSON document per line on stdout, nothing else.")
]
