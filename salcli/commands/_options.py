"""Options that several commands share."""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO, TypeAlias, TypeVar

import typer

from salcli import types
from salcli.commands._help import COMPUTING, DATA, INPUTS, MESSAGES, MODEL, RECIPE
from salcli.errors import InputError, PluginError, SalcliError, UsageError, WeightsError
from salcli.plugins import registry
from salcli.progress import Style, download_bar, watch
from salcli.specs import parse_options

if TYPE_CHECKING:
    from salcli.events import Watcher
    from salcli.loading import Loaded

AGAIN = "\nsalcli: error: "
"""Between several errors that end a command together."""

Input = TypeVar("Input")
Done = TypeVar("Done")

__all__ = [
    "AreaBoxes",
    "AreasFile",
    "BatchSize",
    "Data",
    "DataOptions",
    "Device",
    "Duration",
    "Every",
    "Filters",
    "Fps",
    "FrameMemory",
    "Json",
    "Kind",
    "ModelName",
    "ModelNames",
    "ModelOptions",
    "Offline",
    "Precision",
    "Progress",
    "Quiet",
    "RecipeName",
    "Roots",
    "Splits",
    "Start",
    "Untrained",
    "Verbose",
    "WeightsFile",
    "Workers",
    "check_exist",
    "check_model",
    "check_writable",
    "complete_dataset",
    "complete_model",
    "each_input",
    "introduction",
    "load_models",
    "local_inputs",
    "parse_size",
    "results_apart",
]


def complete_model(incomplete: str) -> list[str]:
    """Models that start with this text, for shell completion."""
    return [name for name in registry.model_names() if name.startswith(incomplete)]


def complete_dataset(incomplete: str) -> list[str]:
    """Datasets that start with this text, for shell completion."""
    return [name for name in registry.datasets() if name.startswith(incomplete)]


def _filters(incomplete: str) -> list[str]:
    return [name for name in registry.filters() if name.startswith(incomplete)]


def _devices(incomplete: str) -> list[str]:
    return [name for name in ("auto", "cpu", "cuda", "mps") if name.startswith(incomplete)]


def _batch_size(text: str) -> int | None:
    """A number of frames, at least 1, or `None` for `auto`."""
    if text == "auto":
        return None
    if not text.isdecimal() or not int(text):
        raise typer.BadParameter(f"{text} is neither auto nor a whole number from 1 on")
    return int(text)


def _device(text: str) -> str:
    """The name of a device that a machine may have."""
    if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", text):
        raise typer.BadParameter(f"{text} is none of auto, cpu, cuda, cuda:N, mps")
    return text


def parse_size(text: str) -> tuple[int, int]:
    """Parse the text `WxH` of an option into `(H, W)`."""
    width, _, height = text.lower().partition("x")
    if not (width.isdecimal() and height.isdecimal() and int(width) and int(height)):
        raise typer.BadParameter(f"{text} is not WxH such as 640x360")
    return int(height), int(width)


