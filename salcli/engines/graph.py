"""A model's network as a function of tensors alone, which other engines and files can hold."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

__all__ = ["Exportable", "RunNetwork", "difference", "examples"]

RunNetwork: TypeAlias = Callable[..., tuple[Tensor, ...]]
"""`run(*inputs, *states)` gives the outputs, then the states after."""

BATCH = 2
"""Of examples: an exporter takes a batch of 1 for a constant."""


@dataclass(frozen=True)
class Exportable:
    """A network whose inputs, states and outputs are explicit; see `Model.exportable`.

    Every tensor is float32, and its first dimension is that of the batch.

    Attributes:
        network: `network(*inputs, *states)` gives a tuple: outputs, then the states after.
        inputs: Shape of each input by name, without the batch.
        outputs: Names of the outputs.
        finish: `finish(*outputs)` gives the published maps `[N, H, W]`, in [0, 1].
        states: Shape of each state by name, without the batch. Zeros are what is before the first
            frame; each row of a batch is another recurrence.
        tolerance: The largest difference from the maps of PyTorch that another engine may make.
        facts: How to make the inputs of pictures, and whatever else a program without salcli must
            know; ready for JSON.
    """

    network: nn.Module
    inputs: Mapping[str, tuple[int, ...]]
    outputs: Sequence[str]
    finish: Callable[..., Tensor]
    states: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    tolerance: float = 1e-4
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def given(self) -> dict[str, tuple[int, ...]]:
        """Shape of each input and state."""
        return {**self.inputs, **self.states}

    @property
    def found(self) -> list[str]:
        """Names of the outputs, and of the states after."""
        return [*self.outputs, *(f"{name}_after" for name in self.states)]


def examples(exportable: Exportable, batch: int = BATCH) -> list[Tensor]:
    """Inputs and states `[batch, ...]`, always the same: noise, and zeros."""
    random = torch.Generator().manual_seed(0)
    inputs = [torch.randn(batch, *shape, generator=random) for shape in exportable.inputs.values()]
    return [*inputs, *(torch.zeros(batch, *shape) for shape in exportable.states.values())]


def difference(exportable: Exportable, other: RunNetwork, *, batch: int = BATCH) -> float:
    """The largest difference between the maps of two networks over two steps, NaN if any is NaN."""
    tensors, count = examples(exportable, batch), len(exportable.outputs)
    inputs, states = tensors[: len(exportable.inputs)], tensors[len(exportable.inputs) :]
    before, apart = (states, states), []
    for _ in range(2 if states else 1):
        found = exportable.network(*inputs, *before[0]), other(*inputs, *before[1])
        ours, theirs = (exportable.finish(*tensors[:count]) for tensors in found)
        apart.append((ours - theirs).abs().max().item())
        before = list(found[0][count:]), list(found[1][count:])
        inputs = [tensor.flip(0) for tensor in inputs]
    return math.nan if any(map(math.isnan, apart)) else max(apart)
