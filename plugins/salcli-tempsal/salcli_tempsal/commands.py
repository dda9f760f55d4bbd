"""`salcli tempsal`: commands besides prediction and training."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from salcli import UsageError
from salcli.authoring import (
    Device,
    ModelName,
    ModelOptions,
    Quiet,
    Verbose,
    WeightsFile,
    logging_to_terminal,
)

if TYPE_CHECKING:
    import torch

    from salcli_tempsal.slices import TimedFixations, Times

__all__ = ["group"]

logger = logging.getLogger(__name__)

group = typer.Typer(
    no_args_is_help=True,
    help="Make ground truth for TempSAL's time slices, animate them, and join trained branches.",
)

WAYS = ("equal-duration", "equal-distribution", "quantiles")


@group.command()
def slices(
    context: typer.Context,
    inputs: Annotated[
        list[Path],
        typer.Argument(
            metavar="INPUT...",
            help="SALICON's fixation files (.mat), or folders with such files at any depth.",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Output folder.")
    ] = Path(),
    count: Annotated[
        int, typer.Option("--slices", "-n", min=1, metavar="N", help="Number of slices.")
    ] = 5,
    slicing: Annotated[
        str,
        typer.Option(
            metavar="WAY",
            help="equal-duration; equal-distribution (the same number of fixations in each slice; "
            "five slices have SALICON's boundaries); quantiles (the same, computed from the given "
            "files); or the boundaries in ms, separated by commas.",
        ),
    ] = "equal-duration",
    duration: Annotated[
        float,
        typer.Option(min=1.0, metavar="MS", help="Viewing time of an image in milliseconds."),
    ] = 5000.0,
    timestamp_weight: Annotated[
        float,
        typer.Option(
            min=0.0,
            metavar="W",
            help="Weight of a millisecond, in pixels, when fixation times are recovered: 0.006 as "
            "in the original's code, 0.017 as in the paper.",
        ),
    ] = 0.006,
    device: Device = "auto",
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Make ground truth for slices of viewing time from SALICON's fixations.

    The maps of FILE.mat for slice I, counted from 0, go to DIR/saliency_volumes_N/FILE_I.png and
    DIR/fixation_volumes_N/FILE_I.png; subfolders of an input folder are kept.

    Exit codes: 0 all done, 1 some files could not be used or had fixations outside of the image, 2
    wrong usage.
    """
    context.with_resource(logging_to_terminal(quiet=quiet, verbose=verbose))
    way = _way(slicing)

    from salcli import InputError
    from salcli.authoring import devices, watch
    from salcli_tempsal import slices as truth

    def read(file: Path) -> TimedFixations:
        return truth.read(file, timestamp_weight=timestamp_weight, duration=duration)

    count = count if isinstance(way, str) else len(way) + 1
    chosen = devices.choose(device)
    files = _files(inputs)
    starts = truth.boundaries(way, count, lambda: _all_times(files, read), duration=duration)
    logger.info("slices begin at %s ms", ", ".join(f"{start:g}" for start in (0, *starts)))
    complete = True
    with watch(len(files), quiet=quiet) as watcher:
        for file, subfolder in files.items():
            try:
                fixations = read(file)
            except InputError as error:
                watcher.fail(str(error))
                complete = False
                continue
            _write(fixations, starts, output, subfolder / file.stem, device=chosen)
            if fixations.outside:
                width, height = fixations.size[::-1]
                watcher.fail(
                    f"'{file}': {fixations.outside} of {len(fixations.times) + fixations.outside} "
                    f"fixations lie outside of the image ({width}x{height}); left them out"
                )
                complete = False
            else:
                watcher.finish(f"{file}: {count} slices of {len(fixations.times)} fixations")
    if not complete:
        raise typer.Exit(1)


