"""Caffe's stochastic gradient descent (Caffe 1.0, `SGDSolver`)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch.optim import Optimizer

__all__ = ["CaffeSGD"]


class CaffeSGD(Optimizer):
    """SGD whose momentum remembers steps, not gradients: `h = momentum h + lr g; w = w - h`.

    `torch.optim.SGD` multiplies by the rate after the momentum, so it differs for a few dozen steps
    whenever the rate changes. Weight decay is added to the gradient.

    Args:
        params: Parameters, or groups of them with their own `lr` and `weight_decay`.
        lr: Learning rate.
        momentum: Share of the last step that is repeated.
        weight_decay: Default for groups without their own.
    """

    def __init__(
        self, params: Iterable[Any], *, lr: float, momentum: float, weight_decay: float = 0.0
    ) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override] # torch's own is overloaded
        """One update of every parameter that has a gradient; `closure` recomputes the loss."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                gradient = parameter.grad.add(parameter, alpha=group["weight_decay"])
                state = self.state[parameter]
                if not state:
                    state["history"] = torch.zeros_like(parameter)
                history = state["history"]
                history.mul_(group["momentum"]).add_(gradient, alpha=group["lr"])
                parameter.sub_(history)
        return loss
