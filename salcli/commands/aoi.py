"""`salcli aoi`: how much attention areas of interest get, and whether a change takes it away."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from salcli import logs
from salcli.commands import _options, _tables
from salcli.commands._options import load_models
from salcli.errors import PluginError, SalcliError, UsageError
from salcli.plugins import registry

if TYPE_CHECKING:
    from salcli.areas.geometry import Area
    from salcli.areas.measure import AreaSummary, Attention
    from salcli.areas.run import Survey
    from salcli.scoring.limits import Limit

__all__ = ["aoi"]


def aoi(
    context: typer.Context,
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT", help="Images, videos, folders of frames.", show_default=False
        ),
    ],
    areas: _options.AreasFile = None,
    area: _options.AreaBoxes = None,
    against: Annotated[
        str | None,
        typer.Option(metavar="INPUT", help="The design or cut that INPUT is compared against."),
    ] = None,
    against_areas: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Where the areas are there.", show_default="where they are here"
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
    device: _options.Device = "auto",
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Folder of the results.")
    ] = Path("aoi"),
    kind: _options.Kind = "auto",
    fps: _options.Fps = None,
    offline: _options.Offline = False,
    as_json: _options.Json = False,
    quiet: _options.Quiet = False,
    verbose: _options.Verbose = False,
) -> None:
    """Measure how much attention areas get: share, lift over their size, peak, rank, over time.

    DIR/NAME.aoi.json has the whole result, DIR/NAME.aoi.csv a row per area and frame, and
    DIR/NAME.aoi.png a picture: the areas on a still, or their shares over the time of a clip.

    Exit codes: 0 all done, 1 some inputs failed or --fail-below, 2 wrong usage, 3 no weights, 4 a
    broken plugin.
    """
    from salcli.areas.run import Survey
    from salcli.media.open import find_inputs
    from salcli.progress import watch
    from salcli.scoring.limits import parse_limit

    chosen = _areas(areas, area)
    names = [one.name for one in chosen]
    there = _areas(against_areas, None) if against_areas else chosen
    limits = [parse_limit(text, kind="area", names=names, most=1) for text in fail_below or ()]
    if against is None and any(limit.name is None for limit in limits):
        raise UsageError("--fail-below: a change needs --against; or write AREA=SHARE")
    paths = find_inputs(inputs)
    others = find_inputs([against]) if against is not None else []
    if against is not None:
        _check_pair(paths, others, names=names, there=there)
    elif against_areas is not None:
        raise UsageError("--against-areas needs --against")
    _options.check_writable(output)
    context.with_resource(logs.logging_to_terminal(quiet=quiet, verbose=verbose))
    (loaded,) = load_models(
        [model], option=option, weights=weights, device=device, offline=offline, quiet=quiet
    )
    with watch(len(paths) + len(others), quiet=quiet) as watcher:
        watcher.note(_options.introduction(loaded))
        survey = Survey(loaded, kind, fps, watcher)
        if others:
            failed = _compare(
                survey,
                (paths[0], chosen),
                against=(others[0], there),
                output=output,
                limits=limits,
                as_json=as_json,
            )
        else:
            failed = _measure(
                survey, paths, areas=chosen, output=output, limits=limits, as_json=as_json
            )
    if failed:
        raise typer.Exit(1)


def _measure(
    survey: Survey,
    paths: Sequence[Path],
    *,
    areas: Sequence[Area],
    output: Path,
    limits: Sequence[Limit],
    as_json: bool,
) -> bool:
    """Each input by itself; whatever is wrong with one does not stop the others."""
    from salcli.areas import thresholds
    from salcli.prediction import manifest

    found: list[Attention] = []
    errors: dict[Path, str] = {}
    lines: list[str] = []
    for path, place in zip(paths, manifest.places(paths, output), strict=True):
        try:
            one = survey.measure(path, place, areas=areas)
        except PluginError:
            raise  # every other input would fail as this one did
        except SalcliError as error:
            survey.watcher.fail(str(error))
            errors[path] = str(error)
            continue
        found.append(one)
        shares = {name: summary.share for name, summary in one.summary().items()}
        lines += [
            f"{path}: {line}" for line in thresholds.broken(limits, shares=shares, changes={})
        ]
    if as_json:
        typer.echo(json.dumps(survey.document(found, failed=errors), indent=2, ensure_ascii=False))
    elif found:
        _show(found)
    return _complained(lines) or bool(errors) or any(one.stimulus.problems for one in found)


def _compare(
    survey: Survey,
    source: tuple[Path, Sequence[Area]],
    *,
    against: tuple[Path, Sequence[Area]],
    output: Path,
    limits: Sequence[Limit],
    as_json: bool,
) -> bool:
    from salcli.areas import documents, thresholds
    from salcli.prediction.manifest import OutputPaths

    place = OutputPaths(output, f"{source[0].stem}-against-{against[0].stem}")
    found, other = survey.compare(source, against, place=place)
    rows = list(documents.changes(found, other))
    if as_json:
        document = documents.compared(survey.loaded, found, against=other)
        typer.echo(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        cells = [
            [row[0], *(f"{n:.2%}" for n in row[1:3]), f"{row[3]:+.2%}", *map(_times, row[4:])]
            for row in rows
        ]
        _tables.show(["area", "share", "against", "change", "lift", "against"], cells)
    shares = {row[0]: row[1] for row in rows}
    changes = {row[0]: row[3] for row in rows}
    lines = list(thresholds.broken(limits, shares=shares, changes=changes))
    return _complained(lines) or bool(found.stimulus.problems or other.stimulus.problems)


def _complained(lines: Sequence[str]) -> bool:
    for line in lines:
        typer.echo(f"salcli: below the limit: {line}", err=True)
    return bool(lines)


def _show(found: Sequence[Attention]) -> None:
    """The table of all inputs; clips have further columns."""
    clips = any(one.stimulus.is_clip for one in found)
    titles = ["input", "area", "share", "of frame", "lift", "peak", "rank"]
    if clips:
        titles += ["on screen", "first peak"]
    rows = []
    for one in found:
        for name, summary in one.summary().items():
            row = [one.source.name, name, f"{summary.share:.2%}", f"{summary.area_share:.2%}"]
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


def _check_pair(
    paths: Sequence[Path], others: Sequence[Path], *, names: Sequence[str], there: Sequence[Area]
) -> None:
    if len(paths) != 1 or len(others) != 1:
        raise UsageError(
            f"--against compares one input with one, not {len(paths)} with {len(others)}"
        )
    if sorted(names) != sorted(area.name for area in there):
        listed = " and ".join(
            ", ".join(sorted(some)) for some in (names, [area.name for area in there])
        )
        raise UsageError(f"--against-areas must have the same areas; these are {listed}")
