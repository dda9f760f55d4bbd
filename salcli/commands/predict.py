"""`salcli predict`: saliency maps of videos, images and folders of frames."""

from __future__ import annotations

import dataclasses
import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from salcli.commands import _options, _steps, _tables
from salcli.commands._help import DATA, MAPS, SHARING
from salcli.commands._options import DataOptions, Roots
from salcli.commands._steps import load_models
from salcli.files.atomic import temporary_folder
from salcli.plugins import registry
from salcli.prediction.summary import best, document, results_of, summary
from salcli.terminal import logs
from salcli.types import Format, Scale, Size

if TYPE_CHECKING:
    from salcli.media.live import Live
    from salcli.media.portion import Portion
    from salcli.prediction.job import Job, Outcome
    from salcli.prediction.manifest import OutputPaths
    from salcli.prediction.request import FinishedInput
    from salcli.prediction.task import PredictionTask
    from salcli.terminal.events import Watcher
    from salcli.terminal.progress import Style
    from salcli.types import Dataset

__all__ = ["predict"]


FORMATS: tuple[Format, ...] = get_args(Format)
SIZES: Mapping[str, Size] = {"source": "source", "published": "published"}


def _size(text: str) -> Size:
    try:
        return SIZES.get(text) or _options.parse_size(text)
    except typer.BadParameter as error:
        raise typer.BadParameter(f"{error}, source or published") from None


def _formats(texts: Sequence[str], default: tuple[Format, ...]) -> tuple[Format, ...]:
    """The formats in comma-separated texts, each once."""
    named = [name for text in texts for name in text.split(",")]
    for name in named:
        if name not in FORMATS:
            raise typer.BadParameter(
                f"{name} is not one of {', '.join(FORMATS)}", param_hint="'--save'"
            )
    return tuple(f for f in FORMATS if f in named) or default