Kind: TypeAlias = Annotated[
    types.Kind,
    typer.Option(
        "--as",
        help="How to treat a folder of frames.",
        rich_help_panel=INPUTS,
    ),
]
Fps: TypeAlias = Annotated[
    float | None,
    typer.Option(
        metavar="RATE",
        min=0.001,
        help="Treat a folder of frames as a clip with this rate.",
        rich_help_panel=INPUTS,
    ),
]
Every: TypeAlias = Annotated[
    int,
    typer.Option(
        metavar="N", min=1, help="Take every Nth frame of a clip.", rich_help_panel=INPUTS
    ),
]
Start: TypeAlias = Annotated[
    float,
    typer.Option(
        metavar="SECONDS", min=0, help="Where to begin in a clip.", rich_help_panel=INPUTS
    ),
]
Duration: TypeAlias = Annotated[
    float | None,
    typer.Option(
        metavar="SECONDS", min=0.001, help="How much of a clip to take.", rich_help_panel=INPUTS
    ),
]
AreasFile: TypeAlias = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Areas: salcli's or COCO's JSON, or CSV frame,name,x,y,w,h."),
]
AreaBoxes: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME=X,Y,W,H", help="A box, in pixels or percent (%). Repeatable."),
]
ModelName: TypeAlias = Annotated[
    str,
    typer.Option(
        "--model",
        "-m",
        metavar="NAME[:TAG]",
        help="Model, and tag of its weights; see 'salcli models'.",
        autocompletion=complete_model,
    ),
]
ModelNames: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--model",
        "-m",
        metavar="NAME[:TAG]",
        help="Model, and tag of its weights; see 'salcli models'. Repeatable.",
        show_default=registry.DEFAULT_MODEL,
        autocompletion=complete_model,
    ),
]
ModelOptions: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--option",
        "-O",
        metavar="KEY=VALUE",
        help="Option of the model; see 'salcli models NAME'. Repeatable.",
        rich_help_panel=MODEL,
    ),
]
Filters: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--filter",
        metavar="NAME[,KEY=VALUE]",
        help="Filter of frames or maps, the first outermost; see 'salcli filters'. Repeatable.",
        autocompletion=_filters,
        rich_help_panel=MODEL,
    ),
]
WeightsFile: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--weights",
        metavar="FILE",
        help="Your own weights file, saved by the model's authors' code or by salcli.",
        rich_help_panel=MODEL,
    ),
]
Untrained: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--untrained",
        help="Use a random network, always the same, instead of weights.",
        rich_help_panel=MODEL,
    ),
]
Device: TypeAlias = Annotated[
    str,
    typer.Option(
        metavar="DEVICE",
        parser=_device,
        help="auto, cpu, cuda, cuda:N or mps.",
        autocompletion=_devices,
        rich_help_panel=MODEL,
    ),
]
Precision: TypeAlias = Annotated[
    types.Precision,
    typer.Option(
        help="Floating-point type of the network; auto is float32.",
        rich_help_panel=MODEL,
    ),
]
BatchSize: TypeAlias = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        parser=_batch_size,
        help="Batch size in frames; halved automatically when memory runs out.",
        show_default="auto",
        rich_help_panel=MODEL,
    ),
]
Offline: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--offline",
        help="Never use the network (also SALCLI_OFFLINE=1).",
        rich_help_panel=MODEL,
    ),
]
Json: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--json",
        help="Print one JSON document on stdout, and nothing else.",
        rich_help_panel=MESSAGES,
    ),
]
Quiet: TypeAlias = Annotated[
    bool, typer.Option("--quiet", "-q", help="Print only errors.", rich_help_panel=MESSAGES)
]
Verbose: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--verbose",
        "-v",
        help="Log progress, and show the traceback of an error.",
        rich_help_panel=MESSAGES,
    ),
]
Progress: TypeAlias = Annotated[
    Style,
    typer.Option(
        help="Bars on a terminal, or lines, or JSON events on stderr for programs.",
        rich_help_panel=MESSAGES,
    ),
]
Roots: TypeAlias = Annotated[
    list[Path] | None,
    typer.Option(
        "--root",
        metavar="DIR",
        help="Folder of the dataset, overriding its environment variable. Repeatable for datasets "
        "of several folders, such as 'folder'.",
        show_default=False,
        rich_help_panel=DATA,
    ),
]
DataOptions: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--data-option",
        "-D",
        metavar="KEY=VALUE",
        help="Option of the dataset; see 'salcli datasets list NAME'. Repeatable.",
        rich_help_panel=DATA,
    ),
]
Splits: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--split",
        metavar="NAME",
        help="Only this part of the dataset. Repeatable.",
        rich_help_panel=DATA,
    ),
]

Data: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME[=DIR]",
        help="Dataset, as in 'salcli datasets'. Repeatable. Default: the recipe's, unless --root "
        "is given.",
        rich_help_panel=DATA,
    ),
]
RecipeName: TypeAlias = Annotated[
    str | None,
    typer.Option("--recipe", metavar="NAME", help="Recipe of the model.", rich_help_panel=RECIPE),
]
Workers: TypeAlias = Annotated[
    int,
    typer.Option(min=0, help="Processes that prepare batches.", rich_help_panel=COMPUTING),
]
FrameMemory: TypeAlias = Annotated[
    int,
    typer.Option(metavar="MB", min=0, help="Cache for decoded frames.", rich_help_panel=COMPUTING),
]


def each_input(
    inputs: Iterable[Input],
    run: Callable[[Input], Done],
    *,
    failed: Callable[[Input, str], Done],
    watcher: Watcher,
) -> list[Done]:
    """Run every input; the error of one is reported, and the others still run.

    Args:
        inputs: What to run.
        run: Runs one input.
        failed: Makes the result of an input that raised an error with this message.
        watcher: Shows the errors.

    Raises:
        PluginError: A plugin or model is broken, so every other input would fail, too.
    """

    def attempt(one: Input) -> Done:
        try:
            return run(one)
        except PluginError:
            raise
        except SalcliError as error:
            watcher.fail(str(error))
            return failed(one, str(error))

    with results_apart():
        return [attempt(one) for one in inputs]


def results_apart() -> redirect_stdout[TextIO]:
    """Keep what plugins print meanwhile from stdout, which has results, such as JSON."""
    return redirect_stdout(sys.stderr)


