"""`salcli score`: how well maps agree with observers, by a published protocol."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from typer.core import TyperOption

from salcli.commands import _help, _options, _steps, _tables
from salcli.commands._options import DataOptions, Roots
from salcli.commands._steps import load_models
from salcli.errors import UsageError
from salcli.plugins import registry
from salcli.terminal import logs
from salcli.terminal.progress import watch

if TYPE_CHECKING:
    from salcli.scale.executor import Executor
    from salcli.scale.scoring import ScoringOrder
    from salcli.scale.shards import Shard
    from salcli.scoring.finished import ScoredPart
    from salcli.terminal.events import Watcher

__all__ = ["ScoreCommand", "complete_protocol", "score"]


class ScoreCommand(_help.Command):
    """Lists the installed protocols in the help text; plugins are queried only then."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help."""
        (protocol,) = (each for each in self.params if each.name == "protocol")
        assert isinstance(protocol, TyperOption)
        protocol.help = f"{', '.join(registry.protocols())}."
        super().format_help(ctx, formatter)


def complete_protocol(incomplete: str) -> list[str]:
    """Completions of a protocol's name, for the shell."""
    return [name for name in registry.protocols() if name.startswith(incomplete)]


def score(
    context: typer.Context,
    folders: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[DIR]",
            help="Folders of your own images or clips, in the layout 'folder'.",
            show_default=False,
        ),
    ] = None,
    *,
    data: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="The dataset; see 'salcli datasets'.", show_default="folder"
        ),
    ] = None,
    root: Roots = None,
    data_option: DataOptions = None,
    split: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Part of the dataset.", show_default="the one usually scored"
        ),
    ] = None,
    model: _options.ModelNames = None,
    predictions: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="DIR",
            help="Maps from any source, found by name: DIR/CLIP/FRAME.png, DIR/CLIP.mp4, "
            "DIR/IMAGE.png (also JPEG, NPY, NPZ), or an HDF5 file of pysaliency. Repeatable.",
        ),
    ] = None,
    option: _options.ModelOptions = None,
    weights: _options.WeightsFile = None,
    filters: _options.Filters = None,
    device: _options.Device = "auto",
    threads: _options.Threads = None,
    protocol: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Published protocol.",  # names all of them when help is shown
            show_default="mit for images, dhf1k for clips, ntire for avimos",
            autocompletion=complete_protocol,
            rich_help_panel=_help.SCORES,
        ),
    ] = None,
    metrics: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAMES",
            help="Comma-separated; 'all' for everything that the protocol defines. Repeatable.",
            show_default="those of its tables",
            rich_help_panel=_help.SCORES,
        ),
    ] = None,
    baselines: Annotated[
        Literal["quick", "full", "none"],
        typer.Option(
            help="Measure centre prior, mean map and observers on some frames, on all, or not at "
            "all.",
            rich_help_panel=_help.SCORES,
        ),
    ] = "quick",
    limit: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Maximum number of frames, drawn at random.",
            rich_help_panel=_help.SCORES,
        ),
    ] = None,
    seed: Annotated[
        int,
        typer.Option(
            min=0,
            help="Random seed.",
            rich_help_panel=_help.SCORES,
        ),
    ] = 0,
    save_maps: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Save the maps that the models predict, as 8-bit PNG.",
            rich_help_panel=_help.SCORES,
        ),
    ] = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Folder for the reports.")
    ] = Path("scores"),
    plot: Annotated[
        Literal["png", "pdf", "svg"],
        typer.Option(help="Format of the plots.", rich_help_panel=_help.SCORES),
    ] = "png",
    overwrite: Annotated[
        bool,
        typer.Option("--overwrite", help="Replace scores of other maps, data or protocol."),
    ] = False,
    workers: _options.WorkerCount = None,
    devices: _options.Devices = None,
    cluster: _options.RayCluster = None,
    shard: _options.ShardOf = None,
    offline: _options.Offline = False,
    as_json: _options.Json = False,
    progress: _options.Progress = "auto",
    quiet: _options.Quiet = False,
    verbose: _options.Verbose = False,
) -> None:
    """Score maps against a dataset, by a published protocol, with intervals and baselines.

    DIR/NAME/scores.json has the scores and everything they depend on; beside it are scores.csv (one
    row per frame), videos.csv, scores.md and plots; of several models also one table (DIR/models.md
    and models.tex) and one plot.

    Exit codes: 0 all done, 1 some frames could not be scored, 2 wrong usage, 3 no weights, 4 a
    broken plugin.

    \b
    Examples:
      salcli score mydata --model runs/mine
      salcli score --data dhf1k --predictions maps --protocol dhf1k
    """
    roots = [*(folders or ()), *(root or ())]
    if data is None and not roots:
        raise UsageError("name a folder of yours, or a dataset; 'salcli datasets' lists them")
    data = data or "folder"
    registry.dataset(data)
    for name in model or ():
        _steps.check_model(name, option, weights=weights)
    for folder in (output, *([save_maps] if save_maps else ())):
        _steps.check_writable(folder)
    context.with_resource(logs.logging_to_terminal(quiet=quiet, verbose=verbose))

    watch(1, quiet=quiet, style=progress).note(f"opening {data} ...")

    from salcli.datasets.open import open_dataset
    from salcli.devices import for_metrics
    from salcli.prediction.parts import FOLDER
    from salcli.scale.executor import Here
    from salcli.scale.scoring import ScoringOrder, cut
    from salcli.scoring.hdf5maps import stored_maps
    from salcli.scoring.run import predicted_maps, report_folders, score_sources
    from salcli.scoring.session import open_session
    from salcli.terminal.events import Watcher

    stored = [stored_maps(place) for place in predictions or ()]
    names = list(dict.fromkeys(model or ([] if stored else [registry.DEFAULT_MODEL])))
    part = _steps.parsed_shard(shard)
    force = _steps.workforce(
        device, devices, workers=workers, cluster=cluster, quiet=quiet, verbose=verbose
    )
    if (force or part) and not names:
        raise UsageError(
            "stored maps are scored by one process; --workers and --shard need --model"
        )
    opening: dict[str, Any] = {"name": data, "roots": roots, "options": data_option or ()}
    settings: dict[str, Any] = {
        "split": split,
        "protocol": protocol,
        "metrics": [name.strip() for names in metrics or () for name in names.split(",")],
        "seed": seed,
        "limit": limit,
        "baselines": baselines,
    }
    place = force.device if force else device
    session = open_session(open_dataset(**opening), **settings, device=for_metrics(place))
    loading: dict[str, Any] = {
        "option": option,
        "weights": weights,
        "filters": filters,
        "offline": offline,
    }
    models = (
        load_models(
            names,
            device=place,
            batch_size=force.batch_size if force else None,
            quiet=quiet,
            progress=progress,
            **loading,
        )
        if names
        else []
    )
    parts: dict[Path, list[ScoredPart]] = {}
    complete = True
    if force or part:
        order = ScoringOrder(
            _steps.rebuilding(names, models, **loading), opening, settings, save_maps
        )
        apart = predicted_maps(models, data, Watcher())
        folders = report_folders(session, apart, output, overwrite=overwrite)
        parts = cut(session, apart, folders)
        executor = force.executor if force else Here(order.work(session, models))
        complete = _score_parts(
            order, parts, executor, part, watcher=partial(watch, quiet=quiet, style=progress)
        )
    watching = watch(len(names) + len(stored), quiet=quiet, style=progress)
    with watching as watcher, _steps.results_apart():
        for loaded in models:
            watcher.note(_steps.introduction(loaded))
        sources = [*predicted_maps(models, data, watcher, save=save_maps), *stored]
        documents = score_sources(
            session, sources, output, overwrite=overwrite, watcher=watcher, plot=plot, parts=parts
        )
    if as_json:
        typer.echo(json.dumps(documents, indent=2, ensure_ascii=False))
    else:
        _show(documents)
    waiting = sum((folder / FOLDER).is_dir() for folder in parts)
    skipped = any(document["skipped"] for document in documents)
    if not complete or len(documents) + waiting < len(sources) or skipped:
        raise typer.Exit(1)


def _score_parts(
    order: ScoringOrder,
    parts: Mapping[Path, Sequence[ScoredPart]],
    executor: Executor,
    shard: Shard | None,
    *,
    watcher: Callable[[int], Watcher],
) -> bool:
    """Score the parts of all reports, or those of a shard; whether none of them failed."""
    units = [unit for found in parts.values() for unit in found]
    todo = shard.part(units) if shard else units
    with watcher(len(todo)) as told, _steps.results_apart():
        if shard:
            told.note(shard.account(units, "parts"))
        return all(executor.run(order, todo, watcher=told))


def _show(documents: Sequence[Mapping[str, Any]]) -> None:
    from salcli.scoring.joint import joined
    from salcli.scoring.tables import summary, table

    if documents[1:]:
        together = joined(documents)
        _tables.show(together.titles(), [together.cells(row) for row in together.rows])
        typer.echo(f"  {together.caption}\n")
    for document in documents:
        typer.echo(document["name"])
        _tables.show(*table(document))
        for line in summary(document):
            typer.echo(f"  {line}")
        typer.echo()
