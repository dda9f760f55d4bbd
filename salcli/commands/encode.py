"""`salcli encode`: video with more bits where people look."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from salcli.commands import _options, _steps, _tables
from salcli.commands._help import ENCODING
from salcli.commands._steps import each_input, map_stream
from salcli.plugins import registry
from salcli.terminal import logs

if TYPE_CHECKING:
    from salcli.encoding.document import EncodeDocument, Measured
    from salcli.encoding.job import EncodeJob, EncodeOutcome
    from salcli.prediction.manifest import OutputPaths
    from salcli.terminal.events import Watcher

__all__ = ["encode"]

Todo = tuple[Path, "OutputPaths"]


def encode(
    context: typer.Context,
    inputs: Annotated[
        list[str],
        typer.Argument(metavar="INPUT", help="Video files.", show_default=False),
    ],
    encoder: Annotated[
        str,
        typer.Option(metavar="NAME", help="libx264, libx265, libvpx-vp9 or libkvazaar, of ffmpeg."),
    ] = "libx264",
    predictions: _options.Predictions = None,
    save: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FORMATS",
            help="video; for other encoders kvazaar, ctu, csv, npy (QP offsets), grey (a video of "
            "attention); comma-separated, repeatable.",
            show_default="video",
        ),
    ] = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Folder for the results.")
    ] = Path("encoded"),
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Redo finished inputs.")] = False,
    quality: Annotated[
        float | None,
        typer.Option(
            metavar="CRF",
            min=0,
            help="Quality of the plain encode: CRF, or QP of kvazaar; smaller is better.",
            show_default="the encoder's",
            rich_help_panel=ENCODING,
        ),
    ] = None,
    strength: Annotated[
        float,
        typer.Option(
            metavar="QP",
            help="Largest change of the quantiser, where nobody looks.",
            rich_help_panel=ENCODING,
        ),
    ] = 6.0,
    match: Annotated[
        Literal["quality", "size", "none"],
        typer.Option(
            help="Reach the quality of a plain encode where people look with fewer bytes, or its "
            "size with a better quality; none keeps the quality setting.",
            rich_help_panel=ENCODING,
        ),
    ] = "quality",
    vmaf: Annotated[
        bool,
        typer.Option("--vmaf/--no-vmaf", help="Measure VMAF, too.", rich_help_panel=ENCODING),
    ] = True,
    every: _options.Every = 1,
    start: _options.Start = 0.0,
    duration: _options.Duration = None,
    model: _options.ModelName = registry.DEFAULT_MODEL,
    option: _options.ModelOptions = None,
    weights: _options.WeightsFile = None,
    filters: _options.Filters = None,
    untrained: _options.Untrained = False,
    device: _options.Device = "auto",
    threads: _options.Threads = None,
    precision: _options.Precision = "auto",
    batch_size: _options.BatchSize = None,
    offline: _options.Offline = False,
    as_json: _options.Json = False,
    progress: _options.Progress = "auto",
    quiet: _options.Quiet = False,
    verbose: _options.Verbose = False,
) -> None:
    """Encode video with more bits where people look, and measure what that gains.

    The clip is encoded plainly and with regions of interest, at a quality setting at which
    attention-weighted PSNR is the same. Bytes, PSNR and VMAF of both are told, plain and weighted
    by attention, and stand in DIR/NAME/encode.json. An encoder that ignores regions of interest,
    as those of AV1 do, is refused.

    The video is DIR/NAME/libx264.mp4: 8-bit 4:2:0, each frame at its own time, with the sound.
    Finished inputs are skipped, and a run that was stopped resumes. Exit codes: 0 all done, 1
    some inputs failed, 2 wrong usage, 3 no weights, 4 a broken plugin.

    \b
    Examples:
      salcli encode clip.mp4 --encoder libx265 --quality 30
      salcli encode clip.mp4 --save kvazaar,npy --predictions maps
    """
    formats = _formats(save or ())
    if predictions is None:
        _steps.check_model(model, option, weights=weights)
    _check(encoder, formats)
    _steps.check_writable(output)
    _steps.check_exist(inputs)
    context.with_resource(logs.logging_to_terminal(quiet=quiet, verbose=verbose))
    maps, lines = map_stream(
        predictions,
        model,
        option=option,
        weights=weights,
        filters=filters,
        untrained=untrained,
        device=device,
        precision=precision,
        batch_size=batch_size,
        offline=offline,
        quiet=quiet,
        progress=progress,
    )
    from salcli.encoding.codecs import codec
    from salcli.encoding.job import EncodeJob
    from salcli.media.open import find_inputs
    from salcli.media.portion import Portion
    from salcli.prediction import manifest
    from salcli.terminal.progress import watch

    portion = Portion(every, start, duration)
    chosen = codec(encoder)
    job = EncodeJob(
        maps, chosen, quality, strength, match, formats, vmaf, portion, overwrite=overwrite
    )
    paths = find_inputs(inputs)
    todo = list(zip(paths, manifest.places(paths, output), strict=True))
    errors: dict[str, str] = {}
    with watch(len(todo), quiet=quiet, style=progress) as watcher:
        for line in lines:
            watcher.note(line)
        done = each_input(
            todo,
            partial(_run, job, watcher),
            failed=lambda one, error: errors.update({str(one[0]): error}),
            watcher=watcher,
        )
    found = [outcome.document for outcome in done if outcome is not None]
    if as_json:
        document = {"inputs": [one.as_json() for one in found], "failed": errors}
        typer.echo(json.dumps(document, indent=2))
    elif not quiet:
        _show([one for one in found if one.plain is not None])
    if errors:
        raise typer.Exit(1)


def _formats(save: Sequence[str]) -> tuple[str, ...]:
    named = [name.strip() for text in save for name in text.split(",") if name.strip()]
    return tuple(dict.fromkeys(named)) or ("video",)


def _check(encoder: str, formats: Sequence[str]) -> None:
    """Refuse what the encoder cannot do before a model is loaded."""
    from salcli.encoding import codecs
    from salcli.encoding.job import check_formats

    check_formats(formats)
    chosen = codecs.codec(encoder)
    if "video" in formats:
        codecs.check(chosen)


def _run(job: EncodeJob, watcher: Watcher, one: Todo) -> EncodeOutcome:
    path, place = one
    outcome = job.run(path, place, watcher=watcher)
    found = outcome.document
    saved = "" if found.saved is None else f", {found.saved:.1%} of the bytes saved"
    if outcome.status == "skipped":
        watcher.finish(f"{path}: already done, see {outcome.path} (and --overwrite){saved}")
    else:
        watcher.finish(f"{path}: {', '.join(found.files)} beside {outcome.path}{saved}")
    return outcome


def _show(found: Sequence[EncodeDocument]) -> None:
    """What was measured of plain encodes and of those with regions of interest."""
    if not found:
        return
    titles = ["input", "encode", "quality", "kB", "PSNR", "weighted", "attended", "rest"]
    titles += ["VMAF", "weighted"]
    rows = []
    for one in found:
        assert one.plain is not None
        assert one.regions is not None
        rows.append(_row(one, "plain", one.plain))
        rows.append(_row(one, "regions", one.regions))
    _tables.show(titles, rows)


def _row(one: EncodeDocument, kind: str, measured: Measured) -> list[str]:
    numbers = (
        measured.psnr,
        measured.weighted_psnr,
        measured.attended_psnr,
        measured.rest_psnr,
        measured.vmaf,
        measured.weighted_vmaf,
    )
    return [
        Path(one.source).name,
        kind,
        f"{measured.quality:g}",
        f"{measured.bytes / 1000:.1f}",
        *("" if value is None else f"{value:.2f}" for value in numbers),
    ]
