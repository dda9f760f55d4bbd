"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from salcli.errors import UsageError

__all__ = [
    "BatchSize",
    "Device",
    "Json",
    "ModelName",
    "ModelOptions",
    "Offline",
    "Precision",
    "Quiet",
    "Verbose",
    "WeightsFile",
    "complete_model",
    "parse_batch_size",
    "parse_size",
]


def complete_model(incomplete: str) -> list[str]:
    """What `--model` may go on with; for shell completion."""
    from salcli import registry

    return [name for name in registry.model_names() if name.startswith(incomplete)]


def _devices(incomplete: str) -> list[str]:
    return [name for name in ("auto", "cpu", "cuda", "mps") if name.startswith(incomplete)]


def _precisions(incomplete: str) -> list[str]:
    known = ("auto", "float32", "bfloat16", "float16")
    return [name for name in known if name.startswith(incomplete)]


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
