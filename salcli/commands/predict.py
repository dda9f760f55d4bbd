"""`salcli predict`: saliency maps of videos, images and folders of frames."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from salcli import logs
from salcli.commands import _options
from salcli.commands._help import DATA, MAPS
from salcli.commands._options import DataOptions, Roots, each_input
from salcli.plugins import registry
from salcli.types import Format, Scale, Size

if TYPE_CHECKING:
    from salcli.datasets.submission.predict import PredictionTask
    from salcli.loading import Loaded
    from salcli.prediction.job import Job, Outcome
    from salcli.prediction.manifest import OutputPaths
    from salcli.progress import Watcher

    Todo = tuple[Path, OutputPaths, PredictionTask | None]

__all__ = ["predict"]


FORMATS = get_args(Format)
SIZES: Mapping[str, Size] = {"source": "source", "published": "published"}


def _size(text: str) -> Size:
    try:
        return SIZES.get(text) or _options.parse_size(text)
    except typer.BadParameter as error:
        raise typer.BadParameter(f"{error}, source or published") from None


def _format(text: str) -> str:
    if text not in FORMATS:
        raise typer.BadParameter(f"{text} is not one of {', '.join(FORMATS)}")
    return text


def predict(
    context: typer.Context,
    inputs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="INPUT",
            help="Videos, images, folders of frames, folders of these, or globs.",
            show_default=False,
        ),
    ] = None,
    model: _options.ModelName = registry.DEFAULT_MODEL,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Folder for the results.")
    ] = Path("saliency"),
    save: Annotated[
        list[Any] | None,  # of Format; typer takes no list of a Literal
        typer.Option(
            metavar="FORMAT",
            parser=_format,
            help=f"{', '.join(FORMATS)}. Repeatable.",
            show_default="png",
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Redo finished inputs.")] = False,
    size: Annotated[
        Any,
        typer.Option(
            metavar="source|published|WxH",
            parser=_size,
            help="Size of the maps: the frame's, the published code's, or your own.",
            rich_help_panel=MAPS,
        ),
    ] = "source",
    scale: Annotated[
        Scale,
        typer.Option(
            help="Scale of the maps: the published one, peak = 1, or sum = 1 (float formats only).",
            rich_help_panel=MAPS,
        ),
    ] = "published",
    extras: Annotated[
        bool,
        typer.Option(
            "--extras",
            help="Also save the model's extra maps.",
            rich_help_panel=MAPS,
        ),
    ] = False,
    kind: _options.Kind = "auto",
    fps: _options.Fps = None,
    every: _options.Every = 1,
    start: _options.Start = 0.0,
    duration: _options.Duration = None,
    option: _options.ModelOptions = None,
    weights: _options.WeightsFile = None,
    filters: _options.Filters = None,
    untrained: _options.Untrained = False,
    device: _options.Device = "auto",
    precision: _options.Precision = "auto",
    batch_size: _options.BatchSize = None,
    retries: Annotated[
        int, typer.Option(min=0, metavar="N", help="Try an input that failed again, N times.")
    ] = 0,
    offline: _options.Offline = False,
    data: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Predict a dataset instead of INPUT, in the layout that its benchmark expects.",
            rich_help_panel=DATA,
        ),
    ] = None,
    root: Roots = None,
    data_option: DataOptions = None,
    split: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Part of the dataset.",
            show_default="test",
            rich_help_panel=DATA,
        ),
    ] = None,
    as_json: _options.Json = False,
    quiet: _options.Quiet = False,
    verbose: _options.Verbose = False,
) -> None:
    """Predict where people look: one saliency map per frame.

    Maps of a clip or a folder go to DIR/NAME/0001.png and so on, the map of a lone image to
    DIR/NAME.png, with a record of how they were made in salcli.json. Finished inputs are skipped,
    and a run that was stopped resumes where it left off. Several runs may share DIR: an input
    that another one works on is left to it.

    With --data, `salcli datasets pack` checks and packs the result. Exit codes: 0 all done, 1
    some inputs failed, 2 wrong usage, 3 no weights, 4 a broken plugin.

    \b
    Examples:
      salcli predict clip.mp4 photo.jpg
      salcli predict photos --save overlay --save npy -o maps
      salcli predict hour.mp4 --start 600 --duration 60 --every 5
    """
    _check_inputs(inputs, data, [root, data_option, split], save)
    formats: tuple[Format, ...] = tuple(dict.fromkeys(save or ("png",)))
    _check_scale(scale, formats)
    registry.model(model)
    _options.check_writable(output)
    context.with_resource(logs.logging_to_terminal(quiet=quiet, verbose=verbose))

    from salcli.loading import load_model
    from salcli.media.portion import Portion
    from salcli.prediction.job import Job
    from salcli.progress import download_bar, watch

    todo = _todo(
        inputs or (), data, root or (), data_option or (), split=split or "test", output=output
    )
    with _options.results_apart(), download_bar(model, quiet=quiet) as report:
        loaded = load_model(
            model,
            options=option or (),
            weights_file=weights,
            device=device,
            precision=precision,
            batch_size=batch_size,
            filters=filters or (),
            offline=offline,
            untrained=untrained,
            report=report,
        )
    loaded = loaded.for_dataset(data) if data is not None else loaded
    job = Job(
        loaded,
        formats,
        size,
        scale,
        extras,
        kind,
        fps,
        Portion(every, start, duration),
        overwrite=overwrite,
        retries=retries,
    )
    with watch(len(todo), quiet=quiet) as watcher:
        watcher.note(_options.introduction(loaded))
        outcomes = each_input(todo, partial(_run, job, watcher), failed=_failed, watcher=watcher)
        if elsewhere := sum(outcome.status == "elsewhere" for outcome in outcomes):
            watcher.note(f"{elsewhere} of {len(todo)} inputs are left to other processes")
    if as_json:
        typer.echo(json.dumps(_document(loaded, outcomes), indent=2))
    if not all(outcome.complete for outcome in outcomes):
        raise typer.Exit(1)


def _check_scale(scale: Scale, formats: Sequence[str]) -> None:
    from salcli.errors import UsageError

    if scale == "density" and not {"png", "png16", "grey"}.isdisjoint(formats):
        raise UsageError(
            "--scale density: grey levels cannot hold values that sum to 1; use --save npy or npz"
        )


def _check_inputs(
    inputs: Sequence[str] | None,
    data: str | None,
    details: Sequence[object],
    save: Sequence[str] | None,
) -> None:
    """Reject invalid combinations; `details` are the options that only `data` allows."""
    from salcli.errors import UsageError

    if bool(inputs) == (data is not None):
        raise UsageError("name either INPUT or a dataset (--data); 'salcli datasets' lists them")
    if data is None and any(details):
        raise UsageError("--root, --data-option and --split belong to a dataset; add --data NAME")
    if data is not None:
        registry.dataset(data)
        if save and list(save) != ["png"]:
            raise UsageError("--data writes PNG, the format of benchmarks; omit --save")


def _todo(
    inputs: Sequence[str],
    data: str | None,
    root: Sequence[Path],
    data_option: Sequence[str],
    *,
    split: str,
    output: Path,
) -> list[Todo]:
    """What to predict, and where to write it; recordings of a dataset have further settings."""
    from salcli.datasets.open import open_dataset
    from salcli.datasets.submission.predict import tasks
    from salcli.media.open import find_inputs
    from salcli.prediction import manifest

    if data is not None:
        dataset = open_dataset(data, root, options=data_option)
        found = tasks(dataset, split, output)
        return [(task.recording.source, task.place, task) for task in found]
    paths = find_inputs(inputs)
    places = manifest.places(paths, output)
    return [(path, place, None) for path, place in zip(paths, places, strict=True)]


def _run(job: Job, watcher: Watcher, one: Todo) -> Outcome:
    path, place, task = one
    outcome = task.run(job, watcher) if task else job.run(path, place, watcher=watcher)
    for problem in outcome.problems:
        watcher.note(f"left out: {problem}")
    watcher.finish(_line(outcome))
    return outcome


def _failed(one: Todo, error: str) -> Outcome:
    from salcli.prediction.job import Outcome

    path, place, _ = one
    return Outcome(path, place.output, "failed", error=error)


def _line(outcome: Outcome) -> str:
    frames = "1 map" if outcome.frames == 1 else f"{outcome.frames} maps"
    if outcome.status == "skipped":
        return f"{outcome.source}: already done, {frames} in {outcome.results} (see --overwrite)"
    if outcome.status == "elsewhere":
        return f"{outcome.source}: left to another process; {outcome.holder}"
    speed = outcome.frames / outcome.seconds if outcome.seconds else 0.0
    return (
        f"{outcome.source}: {frames} in {outcome.results}, {outcome.seconds:.1f} s, "
        f"{speed:.1f} frames/s"
    )


def _document(loaded: Loaded, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    return {
        "model": loaded.label,
        "weights": str(loaded.path) if loaded.path else None,
        "weights_sha256": loaded.digest,
        "device": str(loaded.model.device),
        "inputs": [
            {
                "source": str(outcome.source),
                "results": str(outcome.results),
                "status": outcome.status,
                "frames": outcome.frames,
                "seconds": outcome.seconds,
                "problems": outcome.problems,
                "error": outcome.error or None,
            }
            for outcome in outcomes
        ],
    }
