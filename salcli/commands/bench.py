"""`salcli bench`: the speed of a model, the cost of other ways, and whether data keep up."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from salcli.commands import _options, _tables
from salcli.commands._help import COMPUTING
from salcli.commands._options import DataOptions, Roots
from salcli.plugins import registry
from salcli.types import Precision

if TYPE_CHECKING:
    from salcli.bench.compare import Measurement
    from salcli.bench.worker import RunSettings, Workload
    from salcli.training.prepare import TrainingRequest

__all__ = ["bench"]

MEGABYTE = 1_000_000


def bench(
    source: Annotated[
        Path | None,
        typer.Argument(metavar="INPUT", help="A real input; default: a generated clip."),
    ] = None,
    *,
    what: Annotated[
        Literal["maps", "data"],
        typer.Option(help="Measure the speed of maps, or whether training data keep up."),
    ] = "maps",
    model: _options.ModelName = registry.DEFAULT_MODEL,
    option: _options.ModelOptions = None,
    weights: _options.WeightsFile = None,
    filters: _options.Filters = None,
    untrained: Annotated[
        bool,
        typer.Option("--untrained", help="Use random weights: the speed is the same."),
    ] = False,
    compare: Annotated[
        list[str] | None,
        typer.Option(
            metavar="WAY",
            help="Another way, taking turns with the default: a name that 'salcli models NAME' "
            "shows, a precision, an engine, or KEY=VALUE of an option. Repeatable.",
        ),
    ] = None,
    frames: Annotated[int, typer.Option(min=1, help="Maximum number of frames.")] = 64,
    size: Annotated[
        Any,
        typer.Option(metavar="WxH", parser=_options.parse_size, help="Size of the generated clip."),
    ] = "640x360",
    stages: Annotated[
        bool,
        typer.Option(
            "--stages", help="Time decoding, preprocessing, network and files one by one."
        ),
    ] = False,
    laps: Annotated[int, typer.Option(min=1, help="Timed runs; the fastest counts.")] = 1,
    device: _options.Device = "auto",
    threads: _options.Threads = None,
    precision: _options.Precision = "auto",
    batch_size: _options.BatchSize = None,
    engine: _options.Engine = "torch",
    data: _options.Data = None,
    root: Roots = None,
    data_option: DataOptions = None,
    recipe: _options.RecipeName = None,
    workers: _options.Workers = 2,
    frame_memory: _options.FrameMemory = 512,
    batches: Annotated[
        int,
        typer.Option(
            min=1,
            help="Timed batches with --what data.",
            rich_help_panel=COMPUTING,
        ),
    ] = 10,
    offline: _options.Offline = False,
    as_json: _options.Json = False,
    quiet: _options.Quiet = False,
) -> None:
    """Measure maps per second, multiply-accumulates, memory, and how far the maps differ.

    Frames are decoded, preprocessed, predicted and resized to the published size; nothing is
    written. All ways see the same frames and take turns; a last run counts operations. Speeds are
    comparable only within one run on one machine.

    --what data: samples per second that the training loader delivers, and that training steps
    consume, for a model, --data and --recipe.

    \b
    Examples:
      salcli bench
      salcli bench clip.mp4 --device cuda --compare bfloat16 --laps 3
    """
    if what == "data":
        from salcli.training.prepare import TrainingRequest

        request = TrainingRequest(
            model,
            options=option or (),
            weights=weights,
            recipe=recipe,
            overrides={"batch_size": batch_size},
            data=data or (),
            roots=root or (),
            data_options=data_option or (),
            device=device,
        )
        memory = frame_memory * MEGABYTE
        _data(request, precision, workers, memory=memory, batches=batches, as_json=as_json)
        return

    from salcli.bench.worker import RunSettings, Workload
    from salcli.weights.trained import chosen

    model, file = chosen(model, weights)
    setup = RunSettings(
        model,
        options=option or (),
        weights_file=None if file is None else Path(file),
        untrained=untrained,
        device=device,
        precision=precision,
        batch_size=batch_size,
        engine=engine,
        filters=filters or (),
        offline=offline,
    )
    if stages:
        _stages(setup, Workload(source, frames, size), laps=laps, as_json=as_json)
        return
    _maps(
        setup,
        compare or (),
        Workload(source, frames, size),
        laps=laps,
        quiet=quiet,
        as_json=as_json,
    )


def _maps(
    setup: RunSettings,
    ways: Sequence[str],
    workload: Workload,
    *,
    laps: int,
    quiet: bool,
    as_json: bool,
) -> None:
    """Measure the speed of maps, and print it."""
    from salcli.bench import compare as benchmark

    setups = benchmark.ways(registry.model(setup.model)[0], setup, ways)

    def notice(text: str) -> None:
        if not quiet:
            typer.echo(text, err=True)

    figures = benchmark.run(setups, workload, laps=laps, notice=notice)
    peak = benchmark.convolution_peak(setup.device, setup.precision)
    if as_json:
        typer.echo(json.dumps(_document(figures, peak), indent=2))
    else:
        _show(figures, peak)


def _stages(setup: RunSettings, workload: Workload, *, laps: int, as_json: bool) -> None:
    """Measure the stages of a prediction, and print them."""
    from salcli.bench.stages import measure

    found = measure(setup, workload, laps=laps)
    if as_json:
        typer.echo(json.dumps([dataclasses.asdict(stage) for stage in found], indent=2))
        return
    rows = [
        (s.name, f"{s.milliseconds:.2f}", f"{s.cpu:.2f}", f"{1000 / s.milliseconds:.3g}")
        for s in found
    ]
    _tables.show(("STAGE", "MS/FRAME", "CPU MS/FRAME", "FRAMES/S"), rows)


def _data(
    request: TrainingRequest,
    precision: Precision,
    workers: int,
    *,
    memory: int,
    batches: int,
    as_json: bool,
) -> None:
    from salcli import devices
    from salcli.bench.loader import measure
    from salcli.training.prepare import prepare
    from salcli.training.train import Running

    training = prepare(request)
    running = Running(workers=workers, memory=memory, precision=devices.precision(precision))
    model, recipe = training.model, training.recipe
    found = measure(model, training.corpora, recipe, running, batches=batches)
    if as_json:
        document = {**dataclasses.asdict(found), "workers": workers, "starving": found.starving}
        typer.echo(json.dumps(document, indent=2))
        return
    typer.echo(
        f"data: {found.delivered:.3g} samples/s by {workers} workers; network: {found.eaten:.3g} "
        f"samples/s in batches of {found.batch} on {model.device}"
    )
    ratio = found.delivered / found.eaten
    more = ", so it waits for data: try more --workers" if found.starving else ""
    typer.echo(f"data arrive {ratio:.2g} times as fast as the network consumes them{more}")


def _document(figures: Sequence[Measurement], peak: float) -> dict[str, Any]:
    import torch

    return {
        "threads": torch.get_num_threads(),
        "convolution_peak_macs_per_second": peak,
        "ways": [
            {**dataclasses.asdict(found), "maps_per_second": found.maps_per_second}
            for found in figures
        ],
    }


def _show(figures: Sequence[Measurement], peak: float) -> None:
    import torch

    first = figures[0]
    typer.echo(
        f"{first.label} on {first.device} ({torch.get_num_threads()} threads), {first.precision}; "
        f"{first.maps} frames; convolution peak {peak / 1e9:.0f} GMAC/s"
    )
    rows = [
        (
            found.way,
            f"{found.maps_per_second:.3g}",
            f"{found.speed_up:.2f}",
            f"{found.macs / 1e9:.2f}",
            f"{100 * found.macs * found.maps_per_second / peak:.0f} %",
            _gigabytes(found.memory),
            _gigabytes(found.device_memory),
            f"{found.difference:.2g}",
        )
        for found in figures
    ]
    titles = ("WAY", "MAPS/S", "SPEED-UP", "GMAC/MAP", "OF PEAK", "MEMORY", "ON DEVICE")
    _tables.show((*titles, "DIFFERS"), rows)
    if len(figures) > 1:
        typer.echo("SPEED-UP: how many times faster the default is.")
        typer.echo("DIFFERS: the largest difference of the maps, which are in [0, 1].")


def _gigabytes(count: int | None) -> str:
    return "-" if count is None else f"{count / 1e9:.2f} GB"
