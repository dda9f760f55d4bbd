"""The optimiser of the published code, which ran on PyTorch before version 1.7."""

from __future__ import annotations

from collections.abc import Callable

import torch

__all__ = ["EarlySGD"]


class EarlySGD(torch.optim.SGD):
    """SGD in which a parameter that a batch does not touch has the gradient zero.

    So it still moves by momentum and weight decay; today it would stay.
    """

    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override] # torch's own is overloaded
        """One update of every parameter that is trained; `closure` recomputes the loss."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.requires_grad and parameter.grad is None:
                    parameter.grad = torch.zeros_like(parameter)
        loss: float | None = super().step(closure)
        return loss
