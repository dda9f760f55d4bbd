"""`salcli datasets`: lists, checks and prepares datasets."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from salcli.commands import _steps, _tables
from salcli.commands._options import (
    DataOptions,
    Json,
    Quiet,
    RayCluster,
    Roots,
    ShardOf,
    Splits,
    WorkerCount,
    complete_dataset,
)
from salcli.errors import InputError
from salcli.types import KernelName

if TYPE_CHECKING:
    from salcli.datasets.check import Finding, SplitContents
    from salcli.datasets.extract import Extraction
    from salcli.specs import DatasetSpec
    from salcli.types import Recording

__all__ = ["datasets"]

datasets = typer.Typer()

Name: TypeAlias = Annotated[
    str, typer.Argument(metavar="NAME", help="The dataset.", autocompletion=complete_dataset)
]
SHOWN = 20
"""Limit of printed problems per split; all are counted."""


@datasets.callback(invoke_without_command=True)
def _datasets(context: typer.Context) -> None:
    """List, check and prepare datasets; without a command, list them."""
    if context.invoked_subcommand is None:
        list_()


@datasets.command("list")
def list_(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME",
            help="Show only this one, with its layout.",
            autocompletion=complete_dataset,
        ),
    ] = None,
    *,
    as_json: Json = False,
) -> None:
    """List the datasets that can be read, and the folders where they are expected.

    \b
    Examples:
      salcli datasets list
      salcli datasets list dhf1k
    """
    from salcli.plugins import registry

    specs = [registry.dataset(name)] if name else list(registry.datasets().values())
    if as_json:
        show_json(specs)
    elif name:
        show_one(specs[0])
    else:
        show_all(specs)


@datasets.command()
def check(
    name: Name,
    *,
    root: Roots = None,
    option: DataOptions = None,
    split: Splits = None,
    every_file: Annotated[
        bool,
        typer.Option(
            "--every-file", help="Read all files, not only the first and last frame of each clip."
        ),
    ] = False,
    workers: WorkerCount = None,
    cluster: RayCluster = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Count recordings and files, and report problems; exit code 1 if there are any.

    \b
    Examples:
      salcli datasets check dhf1k --root DHF1K
      salcli datasets check folder --root mydata --every-file
    """
    from salcli.datasets.check import Look, check
    from salcli.datasets.open import open_dataset
    from salcli.scale.functions import FunctionOrder

    dataset = open_dataset(name, root or (), options=option or ())

    def run(look: Look, recordings: Sequence[Recording]) -> Sequence[Finding]:
        order = FunctionOrder(look, _unseen)
        return _steps.each_file(order, recordings, workers=workers, cluster=cluster, quiet=quiet)

    parts = check(dataset, split or (), every_file=every_file, run=run)
    if as_json:
        typer.echo(json.dumps([part.document() for part in parts], indent=2))
    else:
        _show_parts(parts)
    if any(part.problems for part in parts):
        raise typer.Exit(1)


@datasets.command()
def frames(
    videos: Annotated[
        list[str] | None,
        typer.Argument(metavar="VIDEO", help="Videos, or folders of them.", show_default=False),
    ] = None,
    *,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="DIR", help="Folder for the frames.", show_default=False
        ),
    ] = None,
    root: Roots = None,
    pattern: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT", help="Path of a frame below DIR, as in '{clip}/{frame:04d}.png'."
        ),
    ] = None,
    workers: WorkerCount = None,
    cluster: RayCluster = None,
    shard: ShardOf = None,
    quiet: Quiet = False,
) -> None:
    """Extract every frame of videos as PNG.

    Without VIDEO: the videos of DHF1K, whose frames go beside the maps and must agree with their
    number. Videos whose frames exist are skipped, so an interrupted run can be resumed.

    \b
    Examples:
      salcli datasets frames --root DHF1K
      salcli datasets frames videos -o frames
    """
    from salcli.datasets import extract
    from salcli.scale.functions import FunctionOrder

    if videos:
        jobs = extract.of_videos(videos, pattern=pattern, output=output)
    else:
        jobs = extract.of_dhf1k(root or (), pattern=pattern, output=output)
    order: FunctionOrder[Extraction, int | None] = FunctionOrder(
        extract.extract, _nothing, name=_video, claim=_claim_file
    )
    found = _steps.each_file(
        order, jobs, workers=workers, cluster=cluster, quiet=quiet, shard=shard
    )
    if None in found:
        raise typer.Exit(1)


