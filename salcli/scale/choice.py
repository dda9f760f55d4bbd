"""Who does the work instead of this process: others of this machine, or a cluster."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from salcli import devices
from salcli.scale.cluster import Cluster
from salcli.scale.executor import Executor
from salcli.scale.processes import Processes, devices_for

__all__ = ["Workforce", "choose"]


@dataclass(frozen=True)
class Workforce:
    """Who works, and how the model is loaded in this process, which hands out the work.

    Attributes:
        executor: Does the work.
        device: Where this process loads the model.
        batch_size: That of all workers, unless the user says otherwise; `None` for the usual one of
            the device.
    """

    executor: Executor
    device: str
    batch_size: int | None = None


def choose(
    device: str,
    named: Sequence[str],
    *,
    workers: int | None,
    cluster: str | None,
    quiet: bool,
    verbose: bool,
) -> Workforce:
    """The workers that the user wants.

    Args:
        device: Of every worker, unless several are named.
        named: Devices of the workers; may be empty.
        workers: How many; 0 for as many as fit, `None` for one on each named device.
        cluster: Address of a cluster.
        quiet: Whether workers log errors only.
        verbose: Whether they log what they do.

    Raises:
        UsageError: There is no such device or cluster.
    """
    if cluster is not None:
        crew = Cluster(cluster, workers=workers or 0, device=device)
        batch_size = devices.ACCELERATOR_BATCH if crew.accelerated else devices.CPU_BATCH
        return Workforce(crew, "cpu", batch_size)
    wanted = len(named) if workers is None else workers or None
    places = devices_for(wanted, named=named or [device], available=devices.available())
    return Workforce(Processes(places, quiet=quiet, verbose=verbose), places[0])
