"""SalEMA, SalCLSTM and SalGAN as the papers describe them; attribute names are published keys.

Linardos et al., "Simple vs complex temporal recurrences for video saliency prediction", BMVC 2019.
Every network maps `(x, state)` to `(y, state)`: `x` `[B, T, 3, h, w]` is B runs of T consecutive
frames, `state` is that of the frames before (`None` if there were none), `y` `[B, T, 1, h, w]` is
in (0, 1). Layers before and after a recurrence see all frames in one batch, time first.

With `kernels` (see `prepared`), convolutions are computed with fewer operations and the same result
(`salcli_salema.convolutions`), and a cell's convolution of the input for all frames at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional

from salcli_salema.architecture import BOTTLENECK, LAST, LAYERS
from salcli_salema.convolutions import convolution
from salcli_salema.generator import Kernels, SalGANGenerator, make, no_bias

__all__ = ["AveragingStep", "DROPOUT", "SalCLSTM30", "SalCLSTM56", "SalEMA", "State", "start_cells"]

State: TypeAlias = tuple[Tensor, ...]
"""What a frame passes to the next: an average per layer, or a cell's hidden and cell state."""

DROPOUT = 0.5
SEED = 65
"""Seed of a cell's initial weights; the authors chose it among 100 for a plausible first map."""


def in_time_order(x: Tensor) -> Tensor:
    """`[B, T, C, h, w]` as `[T * B, C, h, w]`."""
    return x.transpose(0, 1).flatten(0, 1)


def by_run(x: Tensor, runs: int) -> Tensor:
    """`[T * B, C, h, w]` as `[B, T, C, h, w]`."""
    return x.view(-1, runs, *x.shape[1:]).transpose(0, 1)


def averaged(
    x: Tensor, before: Tensor | None, weight: Tensor | float, *, runs: int, rectified: bool
) -> tuple[Tensor, Tensor]:
    """The exponential moving average over time of `[T * B, C, h, w]`, and its last value.

    `S_t = w c_t + (1 - w) S_(t-1)`, and `S_t = c_t` for the first frame of a video (equation 1 of
    the paper). Computed in float32. A linear recurrence has a closed form, but this loop takes
    negligible time next to the convolutions, and equals frame-by-frame computation to the last bit.
    """
    averages = []
    for value in torch.split(x.float(), runs):
        current = value if before is None else weight * value + (1 - weight) * before
        before = current.relu() if rectified else current
        averages.append(before)
    if before is None:
        raise ValueError("there must be at least one frame")
    return (averages[0] if len(averages) == 1 else torch.cat(averages)).to(x.dtype), before


class SalEMA(nn.Module):
    """SalGAN's generator with moving averages after some of its layers; without any it is static.

    Args:
        places: Indices of the layers whose output is averaged over time, in ascending order.
        weights: Weight of the new value at each place. `None`: one learned weight, of which
            `alpha` is the logit.
        alpha: Initial value of a learned logit.
        residual: Whether the input of the averaged layer is added to the average.
    """

    def __init__(
        self,
        places: Sequence[int],
        *,
        weights: Sequence[float] | None,
        alpha: float = 0.25,
        residual: bool = False,
    ) -> None:
        super().__init__()
        if weights is None:
            self.alpha = nn.Parameter(torch.tensor([alpha]))
        self.places, self.weights, self.residual = tuple(places), weights, residual
        self.salgan = SalGANGenerator()

    def forward(
        self,
        x: Tensor,
        state: State | None = None,
        *,
        dropout: bool | Tensor = False,
        kernels: Kernels | None = None,
        last: int = LAST,
    ) -> tuple[Tensor, State]:
        """See the module; `last` is the layer whose output is wanted (section 3.2).

        `dropout` draws masks, or is factors `[T * B, C, 1, 1]` of the averaged layer's input.
        """
        runs, x = x.shape[0], in_time_order(x)
        first, states = 0, []
        for number, place in enumerate(self.places):
            if place > last:
                break
            x, around = self.layer(x, first, place, dropout=dropout, kernels=kernels)
            before = state[number] if state else None
            x, average = averaged(
                x, before, self.weight(number), runs=runs, rectified=self.rectified(place)
            )
            states.append(average)
            x = x if around is None else x + around
            first = place + 1
        x = self.salgan.run(x, first, last, kernels)
        return by_run(x, runs), tuple(states)

    def weight(self, number: int) -> Tensor | float:
        """The weight of the new value at a place."""
        if self.weights is None:
            return torch.sigmoid(self.alpha.float())
        return self.weights[number]

    def rectified(self, place: int) -> bool:
        """Whether the original's next layer, a ReLU in place, overwrites the state."""
        return place < BOTTLENECK and LAYERS[place].kind == "conv" and not self.residual

    def layer(
        self, x: Tensor, first: int, place: int, *, dropout: bool | Tensor, kernels: Kernels | None
    ) -> tuple[Tensor, Tensor | None]:
        """Layers `first` to `place`, and the input of the last for its residual connection."""
        if dropout is False and not self.residual:
            return self.salgan.run(x, first, place, kernels), None
        x = self.salgan.run(x, first, place - 1, kernels)
        around = x
        if isinstance(dropout, Tensor):
            x = x * dropout
        elif dropout:  # functional in the original: a new mask for every frame, in any mode
            x = functional.dropout2d(x, DROPOUT)
        elif place < BOTTLENECK and LAYERS[place].kind == "relu":
            around = x.relu()  # the original's ReLU works in place, on the residual's own memory
        x = self.salgan.run(x, place, place, kernels)
        return x, around if self.residual else None

    def prepared(self) -> Kernels:
        """Everything that depends only on the weights, computed once for a prediction."""
        return self.salgan.kernels()