@datasets.command()
def maps(
    name: Name,
    *,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Folder for the maps.")
    ],
    root: Roots = None,
    option: DataOptions = None,
    split: Splits = None,
    kernel: Annotated[
        KernelName | None, typer.Option(help="Overrides the dataset's own kernel.")
    ] = None,
    sigma: Annotated[
        float | None,
        typer.Option(min=0.1, help="Use a Gaussian with this standard deviation in pixels."),
    ] = None,
    dva: Annotated[
        float | None,
        typer.Option(min=0.01, help="The same in degrees of visual angle."),
    ] = None,
    pixels_per_degree: Annotated[
        float | None, typer.Option(min=0.1, help="Converts --dva to pixels.")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Overwrite existing maps.")
    ] = False,
    workers: WorkerCount = None,
    cluster: RayCluster = None,
    shard: ShardOf = None,
    quiet: Quiet = False,
) -> None:
    """Compute density maps from fixations: 8-bit PNG of the frame's size, OUTPUT/CLIP/FRAME.png.

    The default kernel is the one used for the dataset's own maps.

    \b
    Examples:
      salcli datasets maps salicon --split valid -o maps
      salcli datasets maps folder --root mydata --sigma 20 -o maps
    """
    from salcli.datasets.densitymaps import WrittenMaps, write_maps
    from salcli.datasets.open import open_dataset
    from salcli.gaze import kernels
    from salcli.scale.functions import FunctionOrder

    dataset = open_dataset(name, root or (), options=option or ())
    chosen = kernels.choose(
        kernel or dataset.kernel, sigma=sigma, dva=dva, pixels_per_degree=pixels_per_degree
    )
    parts = split or [dataset.evaluated]
    recordings = list({r.name: r for part in parts for r in dataset.recordings(part)}.values())
    order: FunctionOrder[Recording, WrittenMaps | None] = FunctionOrder(
        partial(write_maps, output=output, kernel=chosen, overwrite=overwrite), _nothing
    )
    found = _steps.each_file(
        order, recordings, workers=workers, cluster=cluster, quiet=quiet, shard=shard
    )
    if any(one is None or one.problems for one in found):
        raise typer.Exit(1)
    if not any(one.maps + one.skipped for one in found if one):
        raise InputError(f"dataset '{name}' has no fixations to compute maps from")


@datasets.command()
def pack(
    name: Name,
    predictions: Annotated[
        Path,
        typer.Argument(metavar="DIR", help="Folder of maps: DIR/CLIP/FRAME.png, or DIR/IMAGE.png."),
    ],
    *,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="The ZIP archive.")
    ],
    root: Roots = None,
    option: DataOptions = None,
    split: Annotated[str, typer.Option(metavar="NAME", help="Part of the dataset.")] = "test",
    method: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Folder in the archive; default: the name of FILE."),
    ] = None,
    per_clip: Annotated[
        bool,
        typer.Option(
            "--per-clip", help="Write CLIP.tar (gzip) for each clip into the folder FILE."
        ),
    ] = False,
) -> None:
    """Pack predictions for a benchmark, after checking names, counts and sizes.

    They are checked against the dataset, or against published names and counts without a copy.

    \b
    Examples:
      salcli datasets pack dhf1k saliency -o mine.zip
      salcli datasets pack mit300 saliency -o mine.zip --method MyModel
    """
    from salcli.datasets.submission import archive, find

    entries = find.collect(predictions, name, split=split, roots=root or (), options=option or ())
    if per_clip:
        count = archive.pack_apart(entries, output)
        typer.echo(f"{output}: {count} archives, {len(entries)} files")
    else:
        archive.pack(entries, output, method=method or output.stem)
        typer.echo(f"{output}: {len(entries)} files")


