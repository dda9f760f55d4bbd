"""The encoder: PNASNet-5-Large (Liu et al., "Progressive Neural Architecture Search", ECCV 2018).

Attribute names are the published state-dict keys, those of the PyTorch port that TempSAL builds on.
Where that port rectifies or pools the same tensor several times in a cell, here it is done once,
which gives the same numbers.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["PNASNet5Large"]

EPSILON = 1e-3
"""Epsilon of every batch norm, as in the TensorFlow original."""

FIRST = 96
"""Channels of the first convolution."""

STEMS = (54, 108)
"""Filters of the two stem cells, which halve resolution."""

CELLS = (216, 432, 864)
"""Filters of four cells each; the first of the second and of the third four halves resolution."""


def norm(channels: int) -> nn.BatchNorm2d:
    """A batch norm as in the TensorFlow original."""
    return nn.BatchNorm2d(channels, eps=EPSILON)


def pointwise(cin: int, cout: int, *, stride: int = 1) -> nn.Conv2d:
    """A 1x1 convolution without bias."""
    return nn.Conv2d(cin, cout, 1, stride=stride, bias=False)


class ReluConvNorm(nn.Module):
    """ReLU, 1x1 convolution, batch norm: `[N, cin, h, w]` -> `[N, cout, h / stride, w / stride]`.

    With `rectified`, the input has been through the ReLU already.
    """

    def __init__(self, cin: int, cout: int, *, stride: int = 1, rectified: bool = False) -> None:
        super().__init__()
        first = nn.Identity() if rectified else nn.ReLU()
        self.op = nn.Sequential(first, pointwise(cin, cout, stride=stride), norm(cout))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.op(x)
        return y


class Separable(nn.Module):
    """Two depthwise-separable k x k convolutions, with a ReLU between.

    The published module begins with a ReLU, too; the cell rectifies its input only once.
    """

    def __init__(self, cin: int, cout: int, *, k: int, stride: int = 1) -> None:
        super().__init__()

        def depthwise(channels: int, stride: int) -> nn.Conv2d:
            return nn.Conv2d(
                channels, channels, k, stride, padding=k // 2, groups=channels, bias=False
            )

        self.op = nn.Sequential(
            nn.Identity(),
            depthwise(cin, stride),
            pointwise(cin, cout),
            norm(cout),
            nn.ReLU(),
            depthwise(cout, 1),
            pointwise(cout, cout),
            norm(cout),
        )

    def forward(self, rectified: Tensor) -> Tensor:
        """`[N, cin, h, w]`, not negative -> `[N, cout, h / stride, w / stride]`."""
        y: Tensor = self.op(rectified)
        return y


class FactorizedReduction(nn.Module):
    """Halves resolution by two 1x1 convolutions of stride 2, the second shifted by one pixel."""

    def __init__(self, cin: int, cout: int) -> None:
        super().__init__()
        self.conv_1 = pointwise(cin, cout // 2, stride=2)
        self.conv_2 = pointwise(cin, cout // 2, stride=2)
        self.bn = norm(cout)

    def forward(self, x: Tensor) -> Tensor:
        """`[N, cin, h, w]` -> `[N, cout, ceil(h / 2), ceil(w / 2)]`."""
        x = functional.relu(x)
        shifted = functional.pad(x, (0, 1, 0, 1))[:, :, 1:, 1:]
        y: Tensor = self.bn(torch.cat([self.conv_1(x), self.conv_2(shifted)], dim=1))
        return y


class Cell(nn.Module):
    """The cell that the search found (figure 1 of the paper): five sums of two operations each.

    Operations are numbered as in the port: `_ops.2k` and `_ops.2k+1` are added.
    """

    def __init__(
        self, before: int, previous: int, filters: int, *, halves: bool, preprocess0: nn.Module
    ) -> None:
        super().__init__()
        stride = 2 if halves else 1
        narrow = before if isinstance(preprocess0, nn.Identity) else filters
        self.stride = stride
        self.preprocess0 = preprocess0
        self.preprocess1 = ReluConvNorm(previous, filters)
        pooled: nn.Module = nn.Identity()
        if narrow != filters:
            pooled = nn.Sequential(nn.Identity(), pointwise(narrow, filters), norm(filters))
        skipped: nn.Module = nn.Identity()
        if halves:
            skipped = ReluConvNorm(filters, filters, stride=2, rectified=True)
        self._ops = nn.ModuleList(
            [
                Separable(narrow, filters, k=5, stride=stride),
                pooled,
                Separable(filters, filters, k=7, stride=stride),
                nn.Identity(),
                Separable(filters, filters, k=5, stride=stride),
                Separable(filters, filters, k=3, stride=stride),
                Separable(filters, filters, k=3),
                nn.Identity(),
                Separable(narrow, filters, k=3, stride=stride),
                skipped,
            ]
        )

    def forward(self, before: Tensor, previous: Tensor) -> Tensor:
        """The outputs of the previous two cells -> `[N, 5 filters, h, w]`."""
        ops = self._ops
        s0, s1 = self.preprocess0(before), self.preprocess1(previous)
        r0, r1 = functional.relu(s0), functional.relu(s1)
        p0, p1 = (functional.max_pool2d(s, 3, self.stride, padding=1) for s in (s0, s1))
        s2 = ops[0](r0) + ops[1](p0)
        s3 = ops[2](r1) + p1
        s4 = ops[4](r1) + ops[5](r1)
        s5 = ops[6](functional.relu(s4)) + p1
        s6 = ops[8](r0) + ops[9](r1 if self.stride == 2 else s1)
        return torch.cat([s2, s3, s4, s5, s6], dim=1)


class PNASNet5Large(nn.Module):
    """Twelve cells after two stems; the classifier of the published files is left out."""

    def __init__(self) -> None:
        super().__init__()
        self.conv0 = nn.Conv2d(3, FIRST, 3, stride=2, bias=False)
        self.conv0_bn = norm(FIRST)
        first, second = STEMS
        self.stem1 = Cell(FIRST, FIRST, first, halves=True, preprocess0=nn.Identity())
        before, previous = FIRST, 5 * first
        reduction: nn.Module = FactorizedReduction(before, second)
        self.stem2 = Cell(before, previous, second, halves=True, preprocess0=reduction)
        before, previous, halved = previous, 5 * second, True
        cells = []
        for index in range(4 * len(CELLS)):
            filters, halves = CELLS[index // 4], index in (4, 8)
            join = FactorizedReduction if halved else ReluConvNorm
            cells.append(
                Cell(before, previous, filters, halves=halves, preprocess0=join(before, filters))
            )
            before, previous, halved = previous, 5 * filters, halves
        self.cells = nn.ModuleList(cells)

    def stage_names(self) -> list[str]:
        """The first convolution, its batch norm, and the cells, in the order in which they run."""
        cells = (f"cells.{index}" for index in range(len(self.cells)))
        return ["conv0", "conv0_bn", "stem1", "stem2", *cells]

    def stages(self) -> list[nn.Module]:
        """The modules of `stage_names`."""
        return [self.get_submodule(name) for name in self.stage_names()]

    def forward(self, x: Tensor, begun: Sequence[Tensor] = ()) -> list[Tensor]:
        """The outputs of all 15 stages; the first convolution and its batch norm are one.

        Args:
            x: `[N, 3, h, w]` in [-1, 1], sides multiples of 32.
            begun: Outputs of the first stages, if already computed.
        """
        outputs = list(begun) or [self.conv0_bn(self.conv0(x))]
        for index, cell in enumerate((self.stem1, self.stem2, *self.cells), start=1):
            if index >= len(outputs):
                outputs.append(cell(outputs[max(index - 2, 0)], outputs[index - 1]))
        return outputs