def predict(
    context: typer.Context,
    inputs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="INPUT",
            help="Videos, images, folders of frames, folders of these, globs, addresses of "
            "files (http, https), a live source (camera:0, rtsp://...), or - for standard input.",
            show_default=False,
        ),
    ] = None,
    model: _options.ModelName = registry.DEFAULT_MODEL,
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="DIR",
            help="Folder for the results; - writes the only result to standard output.",
        ),
    ] = Path("saliency"),
    save: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FORMATS",
            help=f"{', '.join(FORMATS)}; comma-separated, repeatable.",
            show_default="png,overlay",
        ),
    ] = None,
    show: Annotated[
        bool, typer.Option("--open", help="Open the first picture or movie that was made.")
    ] = False,
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
    threads: _options.Threads = None,
    precision: _options.Precision = "auto",
    batch_size: _options.BatchSize = None,
    engine: _options.Engine = "torch",
    retries: Annotated[
        int, typer.Option(min=0, metavar="N", help="Try an input that failed again, N times.")
    ] = 0,
    workers: _options.WorkerCount = None,
    devices: _options.Devices = None,
    cluster: _options.RayCluster = None,
    parts: Annotated[
        int,
        typer.Option(
            min=1,
            metavar="N",
            help="Cut each clip into N parts that several workers predict; not for models that "
            "look back at all of a clip.",
            rich_help_panel=SHARING,
        ),
    ] = 1,
    shard: _options.ShardOf = None,
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
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Predict a few frames, print how long all would take and how much disk space the "
            "results need, and write nothing.",
        ),
    ] = False,
    as_json: _options.Json = False,
    progress: _options.Progress = "auto",
    quiet: _options.Quiet = False,
    verbose: _options.Verbose = False,
) -> None:
    """Predict where people look: one saliency map per frame, and an overlay to look at.

    Maps of a clip or a folder go to DIR/NAME/0001.png and so on, the map of a lone image to
    DIR/NAME.png, with a record of how they were made in salcli.json. Finished inputs are skipped,
    and a run that was stopped resumes where it left off. Several runs may share DIR: an input
    that another one works on is left to it. `salcli photo.jpg` means `salcli predict photo.jpg`.

    With --data, `salcli datasets pack` checks and packs the result. Exit codes: 0 all done, 1
    some inputs failed, 2 wrong usage, 3 no weights, 4 a broken plugin.

    \b
    Examples:
      salcli predict clip.mp4 photo.jpg
      salcli predict photos --save overlay,npy -o maps
    """
    from salcli.media.portion import Portion
    from salcli.prediction.request import all_finished, describe

    live = _live_input(inputs or ())
    _check_inputs(inputs, data, [root, data_option, split], save)
    piped = str(output) == "-"
    formats = _formats(save or (), ("png",) if data or piped else ("png", "overlay"))
    _check_scale(scale, formats)
    if parts > 1 and overwrite:
        raise typer.BadParameter("cannot be combined with --overwrite", param_hint="'--parts'")
    _steps.check_model(model, option, weights=weights)
    if live:
        shares = (workers, devices, cluster, shard) != (None,) * 4 or parts > 1
        plain = not (
            shares or dry_run or retries or kind == "stills" or _names_store([str(output)])
        )
        _check_live(live, offline=offline, plain=plain)
    part = _steps.parsed_shard(shard)
    desk = context.with_resource(temporary_folder())
    output = desk / "out" if piped else output
    stores = _names_store([str(output), *(inputs or ())])
    if stores:
        _check_stores(data=data, dry_run=dry_run, parts=parts, piped=piped)
    else:
        _steps.check_writable(output)
    context.with_resource(logs.logging_to_terminal(quiet=quiet, verbose=verbose))
    files = _steps.local_inputs(
        *(inputs or (), desk),
        offline=offline,
        quiet=quiet,
        progress=progress,
        files_only=not (stores or live),
    )
    dataset = _dataset(data, root or (), data_option or ())
    portion = Portion(every, start, duration)
    request = describe(
        model,
        weights,
        options=option or (),
        filters=filters or (),
        precision=precision,
        engine=engine,
        untrained=untrained,
        size=size,
        scale=scale,
        extras=extras,
        kind=kind,
        fps=fps,
        portion=dataclasses.asdict(portion),
        data=data,
    )
    needs_model = overwrite or dry_run or as_json or piped or show or part or dataset or stores
    if not (needs_model or live) and len(files) == len(inputs or ()):
        places = _places(files, output)
        done = all_finished(places, request, formats=formats, kind=kind)
        if done is not None:
            _say_finished(done, quiet=quiet, progress=progress)
            return
    force = _steps.workforce(
        device, devices, workers=workers, cluster=cluster, quiet=quiet, verbose=verbose
    )
    (loaded,) = load_models(
        [model],
        option=option,
        weights=weights,
        device=force.device if force else device,
        precision=precision,
        batch_size=batch_size or (force.batch_size if force else 1 if live else None),
        engine=engine,
        filters=filters,
        offline=offline,
        untrained=untrained,
        quiet=quiet,
        progress=progress,
    )

    from salcli.scale.executor import Here
    from salcli.scale.prediction import PredictionOrder, merged
    from salcli.terminal.progress import watch

    everything: Sequence[Any] = ()
    source = _connected(context, live, portion) if live else None
    if source:
        everything = [_live_task(source, output)]
    elif not stores:
        everything = _todo(files, dataset, split=split or "test", output=output)
        _check_pipe(piped, everything, formats, as_json=as_json)
    (rebuilt,) = _steps.rebuilding(
        [model],
        [loaded],
        option=option,
        weights=weights,
        filters=filters,
        offline=offline,
        precision=precision,
        untrained=untrained,
    )
    order: Any = PredictionOrder(
        rebuilt,
        {
            "formats": formats,
            "size": size,
            "scale": scale,
            "extras": extras,
            "kind": kind,
            "fps": fps,
            "portion": portion,
            "request": request,
            "overwrite": overwrite,
            "retries": retries,
        },
        data,
    )
    if stores:
        from salcli.scale.remote import StoreOrder, stored_tasks

        order, everything = StoreOrder(order), stored_tasks(files, output)
    elif parts > 1 and not dry_run:
        note = watch(1, quiet=quiet, style=progress).note
        everything = order.cut(everything, loaded, parts, note=note)
    todo = part.part(everything) if part else everything
    with watch(len(todo), quiet=quiet, style=progress) as watcher:
        watcher.note(_steps.introduction(loaded))
        if part:
            watcher.note(part.account(everything))
        if dry_run:
            _estimate(order.job(loaded), todo, output, watcher=watcher, as_json=as_json)
            raise typer.Exit
        executor = force.executor if force else Here(order.work(loaded))
        began = time.monotonic()
        with _steps.results_apart():
            outcomes = merged(executor.run(order, todo, watcher=watcher))
        seconds = time.monotonic() - began
        if source:
            watcher.note(source.account)
        todo = [] if stores else list({task.place: task for task in todo}.values())
        if len(outcomes) > 1 or any(outcome.status == "elsewhere" for outcome in outcomes):
            watcher.note(summary(outcomes, seconds))
        _conclude(todo, outcomes, watcher=watcher, piped=piped, opens=show)
    if as_json:
        typer.echo(json.dumps(document(loaded, outcomes), indent=2))
    if not all(outcome.complete for outcome in outcomes) or len(files) < len(inputs or ()):
        raise typer.Exit(1)