@group.command()
def join(
    image: Annotated[
        Path,
        typer.Argument(metavar="IMAGE", help="Weights of the image branch, or a full net."),
    ],
    slices: Annotated[
        Path, typer.Argument(metavar="SLICES", help="Weights of the slice branch, or a full net.")
    ],
    output: Annotated[Path, typer.Argument(metavar="OUTPUT", help="A .safetensors file.")],
    mixing: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="A full network whose mixing module is added; by default the result has none.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Join two trained branches into a file from which the recipe 'mixing' starts."""
    from salcli.authoring import checkpoint
    from salcli_tempsal import TEMPSAL, published

    one, other = checkpoint.read(image), checkpoint.read(slices)
    whole = checkpoint.read(mixing) if mixing else None
    state = published.joined(one, other, whole)
    counts = [published.slices(saved) for saved in (other, whole) if saved]
    sides = [saved.options.get("input_size", 256) for saved in (one, other, whole) if saved]
    for what, found in (("slices", counts), ("input_size", sides)):
        if len(set(found)) > 1:
            raise UsageError(f"the files are of different {what}: {', '.join(map(str, found))}")
    needed = {"network": "full", "slices": counts[0], "input_size": sides[0]}
    checkpoint.save(output, state, metadata={"model": TEMPSAL.name, "options": needed})
    typer.echo(output)


@group.command()
def animate(
    context: typer.Context,
    images: Annotated[
        list[Path], typer.Argument(metavar="IMAGE...", help="Pictures.", show_default=False)
    ],
    truth: Annotated[
        Path,
        typer.Option(
            metavar="DIR", help="Folder with IMAGE_0.png and so on, as 'slices' writes them."
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Folder for the GIFs.")
    ] = Path("viz_out"),
    model: ModelName = "tempsal",
    option: ModelOptions = None,
    weights: WeightsFile = None,
    device: Device = "auto",
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Draw predicted slices beside their ground truth, as a GIF of two slices per second.

    DIR/IMAGE.gif has six panels for each slice: heat and spotlight of the ground truth, of the
    prediction, and their difference beside the image. Slices share one scale.

    Exit codes: 0 all done, 1 some images failed, 2 wrong usage, 3 no weights.
    """
    context.with_resource(logging_to_terminal(quiet=quiet, verbose=verbose))
    import numpy as np

    from salcli import SalcliError, load_model, predict
    from salcli.authoring import download_bar, watch, write_gif
    from salcli_tempsal.spotlight import animation
    from salcli_tempsal.volumes import read_slices

    with download_bar(model, quiet=quiet) as report:
        chosen = ["range=raw", *(option or ())]
        loaded = load_model(
            model, options=chosen, weights_file=weights, device=device, report=report
        )
    complete = True
    with watch(len(images), quiet=quiet) as watcher:
        for image in images:
            try:
                result = next(predict(image, model=loaded, kind="stills"))
                assert result.frame is not None
                predicted = list(result.extras.values())
                wanted = read_slices(truth, image.stem, count=len(predicted), like=result.frame)
                path = output / f"{image.stem}.gif"
                write_gif(path, animation(result.frame, wanted, np.stack(predicted)), seconds=0.5)
            except SalcliError as error:
                watcher.fail(str(error))
                complete = False
            else:
                watcher.finish(f"{image}: {len(predicted)} slices in {path}")
    if not complete:
        raise typer.Exit(1)


def _way(slicing: str) -> str | list[float]:
    """One of `WAYS`, or boundaries in milliseconds.

    Raises:
        UsageError: It is neither.
    """
    if slicing in WAYS:
        return slicing
    try:
        starts = [float(text) for text in slicing.split(",")]
    except ValueError:
        starts = []
    if not starts or starts != sorted(set(starts)) or starts[0] <= 0:
        raise UsageError(
            f"--slicing {slicing}: must be {', '.join(WAYS)}, or rising boundaries in ms such as "
            "1000,2500"
        )
    return starts


def _files(inputs: Sequence[Path]) -> dict[Path, Path]:
    """All files, each with its subfolder of the output folder.

    Raises:
        UsageError: There are none, or two whose results would have the same names.
    """
    found = dict[Path, Path]()
    for source in inputs:
        if source.is_dir():
            inside = sorted(source.rglob("*.mat"))
            if not inside:
                raise UsageError(f"there is no .mat file in '{source}'")
            found |= {file: file.parent.relative_to(source) for file in inside}
        else:
            found[source] = Path()
    names = dict[Path, Path]()
    for file, subfolder in found.items():
        other = names.setdefault(subfolder / file.stem, file)
        if other != file:
            raise UsageError(
                f"the slices of '{other}' and '{file}' would have the same names; give the folder "
                "above them instead, or make them one after the other into two output folders"
            )
    return found


def _all_times(files: Iterable[Path], read: Callable[[Path], TimedFixations]) -> Iterator[Times]:
    """Times of all fixations; skips unusable files, which are reported when processed."""
    from salcli import InputError

    for file in files:
        with suppress(InputError):
            yield read(file).times


def _write(
    fixations: TimedFixations,
    starts: Sequence[float],
    output: Path,
    name: Path,
    *,
    device: torch.device,
) -> None:
    """One PNG for each slice and kind.

    Raises:
        OutputError: The folder cannot be written or is full.
    """
    import torch

    from salcli.authoring import atomic, png, to_8bit
    from salcli_tempsal.slices import fixation_slices, saliency_slices

    maps = fixation_slices(fixations, starts)
    saliency = saliency_slices(torch.from_numpy(maps).to(device, torch.float32)).cpu().numpy()
    pictures = {
        "saliency": to_8bit(saliency, "nearest"),
        "fixation": to_8bit(maps.astype(saliency.dtype), "nearest"),
    }
    for kind, volume in pictures.items():
        folder = output / f"{kind}_volumes_{len(volume)}" / name.parent
        for index, picture in enumerate(volume):
            atomic.write(folder / f"{name.name}_{index}.png", png.encode(picture))
