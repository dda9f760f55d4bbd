"""A small plugin as a stranger would write it: two files, nothing heavy in this one."""

from dataclasses import dataclass, field
from typing import Literal

import typer

from salcli import ModelSpec, hookimpl


@dataclass(frozen=True)
class Options:
    gain: float = field(default=1.0, metadata={"help": "factor on the brightness"})
    mode: Literal["plain", "inverted"] = field(default="plain", metadata={"help": "which way"})
    rows: int | None = field(default=None, metadata={"help": "rows of the map"})
    delay: float = field(default=0.0, metadata={"help": "seconds to wait per batch"})
    channels: tuple[int, ...] = field(default=(0, 1, 2), metadata={"help": "which are seen"})


@dataclass(frozen=True)
class Dangers:
    kills: str = field(default="", metadata={"help": "folder with a file for each kill"})
    delay: float = field(default=0.0, metadata={"help": "seconds to wait per batch"})


@hookimpl
def register_models():
    yield ModelSpec(
        "mortal",
        "kills its process",
        "salcli_fake.model:Mortal",
        options=Dangers,
        licence="MIT",
        context=0,
    )
    yield ModelSpec(
        "brightness",
        "bright is salient",
        "salcli_fake.model:Brightness",
        options=Options,
        paper="None, yet",
        year=2024,
        licence="MIT",
        citation="@misc{none}",
        scores=("CC 0.1 on nothing",),
        comparisons={"inverted": {"mode": "inverted"}},
        context=0,
    )
    clips = frozenset({"clips"})
    yield ModelSpec(
        "trail",
        "mean of a window",
        "salcli_fake.model:Trail",
        licence="MIT",
        accepts=clips,
        context=2,
    )
    yield ModelSpec("hungry", "two frames at most", "salcli_fake.model:Hungry", licence="MIT")
    yield ModelSpec("starving", "no frame at all", "salcli_fake.model:Starving", licence="MIT")
    yield ModelSpec(
        "failing", "fails at the third frame", "salcli_fake.model:Failing", licence="MIT"
    )


@hookimpl
def register_commands(app: typer.Typer) -> None:
    group = typer.Typer(help="What the fake plugin can do besides.")

    @group.command()
    def greet() -> None:
        typer.echo("hello from the fake")

    @group.command()
    def ask() -> None:
        typer.echo("how are you")

    app.add_typer(group, name="fake")