class AveragingStep(nn.Module):
    """SalEMA with one average as a function of tensors, for one frame of each run.

    `begun` is 0 before the first frame, whose value is taken as it is, and 1 after it.
    """

    def __init__(self, network: SalEMA) -> None:
        super().__init__()
        self.network = network

    def forward(self, frames: Tensor, average: Tensor, begun: Tensor) -> tuple[Tensor, ...]:
        """Maps `[B, 1, h, w]` of frames `[B, 3, h, w]`, the average, and ones `[B, 1, 1, 1]`."""
        x, around = self.before(frames)
        weight = 1 - begun * (1 - self.network.weight(0))
        average = weight * x + (1 - weight) * average
        (place,) = self.network.places
        if self.network.rectified(place):
            average = average.relu()
        y = average if around is None else average + around
        return self.network.salgan.run(y, place + 1, LAST, None), average, torch.ones_like(begun)

    def before(self, frames: Tensor) -> tuple[Tensor, Tensor | None]:
        """What is averaged, and the input of that layer for its residual connection."""
        return self.network.layer(frames, 0, self.network.places[0], dropout=False, kernels=None)


def cells(
    x: Tensor, state: State | None, gates: nn.Conv2d, *, runs: int, kernels: Kernels | None
) -> tuple[Tensor, State]:
    """A convolutional LSTM without peepholes over `[T * B, C, h, w]`.

    Returns:
        The cell state of every frame, which feeds the decoder instead of the hidden state; and the
        last hidden and cell state.
    """
    shape = (runs, gates.out_channels // 4, *x.shape[-2:])
    hidden, cell = state or (x.new_zeros(shape), x.new_zeros(shape, dtype=torch.float32))
    known = None if kernels is None else kernels["x"](x)
    found = []
    for t, value in enumerate(torch.split(x if known is None else known, runs)):
        if kernels is None:
            value = gates(torch.cat([value, hidden], dim=1))
        elif state is not None or t > 0:  # a convolution of zeros is zero
            value = value + kernels["h"](hidden)
        enter, forget, leave, candidate = value.float().chunk(4, dim=1)
        cell = forget.sigmoid() * cell + enter.sigmoid() * candidate.tanh()
        hidden = (leave.sigmoid() * cell.tanh()).to(x.dtype)
        found.append(cell.to(x.dtype))
    return torch.cat(found), (hidden, cell)


def gate_kernels(gates: nn.Conv2d) -> Kernels:
    """The convolution of `[x, h]` as one of x, for all frames at once, and one of h."""
    channels = gates.in_channels // 2
    halves = torch.split(gates.weight.detach(), channels, dim=1)
    return {
        name: convolution(half, bias, padding=1)
        for name, half, bias in zip("xh", halves, (gates.bias, None), strict=True)
    }


def start_cells(convolutions: Sequence[nn.Conv2d]) -> None:
    """Xavier normal weights, as the authors drew them, and no bias."""
    generator = torch.Generator().manual_seed(SEED)
    for conv in convolutions:
        nn.init.xavier_normal_(conv.weight, generator=generator)
        no_bias(conv)


class SalCLSTM30(nn.Module):
    """A convolutional LSTM between encoder and decoder.

    Args:
        residual: Whether the encoder's output is added to the cell.
    """

    def __init__(self, *, residual: bool = False) -> None:
        super().__init__()
        self.residual = residual
        self.salgan = SalGANGenerator()
        self.Gates = nn.Conv2d(2 * 512, 4 * 512, 3, padding=1)
        start_cells([self.Gates])

    def forward(
        self,
        x: Tensor,
        state: State | None = None,
        *,
        kernels: Kernels | None = None,
        last: int = LAST,
    ) -> tuple[Tensor, State]:
        """See the module; `last` is the layer whose output is wanted."""
        runs, x = x.shape[0], in_time_order(x)
        if last < BOTTLENECK:
            return by_run(self.salgan.run(x, 0, last, kernels), runs), ()
        x = encoded = self.salgan.run(x, 0, BOTTLENECK - 1, kernels)
        x, state = cells(x, state, self.Gates, runs=runs, kernels=kernels)
        x = x + encoded if self.residual else x
        return by_run(self.salgan.run(x, BOTTLENECK, last, kernels), runs), state

    def prepared(self) -> Kernels:
        """Everything that depends only on the weights, computed once for a prediction."""
        return {**self.salgan.kernels(), **gate_kernels(self.Gates)}


class SalCLSTM56(nn.Module):
    """A convolutional LSTM at full resolution, before the last three convolutions."""

    CUT = 56

    def __init__(self) -> None:
        super().__init__()
        self.salgan = SalGANGenerator(LAYERS[: self.CUT])
        self.Gates = nn.Conv2d(2 * 128, 4 * 128, 3, padding=1)
        self.final_convs = nn.Sequential(*map(make, LAYERS[self.CUT :]))
        convolutions = [layer for layer in self.final_convs if isinstance(layer, nn.Conv2d)]
        start_cells([self.Gates, *convolutions])

    def forward(
        self,
        x: Tensor,
        state: State | None = None,
        *,
        kernels: Kernels | None = None,
        last: int = LAST,
    ) -> tuple[Tensor, State]:
        """See the module; `last` is the layer whose output is wanted, below 56 or the last."""
        runs, x = x.shape[0], in_time_order(x)
        x = self.salgan.run(x, 0, min(last, self.CUT - 1), kernels)
        if last < self.CUT:
            return by_run(x, runs), ()
        x, state = cells(x, state, self.Gates, runs=runs, kernels=kernels)
        return by_run(self.final_convs(x), runs), state

    def prepared(self) -> Kernels:
        """Everything that depends only on the weights, computed once for a prediction."""
        return {**self.salgan.kernels(), **gate_kernels(self.Gates)}
