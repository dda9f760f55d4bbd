"""`salcli train`: train a model on published datasets or on your own data."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from salcli import logs
from salcli.commands import _options
from salcli.commands._options import DataOptions, Roots
from salcli.progress import watch

__all__ = ["train", "training_command"]


def training_command(
    *, model: str, output: Path, finetunes: bool, description: str
) -> Callable[..., None]:
    """`salcli train` or `salcli finetune`, which differ in defaults and in where they start."""
    default_model, default_output = model, output

    def command(
        context: typer.Context,
        *,
        model: _options.ModelName = default_model,
        data: _options.Data = None,
        root: Roots = None,
        fold: Annotated[
            int | None, typer.Option(min=0, help="Part of a dataset with folds that validates.")
        ] = None,
        hold_out: _options.HoldOut = None,
        data_option: DataOptions = None,
        weights: _options.Start = None,
        recipe: _options.RecipeName = None,
        option: _options.ModelOptions = None,
        epochs: _options.Epochs = None,
        batch_size: _options.RecipeBatchSize = None,
        learning_rate: _options.Rate = None,
        gamma: _options.RateGamma = None,
        train_cnn_after: _options.ThawAfter = None,
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
        output: _options.Output = default_output,
        as_json: _options.JsonLines = False,
        verbose: _options.Verbose = False,
    ) -> None:
        from salcli.training import session

        context.with_resource(logs.logging_to_terminal(quiet=False, verbose=verbose))
        folds = [] if fold is None else [f"fold={fold}"]
        held = [] if hold_out is None else [f"hold_out={hold_out}"]
        keywords = session.TrainingKeywords(
            data=data or (),
            roots=root or (),
            data_options=[*folds, *held, *(data_option or ())],
            weights=weights,
            recipe=recipe,
            options=option or (),
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
        report = _print_json if as_json else _print_line
        if dry_run:
            session.dry_run(model, finetunes=finetunes, report=report, **keywords)
            return
        start = session.finetune if finetunes else session.train
        bars = partial(watch, quiet=False)
        start(model, output=output, report=report, watch=bars, **keywords)

    command.__doc__ = description
    return command


train = training_command(
    model="unisal",
    output=Path("runs/train"),
    finetunes=False,
    description="""Train a model on images or clips; the best weights are OUTPUT/best.safetensors.

    A folder given by --root holds:

    images/NAME.jpg - images of any format, or images/NAME/ - a folder of frames per clip, or
    videos/NAME.mp4;

    maps/NAME.png - their fixation density, 8-bit grey, of any size; of a clip maps/NAME/; and/or

    fixations/NAME.mat - fixations as SALICON publishes them, or NAME.png, a binary fixation map.

    --model NAME trains from scratch or from --weights; --model NAME:TAG goes on from these weights.

    On several devices: torchrun --nproc-per-node N -m salcli train ...
    """,
)


def _print_json(line: Mapping[str, Any]) -> None:
    """One JSON document per line on stdout."""
    print(json.dumps(line), flush=True)


def _print_line(line: Mapping[str, Any]) -> None:
    """Readable lines on stderr."""
    match line:
        case {"weights": path}:
            _say(f"best weights: {path}")
        case {"before": before, "after": after}:
            for when, scores in (("before", before), ("after", after)):
                _say(f"{when:<6}  validation {'all':<10} {_numbers(scores['all'])}")
        case {"evaluation": name, "scores": scores}:
            skipped = f"  ({line['skipped']} frames skipped)" if line["skipped"] else ""
            _say(f"{name}  {line['split']} by {line['protocol']}  {_numbers(scores)}{skipped}")
            _say(f"  more in {line['report']}")
        case {"evaluation": name, "maps": folder}:
            _say(f"{name}  {line['split']} has no ground truth; maps for its benchmark: {folder}")
        case {"memory": memory, "steps": steps, "seconds": seconds}:
            peak = "unknown memory" if memory is None else f"{memory / 1e9:.2f} GB at most"
            _say(
                f"dry run: {peak}; {steps} steps of {seconds['step']:.3f} s, "
                f"{_clock(seconds['validation'])} for each validation, "
                f"{_clock(seconds['training'])} in all"
            )
        case {"validation": validation}:
            for group, scores in validation.items():
                if group != "all" and scores == validation["all"]:
                    continue
                mark = "  (best so far)" if line["best"] and group == "all" else ""
                _say(f"{_epoch(line)}  validation {group:<10} {_numbers(scores)}{mark}")
        case _:
            _say(
                f"{_epoch(line)}  step {line['step']}/{line['steps']}  {_numbers(line['losses'])}  "
                f"{_clock(line['left'])} left"
            )


def _say(text: str) -> None:
    typer.echo(text, err=True)


def _epoch(line: Mapping[str, Any]) -> str:
    return f"epoch {line['epoch'] + 1}/{line['epochs']}"


def _numbers(values: Mapping[str, float]) -> str:
    return "  ".join(f"{name} {value:.4f}" for name, value in values.items())


def _clock(seconds: float) -> str:
    """Hours, if there are any, minutes and seconds."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
