"""`salcli aoi`: how much attention areas of interest get, and how a change affects it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from salcli.commands import _options, _steps, _tables
from salcli.commands._steps import each_input, load_models
from salcli.errors import UsageError
from salcli.plugins import registry
from salcli.terminal import logs

if TYPE_CHECKING:
    from salcli.areas.attention import AreaSummary, Attention
    from salcli.areas.geometry import Area
    from salcli.models.loading import Loaded
    from salcli.prediction.manifest import OutputPaths
    from salcli.scoring.limits import Limit
    from salcli.terminal.events import Watcher
    from salcli.types import Kind

__all__ = ["aoi"]

AUTO = Path("auto")
"""In place of a file with areas; a file of this name needs its whole path."""


def aoi(
    context: typer.Context,
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT", help="Images, videos, folders of frames.", show_default=False
        ),
    ],
    areas: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE|auto",
            help="Areas in salcli's, COCO's or Label Studio's JSON, CVAT's XML, or CSV "
            "frame,name,x,y,w,h; auto finds some, and writes them for you to correct.",
        ),
    ] = None,
    area: _options.AreaBoxes = None,
    against: Annotated[
        str | None,
        typer.Option(metavar="INPUT", help="Another design or cut to compare INPUT with."),
    ] = None,
    against_areas: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="The areas of that input.", show_default="those of INPUT"
        ),
    ] = None,
    fail_below: Annotated[
        list[str] | None,
        typer.Option(
            metavar="AREA=SHARE|CHANGE",
            help="Exit code 1 if an area's share of INPUT is smaller, or if any area's share has "
            "changed by less since --against. Repeatable.",
        ),
    ] = None,
    model: _options.ModelName = registry.DEFAULT_MODEL,
    option: _options.ModelOptions = None,
    weights: _options.WeightsFile = None,
    filters: _options.Filters = None,
    device: _options.Device = "auto",
    threads: _options.Threads = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Folder for the results.")
    ] = Path("aoi"),
    kind: _options.Kind = "auto",
    fps: _options.Fps = None,
    offline: _options.Offline = False,
    as_json: _options.Json = False,
    progress: _options.Progress = "auto",
    quiet: _options.Quiet = False,
    verbose: _options.Verbose = False,
) -> None:
    """Measure how much attention areas get: share, lift over their size, peak, rank, over time.

    DIR/NAME.aoi.json has the whole result, DIR/NAME.aoi.csv a row per area and frame, and
    DIR/NAME.aoi.png a picture: the areas on a still, or their shares over the time of a clip.

    Exit codes: 0 all done, 1 some inputs failed or --fail-below, 2 wrong usage, 3 no weights, 4 a
    broken plugin.

    \b
    Examples:
      salcli aoi page.png --area button=100,40,40,20
      salcli aoi page.png --areas auto
      salcli aoi new.png --against old.png --areas areas.json --fail-below=-1%
    """
    found_areas = areas == AUTO
    chosen = None if found_areas else _areas(areas, area)
    if found_areas and (area or against_areas):
        raise UsageError("--areas auto finds all areas itself; leave out the others")
    limits = _limits(fail_below or (), chosen, compares=against is not None)
    others = _others(against, against_areas, inputs=inputs, areas=chosen or ())
    _steps.check_writable(output)
    _steps.check_exist(inputs)
    context.with_resource(logs.logging_to_terminal(quiet=quiet, verbose=verbose))
    (loaded,) = load_models(
        [model],
        option=option,
        weights=weights,
        filters=filters,
        device=device,
        offline=offline,
        quiet=quiet,
        progress=progress,
    )
    from salcli.areas.measure import measure
    from salcli.terminal.progress import watch

    todo = _todo(inputs, output, others)
    errors: dict[str, str] = {}
    with watch(len(todo) + len(others), quiet=quiet, style=progress) as watcher:
        for line in (_steps.introduction(loaded), *_steps.known_limits(loaded)):
            watcher.note(line)
        measured = partial(measure, loaded=loaded, kind=kind, fps=fps, watcher=watcher)
        done = each_input(
            todo,
            partial(_run, measured, watcher, _chooser(chosen, loaded, kind, fps), others),
            failed=lambda one, error: errors.update({str(one[0]): error}),
            watcher=watcher,
        )
    found = [one for one in done if one is not None]
    if as_json:
        typer.echo(json.dumps(_document(loaded, found, errors), indent=2, ensure_ascii=False))
    elif found:
        (_show_changes if others else _show)(found)
    below = _say_below(limits, found)
    if below or errors or any(one.problems for one in found):
        raise typer.Exit(1)


def _chooser(
    areas: Sequence[Area] | None, loaded: Loaded, kind: Kind, fps: float | None
) -> Callable[[Path, OutputPaths], Sequence[Area]]:
    """Gives the areas of an input: those that were named, or those that are found and written."""

    def choose(path: Path, outputs: OutputPaths) -> Sequence[Area]:
        if areas is not None:
            return areas
        from salcli.areas import auto, parse
        from salcli.files import atomic
        from salcli.media.open import open_stimulus

        accepts = loaded.model.spec.accepts
        found = auto.find_on(open_stimulus(path, kind=kind, fps=fps, accepts=accepts), loaded)
        atomic.write(outputs.output / f"{outputs.name}.areas.json", auto.document(found))
        return parse.boxes(found)

    return choose


def _limits(texts: Sequence[str], areas: Sequence[Area] | None, *, compares: bool) -> list[Limit]:
    from salcli.scoring.limits import parse_limit

    if areas is None and any("=" in text for text in texts):
        raise UsageError("--fail-below AREA=SHARE needs areas with known names, not --areas auto")
    names = [one.name for one in areas or ()]
    limits = [parse_limit(text, kind="area", names=names, most=1) for text in texts]
    if not compares and any(limit.name is None for limit in limits):
        raise UsageError("--fail-below: a change needs --against; or write AREA=SHARE")
    return limits


def _say_below(limits: Sequence[Limit], found: Sequence[Attention]) -> bool:
    """Print what is below a limit; whether anything is."""
    from salcli.areas.thresholds import broken

    below = [line for one in found for line in broken(limits, one)]
    for line in below:
        typer.echo(f"salcli: below the limit: {line}", err=True)
    return bool(below)


def _todo(
    inputs: Sequence[str], output: Path, others: Sequence[tuple[Path, Sequence[Area]]]
) -> list[tuple[Path, OutputPaths]]:
    """The inputs, and where the results of each go."""
    from salcli.areas import files
    from salcli.media.open import find_inputs
    from salcli.prediction import manifest

    paths = find_inputs(inputs)
    if others:
        return [(paths[0], files.comparison_place(output, paths[0], against=others[0][0]))]
    return list(zip(paths, manifest.places(paths, output), strict=True))


def _run(
    measured: Callable[..., Attention],
    watcher: Watcher,
    choose: Callable[[Path, OutputPaths], Sequence[Area]],
    others: Sequence[tuple[Path, Sequence[Area]]],
    one: tuple[Path, OutputPaths],
) -> Attention:
    """Measure one input, and the one it is compared with, and write the files."""
    from salcli.areas import files

    path, outputs = one
    areas = choose(path, outputs)
    found = measured(path, areas=areas)
    for other, there in others:
        found.against = measured(other, areas=there or areas)
    file = files.write(found, outputs)
    many = "1 area" if len(areas) == 1 else f"{len(areas)} areas"
    against = "".join(f" against {other}" for other, _ in others)
    watcher.finish(f"{path}{against}: {many} in {file}")
    return found


def _others(
    against: str | None, file: Path | None, *, inputs: Sequence[str], areas: Sequence[Area]
) -> list[tuple[Path, Sequence[Area]]]:
    """The input to compare with and its areas; empty if there is none."""
    from salcli.areas.geometry import check_same_names
    from salcli.media.open import find_inputs

    there = _areas(file, None) if file else areas
    if against is None:
        if file is not None:
            raise UsageError("--against-areas needs --against")
        return []
    paths, others = find_inputs(inputs), find_inputs([against])
    if len(paths) != 1 or len(others) != 1:
        raise UsageError(
            f"--against compares one input with one, not {len(paths)} with {len(others)}"
        )
    check_same_names(areas, there)
    return [(others[0], there)]


def _document(
    loaded: Loaded, found: Sequence[Attention], errors: Mapping[str, str]
) -> dict[str, Any]:
    from salcli.areas.attention import list_document

    if found and found[0].against:
        return found[0].document()
    return list_document(found, failed=errors, model=loaded.label, weights_sha256=loaded.digest)


def _show_changes(found: Sequence[Attention]) -> None:
    """The table of a comparison."""
    cells = [
        [
            change.name,
            f"{change.share:.2%}",
            f"{change.share_against:.2%}",
            f"{change.change:+.2%}",
            *map(_times, (change.lift, change.lift_against)),
        ]
        for change in found[0].changes()
    ]
    _tables.show(["area", "share", "against", "change", "lift", "against"], cells)


def _show(found: Sequence[Attention]) -> None:
    """The table of all inputs; clips have more columns."""
    clips = any(one.stimulus.is_clip for one in found)
    titles = ["input", "area", "share", "of frame", "lift", "peak", "rank"]
    if clips:
        titles += ["on screen", "first peak"]
    rows = []
    for one in found:
        for name, summary in one.summary().items():
            row = [Path(one.source).name, name, f"{summary.share:.2%}", f"{summary.area_share:.2%}"]
            row += [_times(summary.lift), f"{summary.peak:.3f}", str(summary.rank)]
            if clips:
                row += _times_of(summary)
            rows.append(row)
    _tables.show(titles, rows)


def _times_of(summary: AreaSummary) -> list[str]:
    """How long an area is on screen, and when the peak is first inside; nothing for stills."""
    if summary.seconds is None:
        return ["", ""]
    first = summary.first_maximum
    return [f"{summary.seconds:.2f} s", f"{first.time:.2f} s" if first else "never"]


def _times(lift: float | None) -> str:
    return "-" if lift is None else f"{lift:.2f}x"


def _areas(file: Path | None, texts: Sequence[str] | None) -> list[Area]:
    from salcli.areas import parse

    found = parse.collect(file, texts or ())
    if not found:
        raise UsageError("there are no areas; use --areas FILE or --area NAME=X,Y,W,H")
    return found
