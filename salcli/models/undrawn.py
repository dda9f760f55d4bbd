"""Networks that are built for weights of a file, without the time for drawing their first ones."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

__all__ = ["Undrawn", "is_filled"]

DRAWING = {
    *("normal_", "uniform_", "trunc_normal_"),
    *("kaiming_normal_", "kaiming_uniform_", "xavier_normal_", "xavier_uniform_"),
}
"""Functions of PyTorch that draw weights, of tensors and of `torch.nn.init`."""


class Undrawn(TorchFunctionMode):
    """Within it, weights that would be drawn at random become NaN instead, which is much faster."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        known = dict(kwargs or {})
        if getattr(func, "__name__", "") not in DRAWING:
            return func(*args, **known)
        with torch.no_grad():
            return (args[0] if args else known["tensor"]).fill_(math.nan)


def is_filled(network: nn.Module) -> bool:
    """Whether no weight is NaN any more."""
    return not any(part.isnan().any() for part in chain(network.parameters(), network.buffers()))
