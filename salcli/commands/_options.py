"""Options that several commands share."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import typer

from salcli import types
from salcli.commands._help import COMPUTING, DATA, INPUTS, MESSAGES, MODEL, RECIPE, SHARING
from salcli.plugins import registry
from salcli.terminal.progress import Style

__all__ = [
    "AreaBoxes",
    "AreasFile",
    "BatchSize",
    "Data",
    "DataOptions",
    "Device",
    "Devices",
    "Duration",
    "Engine",
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
    "Predictions",
    "Progress",
    "Quiet",
    "RayCluster",
    "RecipeName",
    "Roots",
    "ShardOf",
    "Splits",
    "Start",
    "Threads",
    "Untrained",
    "Verbose",
    "WeightsFile",
    "WorkerCount",
    "Workers",
    "complete_dataset",
    "complete_model",
    "parse_size",
]


def complete_model(incomplete: str) -> list[str]:
    """Models that start with this text, for shell completion."""
    return [name for name in registry.model_names() if name.startswith(incomplete)]


def complete_dataset(incomplete: str) -> list[str]:
    """Datasets that start with this text, for shell completion."""
    return [name for name in registry.datasets() if name.startswith(incomplete)]


def _filters(incomplete: str) -> list[str]:
    return [name for name in registry.filters() if name.startswith(incomplete)]


def _engines(incomplete: str) -> list[str]:
    names = ("auto", "torch", *registry.engines())
    return [name for name in names if name.startswith(incomplete)]


def _devices(incomplete: str) -> list[str]:
    return [name for name in ("auto", "cpu", "cuda", "mps") if name.startswith(incomplete)]


def _use_threads(count: int | None) -> int | None:
    """Let PyTorch use so many cores, in this process and in those that it starts."""
    if count is not None:
        os.environ["OMP_NUM_THREADS"] = str(count)
        if "torch" in sys.modules:  # which has read the variable
            sys.modules["torch"].set_num_threads(count)
    return count


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


def _device_list(text: str) -> list[str]:
    return [_device(name) for name in text.split(",")]


def _worker_count(text: str) -> int:
    """A number from 1 on, or 0 for `auto`."""
    return _batch_size(text) or 0


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
    typer.Option(
        metavar="FILE",
        help="Areas: salcli's, COCO's or Label Studio's JSON, CVAT's XML, or CSV "
        "frame,name,x,y,w,h.",
    ),
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
        help="Model, and tag of its weights, see 'salcli models'; or the folder of a training.",
        autocompletion=complete_model,
    ),
]
ModelNames: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--model",
        "-m",
        metavar="NAME[:TAG]",
        help="Model, and tag of its weights, see 'salcli models'; or the folder of a training. "
        "Repeatable.",
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
Threads: TypeAlias = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        min=1,
        callback=_use_threads,
        help="Cores that the network uses, of each worker if there are several.",
        show_default="all, or OMP_NUM_THREADS",
        rich_help_panel=MODEL,
    ),
]
Devices: TypeAlias = Annotated[
    Any,
    typer.Option(
        metavar="LIST",
        parser=_device_list,
        help="Devices of the workers, such as cuda:0,cuda:1; one worker each.",
        show_default=False,
        rich_help_panel=SHARING,
    ),
]
WorkerCount: TypeAlias = Annotated[
    int | None,
    typer.Option(
        "--workers",
        metavar="N|auto",
        parser=_worker_count,
        help="Share the inputs out among N processes here; auto is one for each GPU, or as many as "
        "cores and memory allow.",
        show_default=False,
        rich_help_panel=SHARING,
    ),
]
RayCluster: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--cluster",
        metavar="ADDRESS",
        help="Share the inputs out on a Ray cluster: auto, HOST:PORT, or local for one on this "
        "machine.",
        rich_help_panel=SHARING,
    ),
]
ShardOf: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--shard",
        metavar="I/N|auto",
        help="Only part I of N of the inputs; auto asks SLURM, torchrun, Kubernetes or AWS Batch "
        "which one.",
        rich_help_panel=SHARING,
    ),
]
Precision: TypeAlias = Annotated[
    types.Precision,
    typer.Option(
        help="Floating-point type of the network; auto is float32.",
        rich_help_panel=MODEL,
    ),
]
Engine: TypeAlias = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="What runs the network: torch, onnxruntime, openvino, or auto, the fastest installed.",
        autocompletion=_engines,
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
Predictions: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        metavar="PATH",
        help="Folder or video of stored maps, such as predict makes, instead of a model.",
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
