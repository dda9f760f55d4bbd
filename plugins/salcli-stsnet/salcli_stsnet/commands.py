"""`salcli stsnet`: export weights for Caffe, and join single streams into two-stream nets."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias, cast

import typer

if TYPE_CHECKING:
    from salcli.authoring import Checkpoint
    from salcli_stsnet import Net
    from salcli_stsnet.model import Stsnet

__all__ = ["app"]

app = typer.Typer(
    no_args_is_help=True, help="Export STSNet's weights for Caffe, and join two streams."
)

TwoStreams: TypeAlias = Literal["stsavgnet", "stsmaxnet", "stsconvnet"]


@app.command()
def export(
    weights: Annotated[
        Path, typer.Argument(metavar="FILE", help="Weights of any net, in any format.")
    ],
    output: Annotated[Path, typer.Argument(metavar="OUTPUT", help="A .caffemodel file.")],
) -> None:
    """Write weights as a .caffemodel file, as Caffe does."""
    from salcli_stsnet import caffewriter
    from salcli_stsnet.model import Stsnet

    saved = Stsnet.read(weights)
    model = _created(saved.options["net"])
    model.load(saved)
    caffewriter.write(output, model.network)
    typer.echo(output)


@app.command()
def join(
    frame: Annotated[Path, typer.Argument(metavar="FRAME", help="Weights of an ssnet.")],
    flow: Annotated[Path, typer.Argument(metavar="FLOW", help="Weights of a tsnet.")],
    output: Annotated[Path, typer.Argument(metavar="OUTPUT", help="A .safetensors file.")],
    net: Annotated[
        TwoStreams,
        typer.Option(
            help="stsavgnet, the mean of both, is complete; the others are a start for training."
        ),
    ] = "stsavgnet",
) -> None:
    """Join two single streams into a two-stream net."""
    import dataclasses

    from salcli.authoring import checkpoint
    from salcli_stsnet.joining import joined

    one, two = _stream(frame), _stream(flow)
    model = _created(net)
    state = joined(model.network, one.state, two.state)
    checkpoint.load_strict(model.network, dataclasses.replace(one, state=state))
    checkpoint.save(output, state, metadata={"model": model.spec.name, "options": {"net": net}})
    typer.echo(output)


def _created(net: Net) -> Stsnet:
    from salcli.authoring import create
    from salcli_stsnet import STSNET
    from salcli_stsnet.model import Stsnet

    return cast(Stsnet, create(STSNET.name, defaults={"net": net}))


def _stream(path: Path) -> Checkpoint:
    from salcli import UsageError
    from salcli_stsnet.model import Stsnet
    from salcli_stsnet.network import SINGLE

    saved = Stsnet.read(path)
    if saved.options["net"] not in SINGLE:
        raise UsageError(f"'{path}' holds the net {saved.options['net']}, not a single stream")
    return saved
