"""`salcli train`: train a model on published datasets or on your own data."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from typer import Option

from salcli.commands import _options
from salcli.commands._help import COMPUTING, DATA, MESSAGES, RECIPE
from salcli.commands._options import DataOptions, Roots
from salcli.terminal import logs
from salcli.terminal.events import Silence
from salcli.terminal.progress import watch
from salcli.terminal.steps import Steps

__all__ = ["train", "training_command"]

OVERRIDES = "Overrides the recipe's value."


def training_command(
    *, model: str, output: Path, finetunes: bool, description: str
) -> Callable[..., None]:
    """`salcli train` or `salcli finetune`, which differ in defaults and starting weights."""
    default_model, default_output = model, output

    def command(
        context: typer.Context,
        folders: Annotated[
            list[Path] | None,
            typer.Argument(
                metavar="[DIR]",
                help="Folders of your own images or clips, as --root.",
                show_default=False,
            ),
        ] = None,
        *,
        model: _options.ModelName = default_model,
        data: _options.Data = None,
        root: Roots = None,
        fold: Annotated[
            int | None,
            Option(
                min=0,
                help="Validation fold, for a dataset with folds.",
                rich_help_panel=DATA,
            ),
        ] = None,
        hold_out: Annotated[
            str | None,
            Option(
                metavar="EVERY[:FIRST]",
                help="If a dataset has no validation part: hold out every EVERY-th recording of "
                "each folder, counting from FIRST (default 0) in the natural order of names.",
                rich_help_panel=DATA,
            ),
        ] = None,
        data_option: DataOptions = None,
        weights: Annotated[
            Path | None,
            Option(
                "--weights",
                "--start",
                metavar="FILE",
                help="Weights to start from: for this model, or for a backbone that it supports.",
            ),
        ] = None,
        recipe: _options.RecipeName = None,
        option: _options.ModelOptions = None,
        filters: _options.Filters = None,
        epochs: Annotated[int | None, Option(min=1, help=OVERRIDES)] = None,
        batch_size: Annotated[int | None, Option(min=1, help=OVERRIDES)] = None,
        learning_rate: Annotated[float | None, Option("--lr", min=0, help=OVERRIDES)] = None,
        gamma: Annotated[
            float | None,
            Option(
                "--lr-gamma",
                min=0,
                help="Multiply the learning rate by this each epoch.",
                rich_help_panel=RECIPE,
            ),
        ] = None,
        train_cnn_after: Annotated[
            int | None,
            Option(
                min=0,
                help="Freeze the encoder for the first N epochs.",
                rich_help_panel=RECIPE,
            ),
        ] = None,
        clip_length: Annotated[
            int | None,
            Option(
                min=0,
                help="Frames per sample of a clip; 0 for whole clips.",
                rich_help_panel=RECIPE,
            ),
        ] = None,
        clip_stride: Annotated[
            int | None,
            Option(
                min=1,
                help="Use every N-th frame of a clip.",
                rich_help_panel=RECIPE,
            ),
        ] = None,
        accumulation: Annotated[
            int | None,
            Option(
                min=1,
                help="Accumulate gradients over N batches.",
                rich_help_panel=RECIPE,
            ),
        ] = None,
        gradient_clip: Annotated[
            float | None,
            Option(
                min=0,
                help="Clip the gradient norm to this value, per frame of a loss.",
                rich_help_panel=RECIPE,
            ),
        ] = None,
        epoch_steps: Annotated[
            int | None,
            Option(
                min=1,
                help="Validate after N optimiser steps; these count as one epoch.",
                rich_help_panel=RECIPE,
            ),
        ] = None,
        patience: Annotated[
            int | None,
            Option(
                min=1,
                help="Stop after N epochs without improvement.",
                rich_help_panel=RECIPE,
            ),
        ] = None,
        seed: Annotated[int | None, Option(min=0, help="Random seed.")] = None,
        evaluate: Annotated[
            list[str] | None,
            Option(
                metavar="NAME[:SPLIT][=DIR]",
                help="Dataset on which to score the best weights, as by 'salcli score'; "
                "repeatable; 'none' for none.",
                show_default="those of the recipe that are there",
                rich_help_panel=RECIPE,
            ),
        ] = None,
        workers: _options.Workers = 2,
        frame_memory: _options.FrameMemory = 512,
        device: _options.Device = "auto",
        threads: _options.Threads = None,
        precision: _options.Precision = "auto",
        deterministic: Annotated[
            bool,
            Option(
                "--deterministic",
                help="Use deterministic algorithms; fail where none exists.",
                rich_help_panel=COMPUTING,
            ),
        ] = False,
        checkpoint_minutes: Annotated[
            float,
            Option(
                min=0,
                help="Save the training state every N minutes, and after every epoch.",
                rich_help_panel=COMPUTING,
            ),
        ] = 10.0,
        dry_run: Annotated[
            bool,
            Option(
                "--dry-run",
                help="Run two steps, validate one recording, print the memory and time that the "
                "training would take, and write nothing.",
            ),
        ] = False,
        output: Annotated[
            Path,
            Option(
                "--output", "-o", metavar="DIR", help="Folder for the run; resumes the run in it."
            ),
        ] = default_output,
        as_json: Annotated[
            bool,
            Option(
                "--json",
                help="Print one JSON document per line on stdout, nothing else.",
                rich_help_panel=MESSAGES,
            ),
        ] = False,
        verbose: _options.Verbose = False,
    ) -> None:
        from salcli.training import session

        context.with_resource(logs.logging_to_terminal(quiet=False, verbose=verbose))
        folds = [] if fold is None else [f"fold={fold}"]
        held = [] if hold_out is None else [f"hold_out={hold_out}"]
        keywords = session.TrainingKeywords(
            data=data or (),
            roots=[*(folders or ()), *(root or ())],
            data_options=[*folds, *held, *(data_option or ())],
            weights=weights,
            recipe=recipe,
            options=option or (),
            filters=filters or (),
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=learning_rate,
            gamma=gamma,
            encoder_frozen_epochs=train_cnn_after,
            clip_length=clip_length,
            clip_stride=clip_stride,
            accumulation=accumulation,
            gradient_clip=gradient_clip,
            epoch_steps=epoch_steps,
            patience=patience,
            seed=seed,
            evaluate=evaluate,
            workers=workers,
            frame_memory=frame_memory,
            device=device,
            precision=precision,
            deterministic=deterministic,
            checkpoint_minutes=checkpoint_minutes,
        )
        steps = Silence() if as_json else Steps()
        report = _print_json if as_json else partial(_print_line, steps.note)
        if dry_run:
            session.dry_run(model, finetunes=finetunes, report=report, **keywords)
            return
        start = session.finetune if finetunes else session.train
        bars = partial(watch, quiet=False)
        start(model, output=output, report=report, watch=bars, steps=steps, **keywords)

    command.__doc__ = description
    return command


train = training_command(
    model="unisal",
    output=Path("runs/train"),
    finetunes=False,
    description="""Train a model on images or clips; the best weights are OUTPUT/best.safetensors.

    A folder given by --root holds:

    \b
      images/NAME.jpg     images of any format; or images/NAME/, a folder of
                          frames per clip; or videos/NAME.mp4
      maps/NAME.png       their fixation density, 8-bit grey, of any size; of a
                          clip maps/NAME/; and/or
      fixations/NAME.mat  fixations as SALICON publishes them, or NAME.png, a
                          binary fixation map

    --model NAME trains from scratch or from --weights; --model NAME:TAG starts from these weights.

    On several devices: torchrun --nproc-per-node N -m salcli train ...

    \b
    Examples:
      salcli train mydata --model salema
      salcli train --model unisal --recipe published --dry-run
    """,
)


def _print_json(line: Mapping[str, Any]) -> None:
    """One JSON document per line on stdout."""
    print(json.dumps(line), flush=True)


def _print_line(say: Callable[[str], None], line: Mapping[str, Any]) -> None:
    """Readable lines on stderr."""
    match line:
        case {"weights": path}:
            say(f"best weights: {path}")
            say(f"next: salcli predict photo.jpg --model {shlex.quote(str(Path(path).parent))}")
        case {"before": before, "after": after}:
            for when, scores in (("before", before), ("after", after)):
                say(f"{when:<6}  validation {'all':<10} {_numbers(scores['all'])}")
            say(_verdict(line))
        case {"evaluation": name, "scores": scores}:
            skipped = f"  ({line['skipped']} frames skipped)" if line["skipped"] else ""
            say(f"{name}  {line['split']} by {line['protocol']}  {_numbers(scores)}{skipped}")
            say(f"  more in {line['report']}")
        case {"evaluation": name, "maps": folder}:
            say(f"{name}  {line['split']} has no ground truth; maps for its benchmark: {folder}")
        case {"memory": memory, "steps": steps, "seconds": seconds}:
            peak = "unknown memory" if memory is None else f"{memory / 1e9:.2f} GB at most"
            say(
                f"dry run: {peak}; {steps} steps of {seconds['step']:.3f} s, "
                f"{_clock(seconds['validation'])} for each validation, "
                f"{_clock(seconds['training'])} in all"
            )
        case {"validation": validation}:
            for group, scores in validation.items():
                if group != "all" and scores == validation["all"]:
                    continue
                mark = "  (best so far)" if line["best"] and group == "all" else ""
                say(f"{_epoch(line)}  validation {group:<10} {_numbers(scores)}{mark}")
        case _:
            say(
                f"{_epoch(line)}  step {line['step']}/{line['steps']}  {_numbers(line['losses'])}  "
                f"{_clock(line['left'])} left"
            )


def _verdict(line: Mapping[str, Any]) -> str:
    """What finetuning has changed, in words."""
    epoch, name = line["epoch"], line["select"]
    if epoch < 0:
        return "no epoch was better than the weights that it started from; they are kept"
    before, after = line["before"]["all"].get(name), line["after"]["all"].get(name)
    change = (
        ""
        if before is None or after is None
        else (f": {name} went from {before:.4f} to {after:.4f} ({after - before:+.4f})")
    )
    return f"epoch {epoch + 1} was the best{change}"


def _epoch(line: Mapping[str, Any]) -> str:
    return f"epoch {line['epoch'] + 1}/{line['epochs']}"


def _numbers(values: Mapping[str, float]) -> str:
    return "  ".join(f"{name} {value:.4f}" for name, value in values.items())


def _clock(seconds: float) -> str:
    """Hours, if there are any, minutes and seconds."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