def check_writable(output: Path) -> None:
    """Refuse an unwritable output folder before any work is done; creates nothing.

    Raises:
        OutputError: It cannot be written.
        UsageError: It is an address, not a folder.
    """
    from salcli.atomic import reporting_os_errors
    from salcli.media.inputs import is_address

    if is_address(str(output)):
        raise UsageError(f"'{output}' is an address; results are written to a folder")
    output = output.absolute()
    existing = next(path for path in (output, *output.parents) if path.exists())
    with reporting_os_errors(output), tempfile.TemporaryFile(dir=existing, prefix=".salcli-"):
        pass


def introduction(loaded: Loaded) -> str:
    """A line that names the model, its weights, device and precision."""
    model = loaded.model
    text = f"model {loaded.label}"
    if loaded.digest is not None:
        text += f" (sha256 {loaded.digest[:12]}...)"
    return f"{text} on {model.device}, {str(model.precision).removeprefix('torch.')}"


def known_limits(loaded: Loaded) -> list[str]:
    """A line about what the model's weights are bad at, if anything is known."""
    return [f"note: {loaded.label} {loaded.known_limits}"] if loaded.known_limits else []


def check_model(name: str, option: Sequence[str] | None, *, weights: Path | None) -> None:
    """Refuse a model, a tag or options that do not exist, before anything heavy is imported.

    Raises:
        UnknownName, UsageError: There are none of this name, or a value does not fit.
        WeightsError: There is no weights file.
    """
    spec, row = registry.model(name)
    if weights is not None and not weights.exists():
        raise WeightsError(f"there is no weights file '{weights}'; check the spelling")
    needs = row.options if row and (weights is None or ":" in name) else {}
    parse_options(spec, option or (), defaults=needs)


def local_inputs(
    inputs: Sequence[str], folder: Path, *, offline: bool, quiet: bool, progress: Style
) -> list[str]:
    """The inputs as files, those at addresses and on standard input too; see `check_exist`.

    Raises:
        InputError: There is nothing at any of them.
    """
    from salcli.media.remote import is_url, make_local

    problems: list[str] = []
    remote = any(map(is_url, inputs))
    with download_bar("inputs", quiet=quiet, style=progress) if remote else nullcontext() as report:
        found = make_local(
            inputs,
            folder,
            offline=offline,
            failed=problems.append,
            report=report or (lambda *_: None),
        )
    if problems and not found:
        raise InputError(AGAIN.join(problems))
    for problem in problems:
        watch(1, quiet=quiet, style=progress).fail(problem)
    check_exist(found)
    return found


def check_exist(inputs: Sequence[str]) -> None:
    """Refuse inputs none of which exists, before anything heavy is imported.

    Raises:
        InputError: There is nothing at any of them.
    """
    from salcli.media.open import find_inputs, open_stimulus

    paths = find_inputs(inputs)
    if any(path.exists() for path in paths):
        return
    problems = []
    for path in paths:
        try:
            open_stimulus(path)
        except InputError as error:
            problems.append(str(error))
    if problems:
        raise InputError(AGAIN.join(problems))


def load_models(
    names: Sequence[str] | None,
    *,
    option: Sequence[str] | None,
    weights: Path | None,
    filters: Sequence[str] | None,
    device: str,
    offline: bool,
    quiet: bool,
    precision: types.Precision = "auto",
    batch_size: int | None = None,
    untrained: bool = False,
    progress: Style = "auto",
) -> list[Loaded]:
    """Load the named models, or the default one; says so first, and shows downloads.

    Raises:
        UnknownName, UsageError: No such model, tag, option, filter or device; or an option for one
            model is given with several.
        WeightsError: The weights could not be obtained, verified or loaded.
    """
    chosen = list(dict.fromkeys(names or [registry.DEFAULT_MODEL]))
    if len(chosen) > 1 and (weights or option):
        raise UsageError("--weights and --option belong to one model, but --model names several")
    for name in chosen:
        check_model(name, option, weights=weights)  # before any of them is downloaded
    watch(1, quiet=quiet, style=progress).note(f"loading {', '.join(chosen)} ...")

    from salcli.loading import load_model

    loaded = []
    for name in chosen:
        with results_apart(), download_bar(name, quiet=quiet, style=progress) as report:
            loaded.append(
                load_model(
                    name,
                    options=option or (),
                    weights_file=weights,
                    filters=filters or (),
                    device=device,
                    precision=precision,
                    batch_size=batch_size,
                    offline=offline,
                    untrained=untrained,
                    report=report,
                )
            )
    return loaded
