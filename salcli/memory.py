"""Tells running out of memory from every other failure, on any device."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

__all__ = ["OutOfMemoryError", "shortage_told"]

TOLD = ("out of memory", "can't allocate memory", "not enough memory")
"""How Metal and the CPU allocator say it, in a plain RuntimeError."""


class OutOfMemoryError(Exception):
    """A step did not fit into memory; the message is the first line of the original's."""


@contextmanager
def shortage_told() -> Iterator[None]:
    """Raise `OutOfMemoryError` in place of any of the errors that mean it.

    Leave the handler of that error before trying again: until then, its context holds the tensors
    that filled the memory.
    """
    try:
        yield
    except Exception as error:
        if _is_shortage(error):
            raise OutOfMemoryError(str(error).partition("\n")[0]) from None
        raise


def _is_shortage(error: Exception) -> bool:
    if isinstance(error, RuntimeError) and any(text in str(error) for text in TOLD):
        return True
    return isinstance(error, torch.OutOfMemoryError | MemoryError)
