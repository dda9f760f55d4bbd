"""Options about datasets that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

__all__ = ["DataOptions", "Roots", "Splits", "complete_dataset"]


def complete_dataset(incomplete: str) -> list[str]:
    """What `--data` may go on with; for shell completion."""
    from salcli.plugins import registry

    return [name for name in registry.datasets() if name.startswith(incomplete)]


Roots: TypeAlias = Annotated[
    list[Path] | None,
    typer.Option(
        "--root",
        metavar="DIR",
        help="Folder of the dataset; repeatable for one that may have several, such as 'folder'. "
        "Without it, the dataset's environment variable says where.",
        show_default=False,
    ),
]
DataOptions: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--data-option",
        "-D",
        metavar="KEY=VALUE",
        help="Option of the dataset; see 'salcli datasets list NAME'. Repeatable.",
    ),
]
Splits: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--split", metavar="NAME", help="Only this part of the dataset. Repeatable."),
]
