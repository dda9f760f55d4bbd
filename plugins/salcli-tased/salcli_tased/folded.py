"""TASED-Net for prediction: norms folded into the convolutions, applied slice by slice."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate

from torch import Tensor

from salcli_tased import folding, layers
from salcli_tased.layers import Slices
from salcli_tased.levels import Compute
from salcli_tased.network import Mixed, TasedNet

__all__ = ["Encoded", "Folded", "FoldedMixed"]


class FoldedMixed:
    """An Inception block in two parts: the one needs single slices only, the other joins slices."""

    def __init__(self, block: Mixed) -> None:
        self.plain = folding.unit(block.branch0[0])
        self.reduced1 = folding.unit(block.branch1[0])
        self.spatial1, self.temporal1 = folding.separable(block.branch1[1])
        self.reduced2 = folding.unit(block.branch2[0])
        self.spatial2, self.temporal2 = folding.separable(block.branch2[1])
        self.pooled = folding.unit(block.branch3[1])

    def parts(self, x: Tensor) -> dict[str, Tensor]:
        """The four branches' outputs for single slices `[..., H, W, C]`."""
        return {
            "plain": layers.convolve(x, self.plain),
            "branch1": layers.convolve(layers.convolve(x, self.reduced1), self.spatial1),
            "branch2": layers.convolve(layers.convolve(x, self.reduced2), self.spatial2),
            "pooled": layers.neighbours(x, stride=1),
        }

    def output(self, slices: Slices) -> Tensor:
        """The block's output `[moments, n, H, W, C]` from the parts of neighbouring slices."""
        pooled = layers.convolve(layers.largest(slices("pooled")), self.pooled)
        widths = [layer.width for layer in (self.plain, self.temporal1, self.temporal2)]
        out = pooled.new_empty(*pooled.shape[:-1], sum(widths) + self.pooled.width)
        plain, branch1, branch2, last = out.tensor_split(list(accumulate(widths)), dim=-1)
        for result, (_, x, _) in zip(plain, slices("plain"), strict=True):
            assert x is not None  # for the type checker: the middle one is never padding
            result.copy_(x)
        layers.join(slices("branch1"), self.temporal1, branch1)
        layers.join(slices("branch2"), self.temporal2, branch2)
        last.copy_(pooled)
        return out.relu_()


@dataclass(frozen=True)
class Encoded:
    """What the encoder passes to the decoder; slices `[4, n, H, W, C]`.

    Attributes:
        y0: Output of the last block.
        i2, i1, i0: Switches.
        size2, size1: `(H, W)` that i2 and i1 point into.
    """

    y0: Tensor
    i2: Tensor
    i1: Tensor
    i0: Tensor
    size2: tuple[int, int]
    size1: tuple[int, int]


class Folded:
    """A TASED-Net whose norms are folded into its convolutions, applied slice by slice."""

    def __init__(self, network: TasedNet) -> None:
        stem, _, point, front = network.base1
        self.stem, self.stem_over_time = folding.separable(stem)
        self.point = folding.unit(point)
        self.front, self.front_over_time = folding.separable(front)
        blocks = [*network.base2, *network.base3, *network.base4]
        self.mixed = [FoldedMixed(block) for block in blocks if isinstance(block, Mixed)]
        one, two = network.convtsp1, network.convtsp2
        three, four = network.convtsp3, network.convtsp4
        self.point1 = folding.spatial(one[0], one[1])
        self.up1 = folding.mirrored(one[3], one[4])
        self.up2 = folding.mirrored(two[0], two[1])
        self.up3 = folding.mirrored(three[0], three[1])
        self.up4 = folding.transposed(four[0], four[1])
        self.pairs4 = folding.temporal(four[3], four[4])
        self.point4 = folding.mirrored(four[6], four[7])
        self.pairs5 = folding.temporal(four[9], four[10])
        self.last = folding.composed(four[12], four[13])

    def frame(self, frames: Tensor) -> Tensor:
        """The stem's output for single frames `[n, 3, h, w]`: `[n, H, W, 64]`."""
        return layers.convolve(frames.permute(0, 2, 3, 1), self.stem, stride=2)

    def stem_slices(self, slices: Slices) -> dict[str, Tensor]:
        """Up to the spatial convolution of the last layer of `base1`."""
        x = layers.neighbours(layers.joined(slices("frame"), self.stem_over_time), stride=2)
        return {"u": layers.convolve(layers.convolve(x, self.point), self.front)}

    def front_slices(self, slices: Slices) -> dict[str, Tensor]:
        """y3, and the parts of Mixed_3b for single slices."""
        y3 = layers.joined(slices("u"), self.front_over_time)
        return {"y3": y3, **self.mixed[0].parts(layers.neighbours(y3, stride=2))}

    def next_slices(self, number: int) -> Compute:
        """From the parts of one block to those of the next."""
        return lambda slices: self.mixed[number + 1].parts(self.mixed[number].output(slices))

    def y2_slices(self, slices: Slices) -> dict[str, Tensor]:
        """The output of Mixed_3c, whole and pooled over space."""
        y2 = self.mixed[1].output(slices)
        return {"y2": y2, "pooled": layers.neighbours(y2, stride=2)}

    def half_slices(self, slices: Slices) -> dict[str, Tensor]:
        """The parts of Mixed_4b for single slices."""
        return self.mixed[2].parts(layers.largest(slices("pooled")))

    def y1_slices(self, slices: Slices) -> dict[str, Tensor]:
        """The output of Mixed_4f."""
        return {"y1": self.mixed[6].output(slices)}

    def pooled_slices(self, slices: Slices) -> dict[str, Tensor]:
        """The parts of Mixed_5b for single slices, and the switches i0."""
        pooled, i0 = layers.quarters(layers.largest(slices("y1")))
        return {"i0": i0, **self.mixed[7].parts(pooled)}

    def y0_slices(self, slices: Slices) -> dict[str, Tensor]:
        """The output of Mixed_5c."""
        return {"y0": self.mixed[8].output(slices)}

    def decode(self, encoded: Encoded) -> Tensor:
        """Saliency maps `[n, h, w]` in [0, 1]."""
        z = layers.convolve(layers.convolve(encoded.y0, self.point1), self.up1)
        z = layers.convolve(layers.unquarter(z.flatten(0, 1), encoded.i0.flatten(0, 1)), self.up2)
        z = layers.convolve(layers.unpool(z, encoded.i1.flatten(0, 1), encoded.size1), self.up3)
        z = layers.double(layers.unpool(z, encoded.i2.flatten(0, 1), encoded.size2), self.up4)
        a, b, c, d = z.relu_().view(*encoded.y0.shape[:2], *z.shape[1:])
        z = layers.convolve(layers.joined([[a, b], [c, d]], self.pairs4), self.point4)
        z = layers.joined([[z[0], z[1]]], self.pairs5)
        return layers.double(z[0], self.last)[..., 0].sigmoid()
