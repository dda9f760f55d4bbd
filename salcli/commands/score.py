"""`salcli score`: how well maps agree with what observers did, by a published protocol."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from salcli import logs
from salcli.commands import _options, _tables
from salcli.commands._options import DataOptions, Roots, load_models
from salcli.errors import InputError
from salcli.plugins import registry

if TYPE_CHECKING:
    from salcli.progress import Watcher
    from salcli.scoring.sources import MapSource

__all__ = ["score"]

LINES = 10
"""Incidents that are shown; the report has them all."""

BASELINES = ("quick", "full", "none")


def score(
    context: typer.Context,
    *,
    data: Annotated[str, typer.Option(metavar="NAME", help="The dataset; see 'salcli datasets'.")],
    root: Roots = None,
    data_option: DataOptions = None,
    split: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Part of it.", show_default="the one usually scored"),
    ] = None,
    model: _options.ModelNames = None,
    predictions: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="DIR",
            help="Maps that anyone made, found by name: DIR/CLIP/FRAME.png, DIR/CLIP.mp4, "
            "DIR/IMAGE.png (also JPEG, NPY, NPZ). Repeatable.",
        ),
    ] = None,
    option: _options.ModelOptions = None,
    weights: _options.WeightsFile = None,
    device: _options.Device = "auto",
    protocol: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="mit, dhf1k, tuebingen, ntire, or unisal, salema, salema-area, tempsal.",
            show_default="mit for images, dhf1k for clips, ntire for avimos",
        ),
    ] = None,
    metrics: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAMES",
            help="With commas between; 'all' for everything that the protocol defines. Repeatable.",
            show_default="those of its tables",
        ),
    ] = None,
    baselines: Annotated[
        str,
        typer.Option(
            metavar="quick|full|none",
            help="Centre prior, mean map, observers: on some frames, on all, or not at all.",
        ),
    ] = "quick",
    limit: Annotated[
        int | None, typer.Option(min=1, help="Frames at most, drawn at random.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of everything that is random.")] = 0,
    save_maps: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Keep the maps that the models predict, as 8-bit PNG."),
    ] = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Folder of the reports.")
    ] = Path("scores"),
    overwrite: Annotated[
        bool,
        typer.Option("--overwrite", help="Replace scores of other maps, data or protocol."),
    ] = False,
    offline: _options.Offline = False,
    as_json: _options.Json = False,
    quiet: _options.Quiet = False,
    verbose: _options.Verbose = False,
) -> None:
    """Score maps against a dataset, by a published protocol, with intervals and baselines.

    DIR/NAME/scores.json states everything that tells its numbers from others of the same names;
    beside it are scores.csv (a row per frame), videos.csv, scores.md and pictures.

    Exit codes: 0 all done, 1 some frames could not be scored, 2 wrong usage, 3 no weights, 4 a
    broken plugin.
    """
    _options.one_of("--baselines", baselines, BASELINES)
    registry.dataset(data)
    for name in model or ():
        registry.model(name)
    for folder in (output, *([save_maps] if save_maps else ())):
        _options.check_writable(folder)
    context.with_resource(logs.logging_to_terminal(quiet=quiet, verbose=verbose))

    from salcli import devices
    from salcli.datasets.open import open_dataset
    from salcli.progress import watch
    from salcli.scoring.session import folder_names, open_session
    from salcli.scoring.stored import StoredMaps

    stored = [StoredMaps(folder) for folder in predictions or ()]
    session = open_session(
        open_dataset(data, root or (), options=data_option or ()),
        split=split,
        protocol=protocol,
        metrics=[name.strip() for names in metrics or () for name in names.split(",")],
        seed=seed,
        limit=limit,
        baselines=baselines,
        device=devices.for_metrics(device),
    )
    wanted = model or ([] if stored else [registry.DEFAULT_MODEL])
    documents: list[dict[str, Any]] = []
    failed = False
    with watch(len(wanted) + len(stored), quiet=quiet) as watcher:
        predicted = _predicted(
            wanted,
            data,
            watcher,
            save_maps,
            option=option,
            weights=weights,
            device=device,
            offline=offline,
            quiet=quiet,
        )
        sources: list[MapSource] = [*predicted, *stored]
        names = folder_names([source.label for source in sources])
        for source, name in zip(sources, names, strict=True):
            if not overwrite:
                session.check_free(source, output / name)
        for source, name in zip(sources, names, strict=True):
            try:
                document = session.run(source, output / name, watcher)
            except InputError as error:
                watcher.fail(str(error))
                failed = True
                continue
            documents.append(document)
            failed |= bool(document["skipped"])
            _tell(document, watcher)
            watcher.finish(f"{source.label}: {output / name}, {document['seconds']:.1f} s")
    if as_json:
        typer.echo(json.dumps(documents, indent=2, ensure_ascii=False))
    else:
        _show(documents)
    _draw_pairs(documents, output)
    if failed:
        raise typer.Exit(1)


def _predicted(
    names: Sequence[str], data: str, watcher: Watcher, save: Path | None, **loading: Any
) -> list[MapSource]:
    """The models, ready to predict the dataset."""
    if not names:
        return []
    from salcli.scoring.predicted import PredictedMaps
    from salcli.scoring.session import folder_names

    models = [loaded.for_dataset(data) for loaded in load_models(names, **loading)]
    folders = folder_names([loaded.label for loaded in models])
    sources: list[MapSource] = []
    for loaded, folder in zip(models, folders, strict=True):
        watcher.note(_options.introduction(loaded))
        place = save / folder if save and len(models) > 1 else save
        sources.append(PredictedMaps(loaded, watcher, save=place))
    return sources


def _tell(document: Mapping[str, Any], watcher: Watcher) -> None:
    """What went wrong, and what is odd."""
    from salcli.scoring.incidents import Problem

    problems = document["dataset"]["problems"]
    for problem in problems[:LINES]:
        watcher.note(f"note: {problem}")
    if len(problems) > LINES:
        watcher.note(f"note: {len(problems) - LINES} more like these are in scores.json")
    for kind, tell in (("skipped", watcher.say), ("notes", watcher.note)):
        incidents = [Problem(**each) for each in document[kind]]
        prefix = "salcli: error: " if kind == "skipped" else "note: "
        for incident in incidents[:LINES]:
            tell(f"{prefix}{incident.line}")
        if len(incidents) > LINES:
            tell(f"{prefix}{len(incidents) - LINES} more like these are in scores.json")


def _show(documents: Sequence[Mapping[str, Any]]) -> None:
    from salcli.scoring.tables import summary, table

    for document in documents:
        typer.echo(document["name"])
        _tables.show(*table(document))
        for line in summary(document):
            typer.echo(f"  {line}")
        typer.echo()


def _draw_pairs(documents: Sequence[Mapping[str, Any]], output: Path) -> None:
    """The first model and each other one side by side."""
    from salcli.scoring import compare, plots
    from salcli.scoring.session import folder_names

    names = folder_names([document["name"] for document in documents])
    for document, name in list(zip(documents, names, strict=True))[1:]:
        found = compare.pair(documents[0], document)
        path = output / f"{names[0]}-and-{name}.png"
        plots.side_by_side(path, found.names, found.over, found.leads)
