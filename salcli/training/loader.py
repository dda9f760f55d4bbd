"""Loads batches in this process, or in worker processes that live as long as the training."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from salcli.errors import SalcliError
from salcli.training.batches import Batches, BatchKey
from salcli.types import Batch

__all__ = ["Loader", "moved"]


def moved(batch: Batch, device: torch.device) -> Batch:
    """The batch on a device; from pinned memory, without waiting for it."""
    inputs, density, fixations = (
        tensor.to(device, non_blocking=True)
        for tensor in (batch.inputs, batch.density, batch.fixations)
    )
    return Batch(inputs, density, fixations, batch.domain)


class Loader:
    """Batches in order, prepared by persistent workers, which cache decoded frames.

    Args:
        batches: What is loaded.
        workers: Processes; with 0 this one prepares the batches.
        pinned: Whether batches lie in pinned memory, from which a GPU fetches them by itself.
    """

    def __init__(self, batches: Batches, *, workers: int, pinned: bool = False) -> None:
        self.batches, self._order = batches, _Order()
        self._loader = DataLoader(
            _Items(batches),
            batch_size=None,
            sampler=self._order,
            num_workers=workers,
            persistent_workers=workers > 0,
            pin_memory=pinned,
            worker_init_fn=_ignore_interrupts,
            # Its own, or starting it would draw from the generator that dropout uses.
            generator=torch.Generator(),
        )

    def epoch(self, epoch: int, *, start: int = 0) -> Iterator[Batch]:
        """The batches of an epoch from number `start` on.

        Raises:
            InputError: A file of a recording cannot be read.
            SalcliError: A worker died.
        """
        count = len(self.batches.plan(epoch))
        self._order.keys = [(epoch, index) for index in range(start, count)]
        try:
            for item in self._loader:
                if isinstance(item, SalcliError):
                    raise item
                yield Batch(*item)
        except RuntimeError as error:
            if "DataLoader worker" not in str(error):
                raise
            raise SalcliError(
                "a process that prepares batches died, perhaps for lack of memory; use fewer "
                "workers"
            ) from error


class _Order(Sampler[BatchKey]):
    """The keys of the batches that are loaded next."""

    def __init__(self) -> None:
        self.keys: Sequence[BatchKey] = ()

    def __iter__(self) -> Iterator[BatchKey]:
        return iter(self.keys)

    def __len__(self) -> int:
        return len(self.keys)


class _Items(Dataset[tuple[Tensor, Tensor, Tensor, str] | SalcliError]):
    """Batches as tuples, which PyTorch can pin, and errors as items.

    Raised in a worker, errors would arrive with a traceback inside.
    """

    def __init__(self, batches: Batches) -> None:
        self._batches = batches

    def __getitem__(self, key: BatchKey) -> tuple[Tensor, Tensor, Tensor, str] | SalcliError:
        try:
            batch = self._batches[key]
        except SalcliError as error:
            return error
        return batch.inputs, batch.density, batch.fixations, batch.domain


def _ignore_interrupts(_: int) -> None:
    """Leave Ctrl-C and signals to the whole job to the main process, which ends the workers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform != "win32":
        os.setpgrp()
