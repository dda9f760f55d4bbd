"""`salcli unisal measure`: run time and size of the network, as UNISAL's code measures them."""

from __future__ import annotations

import io
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from salcli.authoring import Device
from salcli_unisal import Domain

if TYPE_CHECKING:
    from salcli_unisal.network import UNISAL

__all__ = ["group"]

group = typer.Typer(no_args_is_help=True, help="Measure UNISAL's network.")

TYPICAL = {"SALICON": (480, 640)}
"""(H, W) of the frames of a domain, where they are not DHF1K's."""


@group.callback()
def _only_group() -> None:
    """Keep `measure` a command of its own, though it is alone."""


@group.command()
def measure(
    domain: Annotated[
        Domain, typer.Option(help="Domain, and dataset whose input size is used.")
    ] = "DHF1K",
    frames: Annotated[
        int, typer.Option("--frames", "-n", min=1, metavar="N", help="Frames that are timed.")
    ] = 20,
    device: Device = "auto",
) -> None:
    """Time single frames with a carried state, and say how large the network is.

    Frames go through the network one by one, at its input size; reading, resizing and writing are
    not timed, unlike in 'salcli bench'. Without --device, the CPU is timed as well as a GPU. The
    network is untrained, since weights change neither time nor size.
    """
    import torch

    from salcli.authoring import create, devices
    from salcli_unisal.model import DHF1K_FRAME, input_size
    from salcli_unisal.network import UNISAL

    network = create("unisal", defaults={}).network.eval()
    assert isinstance(network, UNISAL)
    chosen = devices.choose(device)
    places = [chosen, torch.device("cpu")] if device == "auto" else [chosen]
    size = input_size(TYPICAL.get(domain, DHF1K_FRAME), domain)
    for place in dict.fromkeys(places):
        found = _seconds(network.to(place), size, domain=domain, frames=frames)
        mean = sum(found) / frames
        times = " ".join(
            f"{name} {1000 * value:.1f} ms"
            for name, value in (("mean", mean), ("best", min(found)), ("worst", max(found)))
        )
        typer.echo(f"{place}, {size[0]}x{size[1]}, {frames} frames: {times}, {1 / mean:.1f} fps")
    network.to("cpu")
    parameters = sum(parameter.numel() for parameter in network.parameters())
    typer.echo(
        f"{parameters:,} parameters; state dict {_megabytes(network.state_dict()):.2f} MB, "
        f"whole object {_megabytes(network):.2f} MB"
    )


def _seconds(network: UNISAL, size: tuple[int, int], *, domain: Domain, frames: int) -> list[float]:
    """How long each frame takes, after one that is not counted."""
    import torch

    place = next(network.parameters()).device
    x = torch.rand(1, 1, 3, *size, device=place)
    state, found = None, []
    for _ in range(frames + 1):
        start = time.perf_counter()
        with torch.inference_mode():
            density, state = network(x, state, domain=domain, static=domain == "SALICON")
        density.sum().item()  # waits for the device
        found.append(time.perf_counter() - start)
    return found[1:]


def _megabytes(saved: Any) -> float:
    """Size of what `torch.save` writes."""
    import torch

    content = io.BytesIO()
    torch.save(saved, content)
    return len(content.getbuffer()) / 1e6