def _live_input(inputs: Sequence[str]) -> str | None:
    """The camera or stream, if that is the input."""
    from salcli.errors import UsageError
    from salcli.media.live import is_live, public

    found = next(filter(is_live, inputs), None)
    if found and len(inputs) > 1:
        raise UsageError(f"'{public(found)}' is live; leave out the other inputs")
    return found


def _check_live(text: str, *, offline: bool, plain: bool) -> None:
    """Refuse what is not done with a camera or stream."""
    from salcli.errors import InputError, UsageError
    from salcli.media.live import is_stream, public
    from salcli.weights.cache import is_offline

    if not plain:
        raise UsageError(
            f"'{public(text)}' is a live clip, predicted once by one process into a folder: omit "
            "--as stills, --dry-run, --retries, --parts, --shard, --workers, --devices, --cluster"
        )
    if is_stream(text) and is_offline(offline):
        raise InputError(f"'{public(text)}' is elsewhere, and the network is switched off")


def _connected(context: typer.Context, text: str, portion: Portion) -> Live:
    """Read a camera or stream until the command ends; Ctrl-C then completes the files."""
    from salcli.media.live import connected
    from salcli.terminal.ending import first_signal

    live = context.with_resource(connected(text, portion))
    context.with_resource(first_signal(live.stop))
    return live


def _live_task(live: Live, output: Path) -> PredictionTask:
    from salcli.prediction.manifest import OutputPaths
    from salcli.prediction.task import PredictionTask

    return PredictionTask(Path(live.address), OutputPaths(output, live.name), {"origin": live})


def _names_store(texts: Sequence[str]) -> bool:
    from salcli.media.inputs import in_store

    return any(map(in_store, texts))


def _check_stores(*, data: str | None, dry_run: bool, parts: int, piped: bool) -> None:
    """Refuse what is not done with inputs and results in object stores."""
    from salcli.errors import UsageError

    if data is not None or dry_run or parts > 1 or piped:
        raise UsageError(
            "--data, --dry-run, --parts and -o - need files; copy what is in the store first"
        )


def _conclude(
    todo: Sequence[PredictionTask],
    outcomes: Sequence[Outcome],
    *,
    watcher: Watcher,
    piped: bool,
    opens: bool,
) -> None:
    """Name a picture, or write the only result to standard output."""
    if not piped:
        _show(todo, outcomes, watcher=watcher, opens=opens)
    elif outcomes[0].status != "failed":
        _pipe(todo, outcomes)


