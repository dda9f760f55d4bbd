"""Options that several commands share."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from salcli.errors import UsageError
from salcli.plugins import registry

if TYPE_CHECKING:
    from salcli.loading import Loaded

__all__ = [
    "AreaBoxes",
    "AreasFile",
    "BatchSize",
    "Device",
    "KINDS",
    "Fps",
    "Json",
    "Kind",
    "ModelName",
    "ModelNames",
    "ModelOptions",
    "Offline",
    "Precision",
    "Quiet",
    "Verbose",
    "WeightsFile",
    "check_writable",
    "complete_model",
    "introduction",
    "one_of",
    "parse_batch_size",
    "parse_size",
]


def complete_model(incomplete: str) -> list[str]:
    """What `--model` may go on with; for shell completion."""
    return [name for name in registry.model_names() if name.startswith(incomplete)]


def _devices(incomplete: str) -> list[str]:
    return [name for name in ("auto", "cpu", "cuda", "mps") if name.startswith(incomplete)]


def _precisions(incomplete: str) -> list[str]:
    known = ("auto", "float32", "bfloat16", "float16")
    return [name for name in known if name.startswith(incomplete)]


KINDS = ("auto", "clip", "stills")
Kind: TypeAlias = Annotated[
    str,
    typer.Option("--as", metavar="|".join(KINDS), help="What the frames of a folder are."),
]
Fps: TypeAlias = Annotated[
    float | None,
    typer.Option(min=0.001, help="The frames of a folder are a clip of this rate."),
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
        help="Model, and which of its weights; see 'salcli models'.",
        autocompletion=complete_model,
    ),
]
ModelNames: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--model",
        "-m",
        metavar="NAME[:TAG]",
        help="Model, and which of its weights; see 'salcli models'. Repeatable.",
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
    ),
]
WeightsFile: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--weights",
        metavar="FILE",
        help="Your own weights file, as the model's authors or salcli save it.",
    ),
]
Device: TypeAlias = Annotated[
    str,
    typer.Option(metavar="DEVICE", help="auto, cpu, cuda, cuda:N or mps.", autocompletion=_devices),
]
Precision: TypeAlias = Annotated[
    str,
    typer.Option(
        metavar="TYPE",
        help="auto (float32), float32, bfloat16 or float16.",
        autocompletion=_precisions,
    ),
]
BatchSize: TypeAlias = Annotated[
    str, typer.Option(metavar="N", help="Frames at once; halved by itself if memory is short.")
]
Offline: TypeAlias = Annotated[
    bool, typer.Option("--offline", help="Never use the network (also SALCLI_OFFLINE=1).")
]
Json: TypeAlias = Annotated[
    bool, typer.Option("--json", help="One JSON document on stdout, and nothing else there.")
]
Quiet: TypeAlias = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")]
Verbose: TypeAlias = Annotated[
    bool, typer.Option("--verbose", "-v", help="Say what is done, and where an error happened.")
]


def parse_batch_size(text: str) -> int | None:
    """The number, or `None` for `auto`.

    Raises:
        UsageError: It is neither.
    """
    if text == "auto":
        return None
    if not text.isdecimal() or not int(text):
        raise UsageError(f"--batch-size {text}: must be auto or a whole number from 1 on")
    return int(text)


def parse_size(option: str, text: str, *, other: Sequence[str] = ()) -> tuple[int, int]:
    """`(H, W)` of a text `WxH`; `other` are words that could have been meant.

    Raises:
        UsageError: It is no size.
    """
    width, _, height = text.lower().partition("x")
    if not (width.isdecimal() and height.isdecimal() and int(width) and int(height)):
        allowed = ", ".join((*other, "WxH such as 640x360"))
        raise UsageError(f"{option} {text}: must be {allowed}")
    return int(height), int(width)


def one_of(option: str, value: str, known: Sequence[str]) -> str:
    """The value, if it is a known one.

    Raises:
        UsageError: It is not.
    """
    if value not in known:
        raise UsageError(f"{option} {value}: must be one of {', '.join(known)}")
    return value


def check_writable(output: Path) -> None:
    """Refuse an output folder that cannot be written, before any work is done; makes nothing.

    Raises:
        OutputError: It cannot be written.
    """
    from salcli.atomic import reporting_os_errors

    output = output.absolute()
    existing = next(path for path in (output, *output.parents) if path.exists())
    with reporting_os_errors(output), tempfile.TemporaryFile(dir=existing, prefix=".salcli-"):
        pass


def introduction(loaded: Loaded) -> str:
    """Which model and weights are at work, and where."""
    model = loaded.model
    text = f"model {loaded.label}"
    if loaded.digest is not None:
        text += f" (sha256 {loaded.digest[:12]}...)"
    return f"{text} on {model.device}, {str(model.precision).removeprefix('torch.')}"
