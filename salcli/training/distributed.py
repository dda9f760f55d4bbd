"""Several processes that train one network, as `torchrun` starts them; usually there is one.

Every process has the same weights and takes its share of each batch; `DistributedDataParallel`
averages the gradients. Process 0 alone writes and reports.

A recipe may go backward several times per batch, each pass a step of the optimiser. Then the passes
of all processes go side by side: step k takes the mean of the gradients of the k-th passes, over
those processes whose data have so many. All processes make every step, or their weights would part.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from datetime import timedelta
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from salcli.blame import failures_of
from salcli.devices import OutOfMemoryError
from salcli.errors import SalcliError
from salcli.models.model import Model
from salcli.types import Batch, Loss

__all__ = ["ALONE", "Ranks", "local_device", "started"]

T = TypeVar("T")

PATIENCE = timedelta(hours=2)
"""How long a process waits for the others: process 0 may be reading or validating."""


class Ranks:
    """This process among those that train together.

    Attributes:
        number: Of this process, from 0.
        count: Of the processes.
    """

    def __init__(self, number: int = 0, count: int = 1) -> None:
        self.number, self.count = number, count

    @property
    def share(self) -> tuple[int, int]:
        """`number` and `count`."""
        return self.number, self.count

    def wrap(self, model: Model) -> Losses:
        """What computes the losses of this process's share of a batch, averaging gradients."""
        if self.count == 1:
            return Losses(model)
        return SharedLosses(model, self)

    def gather(self, value: T) -> list[T]:
        """The value of every process, in order, for every process."""
        if self.count == 1:
            return [value]
        values: list[Any] = [None] * self.count
        distributed.all_gather_object(values, value)
        return values

    def mean(self, values: Sequence[Mapping[str, Tensor]]) -> list[dict[str, float]]:
        """Means of scalars over the processes, which all have the same names in the same order."""
        if not values:
            return []
        # Together, since each transfer would wait for the device.
        stacked = torch.stack(
            [value.detach().float() for part in values for value in part.values()]
        )
        if self.count > 1:
            distributed.all_reduce(stacked)
            stacked /= self.count
        numbers = iter(stacked.tolist())
        return [dict(zip(part, numbers, strict=False)) for part in values]

    def align(self, network: nn.Module) -> None:
        """Give all processes the buffers of process 0, such as statistics of batch norms."""
        for buffer in network.buffers() if self.count > 1 else ():
            distributed.broadcast(buffer, 0)

    def largest(self, value: int, device: torch.device) -> int:
        """The largest value among the processes."""
        if self.count == 1:
            return value
        tensor = torch.tensor(value, device=device)
        distributed.all_reduce(tensor, distributed.ReduceOp.MAX)
        return int(tensor)


ALONE = Ranks()


class Losses:
    """The losses of a batch, computed by this process alone."""

    def __init__(self, model: Model) -> None:
        self._model = model

    def __call__(self, batch: Batch, *, exchange: bool) -> Iterator[Loss]:
        """One loss per backward pass; without `exchange` gradients stay with this process."""
        return self._computed(batch)

    def _computed(self, batch: Batch) -> Iterator[Loss]:
        """What the model gives; its mistakes are its own.

        Raises:
            PluginError: The model failed.
            SalcliError: The batch does not fit into memory.
        """
        passes: Iterator[Loss] | None = None
        while True:
            try:
                with failures_of(f"model '{self._model.spec.name}'"):
                    passes = iter(self._model.losses(batch)) if passes is None else passes
                    loss = next(passes, None)
            except OutOfMemoryError as error:
                raise SalcliError(
                    f"out of memory on {self._model.device} ({error}); train with smaller batches "
                    "or shorter clips, or accumulate gradients"
                ) from error
            if loss is None:
                return
            yield loss


class SharedLosses(Losses):
    """The same, with gradients averaged over the processes during the backward pass."""

    def __init__(self, model: Model, ranks: Ranks) -> None:
        super().__init__(model)
        self._ranks = ranks
        self._trained: tuple[str, ...] = ()
        self._wrapped: DistributedDataParallel | None = None

    def __call__(self, batch: Batch, *, exchange: bool) -> Iterator[Loss]:
        """As many losses as the process that has most; a process without one gives zeros."""
        wrapped, own = self._current(), self._computed(batch)
        while True:
            loss = next(own, None)
            everyone = self._ranks.gather((loss.frames, tuple(loss.parts)) if loss else None)
            there = [each for each in everyone if each is not None]
            if not there:
                return
            frames, names = max(there)
            parts = loss.parts if loss else dict.fromkeys(names, self._nothing())
            share = len(everyone) / len(there)  # the others' zeros count in the mean of gradients
            with nullcontext() if exchange else wrapped.no_sync():
                shared = wrapped({name: share * value for name, value in parts.items()})
            yield Loss(shared, frames)

    def _current(self) -> DistributedDataParallel:
        """The wrapper for the parameters that are trained now: it keeps to those it first saw."""
        network = self._model.network
        trained = tuple(n for n, p in network.named_parameters() if p.requires_grad)
        if self._wrapped is None or trained != self._trained:
            self._trained, self._wrapped = trained, None  # the old one lets go of the parameters
            self._wrapped = DistributedDataParallel(_Passed(network), find_unused_parameters=True)
        return self._wrapped

    def _nothing(self) -> Tensor:
        """Zero, with gradients of zero."""
        trained = (p for p in self._model.network.parameters() if p.requires_grad)
        return 0 * next(trained).sum()


class _Passed(nn.Module):
    """Losses that were computed with a network as the output of a module: what is wrapped.

    It has no buffers, or each batch would bring those of process 0: `Ranks.align` does it in time.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.trained = nn.ParameterList(p for p in network.parameters() if p.requires_grad)

    def forward(self, parts: dict[str, Tensor]) -> dict[str, Tensor]:
        return parts


def local_device(name: str) -> str:
    """The device of this process, where `name` leaves it open and there is one for each."""
    if "WORLD_SIZE" not in os.environ or name not in ("auto", "cuda"):
        return name
    return f"cuda:{os.environ['LOCAL_RANK']}" if torch.cuda.is_available() else name


@contextmanager
def started(device: str) -> Iterator[Ranks]:
    """Join the processes that `torchrun` started, if it did.

    Raises:
        SalcliError: Another process ended, and what was under way cannot be finished.
    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        yield ALONE
        return
    if device.startswith("cuda"):
        torch.cuda.set_device(device)
    backend = "nccl" if device.startswith("cuda") else "gloo"
    distributed.init_process_group(backend, timeout=PATIENCE)
    try:
        yield Ranks(distributed.get_rank(), count)
    except RuntimeError as error:
        if not _is_loss_of_contact(error):
            raise
        raise SalcliError(
            "another process of this training ended, so that this one cannot go on; the same "
            "command resumes from the last checkpoint"
        ) from error
    finally:
        distributed.destroy_process_group()


def _is_loss_of_contact(error: RuntimeError) -> bool:
    text = str(error).lower()
    return isinstance(error, distributed.DistBackendError) or any(
        word in text for word in ("gloo", "nccl", "connection", "peer")
    )