def _check_pipe(
    piped: bool, todo: Sequence[PredictionTask], formats: Sequence[str], *, as_json: bool
) -> None:
    from salcli.errors import UsageError

    if piped and (len(todo) != 1 or len(formats) != 1 or as_json):
        raise UsageError("-o - writes one result of one input in one format, without --json")


def _pipe(todo: Sequence[PredictionTask], outcomes: Sequence[Outcome]) -> None:
    """Write the only result to standard output."""
    from salcli.errors import UsageError

    files = results_of(todo[0], outcomes[0])
    if len(files) != 1:
        raise UsageError(f"-o - writes one file, not {len(files)}; use --save overlay for a clip")
    sys.stdout.buffer.write(files[0].read_bytes())


def _show(
    todo: Sequence[PredictionTask], outcomes: Sequence[Outcome], *, watcher: Watcher, opens: bool
) -> None:
    """Name the first picture or movie, overlays first, and open it if that is wanted."""
    # of what is in a store, there is no task
    for one, outcome in zip(todo, outcomes, strict=False):
        of_dataset = one.overrides and "origin" not in one.overrides
        files = [] if outcome.status == "failed" or of_dataset else results_of(one, outcome)
        if seen := best(files):
            watcher.note(f"to look at: {seen}")
            if opens:
                typer.launch(str(seen))
            return


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


def _dataset(data: str | None, root: Sequence[Path], options: Sequence[str]) -> Dataset | None:
    from salcli.datasets.open import open_dataset

    return None if data is None else open_dataset(data, root, options=options)


def _todo(
    inputs: Sequence[str], dataset: Dataset | None, *, split: str, output: Path
) -> list[PredictionTask]:
    """What to predict, and where to write it."""
    from salcli.datasets.submission.predict import tasks
    from salcli.prediction.task import PredictionTask

    if dataset is not None:
        return list(tasks(dataset, split, output))
    return [PredictionTask(path, place) for path, place in _places(inputs, output)]


def _places(inputs: Sequence[str], output: Path) -> list[tuple[Path, OutputPaths]]:
    """Each input, and where its results go."""
    from salcli.media.open import find_inputs
    from salcli.prediction import manifest

    paths = find_inputs(inputs)
    return list(zip(paths, manifest.places(paths, output), strict=True))


def _say_finished(done: Sequence[FinishedInput], *, quiet: bool, progress: Style) -> None:
    """Say that there is nothing to do, and name a picture."""
    from salcli.terminal.progress import watch

    with watch(len(done), quiet=quiet, style=progress) as watcher:
        for one in done:
            maps = "1 map" if one.frames == 1 else f"{one.frames} maps"
            watcher.finish(f"{one.source}: already done, {maps} in {one.folder}")
        if len(done) > 1:
            watcher.note(f"{len(done)} inputs: {len(done)} already done")
        if seen := best(done[0].files):
            watcher.note(f"to look at: {seen}")


def _estimate(
    job: Job, todo: Sequence[PredictionTask], output: Path, *, watcher: Watcher, as_json: bool
) -> None:
    """Print what the prediction would take."""
    from salcli.prediction.estimate import estimate
    from salcli.terminal.progress import clock

    inputs = [(task.source, task.settings(job)) for task in todo]
    found = estimate(job, inputs, output, failed=watcher.fail)
    device = job.loaded.model.device
    if as_json:
        document = {**dataclasses.asdict(found), "device": str(device), "fits": found.fits}
        typer.echo(json.dumps(document, indent=2))
    else:
        speed = found.frames / found.seconds
        facts = {
            "inputs": f"{found.inputs}, about {found.frames} frames",
            "time": f"about {clock(found.seconds)} on {device} ({speed:.1f} frames/s, measured on "
            f"{found.sampled})",
            **{name: f"about {size / 1e6:,.1f} MB" for name, size in found.space.items()},
            "free": f"{found.free / 1e6:,.1f} MB at '{output}'",
        }
        for line in _tables.facts(facts):
            typer.echo(line)
    if not found.fits:
        watcher.note("salcli: warning: the disk will not hold the results")
    if found.inputs < len(todo):
        raise typer.Exit(1)