@datasets.command("export")
def export_(
    name: Name,
    *,
    root: Roots = None,
    option: DataOptions = None,
    split: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Part of the dataset.", show_default="the one usually scored"
        ),
    ] = None,
    predictions: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Also export the maps in this folder."),
    ] = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Folder for the files.")
    ] = Path("pysaliency"),
    quiet: Quiet = False,
) -> None:
    """Write images, fixations and maps as HDF5 for the library pysaliency.

    DIR/stimuli.hdf5 names the images, DIR/fixations.hdf5 has where observers looked, and
    DIR/predictions.hdf5 a map for each image. Exit code 1 if something could not be read.

    \b
    Examples:
      salcli datasets export osie --root OSIE -o osie
      salcli datasets export folder --root mydata --predictions saliency/images
    """
    from salcli.datasets.open import open_dataset
    from salcli.scoring.hdf5export import export
    from salcli.terminal.progress import watch

    dataset = open_dataset(name, root or (), options=option or ())
    recordings = dataset.recordings(split or dataset.evaluated)
    with watch(1, quiet=quiet) as watcher:
        watcher.start(name, len(recordings))
        found = export(recordings, output, predictions=predictions, done=watcher.step)
        for problem in found.problems:
            watcher.fail(problem)
        watcher.note(
            f"{output}: {found.stimuli} images, {found.fixations} fixations, {found.maps} maps"
        )
    if found.problems:
        raise typer.Exit(1)


def _nothing(unit: object, error: str) -> None:
    """Of what failed there is nothing."""


def _unseen(recording: Recording, error: str) -> Finding:
    from salcli.datasets.check import Finding

    return Finding(problems=[f"{recording.name}: {error}"])


def _video(job: Extraction) -> str:
    return str(job.video)


def _claim_file(job: Extraction) -> Path:
    return job.claim_file


def _show_parts(parts: Sequence[SplitContents]) -> None:
    titles = ("SPLIT", "RECORDINGS", "FRAMES", "WITH MAPS", "WITH FIXATIONS", "OUTSIDE", "PROBLEMS")
    _tables.show(titles, [tuple(map(str, part.row)) for part in parts])
    for part in parts:
        for problem in part.problems[:SHOWN]:
            typer.echo(f"{part.split}: {problem}", err=True)
        if len(part.problems) > SHOWN:
            typer.echo(f"{part.split}: and {len(part.problems) - SHOWN} more", err=True)


def show_all(specs: Sequence[DatasetSpec]) -> None:
    """One row for each dataset."""
    rows = [(spec.name, _where(spec), spec.summary) for spec in specs]
    _tables.show(("DATASET", "WHERE", "WHAT"), rows)


def show_json(specs: Sequence[DatasetSpec]) -> None:
    """All datasets as one JSON document."""
    from salcli.datasets.open import describe

    typer.echo(json.dumps([describe(spec) for spec in specs], indent=2))


def show_one(spec: DatasetSpec) -> None:
    """One dataset: its root, its layout, its options."""
    from salcli.datasets.open import options_of

    rows = {"where": _where(spec), "origin": spec.origin, "licence": spec.licence}
    for line in (*_tables.wrapped(f"{spec.name}: {spec.summary}"), *_tables.facts(rows)):
        typer.echo(line)
    typer.echo("below its root:")
    for text in spec.layout:
        for line in _tables.wrapped(f"  {text}", indent=4):
            typer.echo(line)
    for key, (default, meaning) in options_of(spec).items():
        for line in _tables.wrapped(f"-D {key}={default}: {meaning}", indent=4):
            typer.echo(line)


def _where(spec: DatasetSpec) -> str:
    from salcli.datasets.open import root_of

    found = root_of(spec)
    if not found:
        return f"--root, {spec.variable}" if spec.variable else "--root"
    return str(found[0]) if found[0].is_dir() else f"{found[0]} (missing)"
