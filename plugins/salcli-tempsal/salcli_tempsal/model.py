"""TempSAL's preprocessing, prediction and training."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Literal, TypeAlias, TypeVar

import torch
from torch import Tensor

from salcli import (
    Batch,
    Frame,
    Loss,
    ParameterGroup,
    Prediction,
    Recipe,
    Source,
    Stimulus,
    UsageError,
)
from salcli.authoring import (
    MINUS_ONE_TO_ONE,
    Checkpoint,
    Exportable,
    Model,
    checkpoint,
    fuse,
    in_order,
    losses,
    on_one_core,
    prefetch,
    resized,
)
from salcli_tempsal import Options, maps, published
from salcli_tempsal.backbones import BackboneBranch
from salcli_tempsal.network import ImageBranch, Maps, Plain, SimpleMixing, SliceBranch, TempSAL

T = TypeVar("T")

logger = logging.getLogger(__name__)

SLICES = 5
"""Number of slices of the published network: one per second."""

Network: TypeAlias = TempSAL | SimpleMixing | SliceBranch | ImageBranch | BackboneBranch

FOREVER = 10**9
"""More epochs than any training has."""

OWN_SIZE = 0
"""Keep the ground truth's size: SALICON's images all have one size, and `losses` resizes them."""

IMAGE = Recipe(
    epochs=40,
    batch_size=32,
    optimiser="adam",
    learning_rate=1e-4,
    losses={"kld": 1.0, "cc": -1.0},
    groups=(ParameterGroup("pnas.", encoder=True), ParameterGroup("encoder.", encoder=True)),
    select="CC",
    sources=(Source("salicon", truth_size=OWN_SIZE),),
)
TEMPORAL = dataclasses.replace(
    IMAGE,
    epochs=10,
    truth="brightness",
    sources=(Source("salicon-slices", truth_size=OWN_SIZE),),
)
"""Brightness: maps normalised to sum to 1 would hide each slice's share of the fixations."""

MIXING = dataclasses.replace(
    IMAGE,
    epochs=30,
    learning_rate=1e-5,
    groups=(ParameterGroup("pnas", frozen_epochs=FOREVER),),
    select="loss",
)
"""The best epoch has the highest CC - KL, which is the lowest loss if no other term is weighed."""


class TempSal(Model):
    """The full network, or one of its two branches."""

    runs_in_engines = True
    options: Options
    network: Network

    def build(self) -> Network:
        """The network that the options ask for."""
        if self._wanted == "image":
            other = self.options.encoder != "pnasnet5"
            return BackboneBranch(self.options.encoder) if other else ImageBranch()
        if self._wanted == "simple":
            return SimpleMixing(self._slices)
        return SliceBranch(self._slices) if self._wanted == "slices" else TempSAL(self._slices)

    @property
    def _wanted(self) -> Literal["full", "simple", "slices", "image"]:
        """What to build; `auto` is resolved only once a file has been read."""
        if self.options.encoder != "pnasnet5":
            return "image"
        return "full" if self.options.network == "auto" else self.options.network

    @property
    def _slices(self) -> int:
        return self.options.slices or SLICES

    def load(self, saved: Checkpoint) -> None:
        """Load the network that the file holds, unless the options choose another.

        Raises:
            WeightsError: The file does not hold that network.
        """
        if not isinstance(self.network, BackboneBranch):
            self._become(saved)
        self._fill(saved)
        if isinstance(self.network, TempSAL) and self.options.share_encoder == "auto":
            _tell(self.network.share(), len(self.network.pnas_vol.pnas.stages()) - 1)

    def start_from(self, saved: Checkpoint) -> None:
        """Whole networks, a branch of the full one, and PNASNet-5-Large trained on ImageNet.

        The encoder's file may have the original's names or timm's; another encoder's is
        torchvision's. What mixes two branches can also start from branches of another such network,
        or joined by `salcli tempsal join`; the mixing module then keeps its initial values.
        """
        if isinstance(self.network, BackboneBranch):
            self.network.start_from(saved)
            return
        found, branches = published.content(saved), self._branches()
        if found == "encoder":
            for branch in branches:
                checkpoint.load_strict(branch.pnas, published.encoder(saved))
        elif found in ("full", "simple", "branches") and found != self._wanted and branches[1:]:
            checkpoint.load_strict(branches[0], published.branch(saved, "slices"))
            checkpoint.load_strict(branches[1], published.branch(saved, "image"))
        else:
            self._fill(saved)

    def to(self, device: torch.device, precision: torch.dtype) -> None:
        """Move the network, in its fastest memory layout; this changes maps by 2e-5 at most."""
        super().to(device, precision)
        if device.type in ("cpu", "cuda"):
            self.network.to(memory_format=torch.channels_last)

    def freeze(self) -> None:
        """From now on, the network can only predict: its layers are fused, in place."""
        fuse(self.network)

    def _become(self, saved: Checkpoint) -> None:
        """Resolve options that are left open from what the file holds."""
        found = published.content(saved)
        built = (self._wanted, self._slices)
        if self.options.network == "auto" and found != "encoder" and found != "branches":
            self.options = dataclasses.replace(self.options, network=found)
        if self.options.slices is None:
            self.options = dataclasses.replace(self.options, slices=published.slices(saved))
        if built != (self._wanted, self._slices):
            self.network = self.build()

    def _fill(self, saved: Checkpoint) -> None:
        if not isinstance(self.network, BackboneBranch):
            saved = published.branch(saved, self._wanted)
        checkpoint.load_strict(self.network, saved)

    def _branches(self) -> list[SliceBranch | ImageBranch]:
        """Of slices and of the whole time, or the only one; none with another encoder."""
        if isinstance(self.network, TempSAL):
            return [self.network.pnas_vol, self.network.pnas_sal]
        if isinstance(self.network, SimpleMixing):
            return [self.network.pnas_vol, self.network.pnas]
        return [] if isinstance(self.network, BackboneBranch) else [self.network]

    @property
    def cpu_batch(self) -> int:
        """A picture for each core, unless pictures of a batch depend on each other."""
        return super().cpu_batch if self.options.maximum == "batch" else self.chunks_at_once

    def preprocess(self, frames: Sequence[Frame]) -> Tensor:
        """Resized to a square by Pillow, bilinear on 8 bits, in [-1, 1]: `[N, 3, h, h]`."""
        size = (self.options.input_size, self.options.input_size)
        return resized(frames, size, standardised=MINUS_ONE_TO_ONE, device=self.input_device)

    def predict(self, stimulus: Stimulus) -> Iterator[Prediction]:
        """The aggregate map, and as extras `slice1` ... in the order of viewing."""
        # One by one, since pictures of any sizes may share a batch.
        inputs = ((self.inputs([frame]), frame.shape[:2]) for frame in stimulus.frames)
        batchwide = self.options.maximum == "batch"
        workers = 1 if batchwide else min(self.chunks_at_once, self.batch_size)
        side = self.options.input_size
        run = self.runner((side, side)) if self.engine else None

        def compute(batch: list[tuple[Tensor, tuple[int, ...]]]) -> list[Prediction]:
            tensors = torch.cat([tensor for tensor, _ in batch])
            found = Maps(*run(tensors)) if run else self.network(tensors, batchwide=batchwide)
            return [
                self._prediction(aggregate[None], slices, size)
                for (_, size), aggregate, slices in zip(batch, *found, strict=True)
            ]

        batches = _grouped(inputs, self.batch_size // workers)
        for predictions in in_order(compute, prefetch(on_one_core(batches)), workers=workers):
            yield from predictions

    def exportable(self, size: tuple[int, int]) -> Exportable:
        """The network of this model: one picture gives an aggregate map and its slices.

        Raises:
            UsageError: The maximum of the slices is that of a batch.
        """
        if self.options.maximum == "batch":
            raise UsageError("a network whose maps depend on their batch runs in PyTorch only")

        def finish(aggregate: Tensor, slices: Tensor) -> Tensor:
            if self.options.blur:
                aggregate = maps.blurred(aggregate, size)
            return aggregate if self.options.range == "raw" else maps.stretched(aggregate)

        side = self.options.input_size
        return Exportable(
            Plain(self.network).eval(),
            inputs={"frames": (3, side, side)},
            outputs=["aggregate", "slices"],
            finish=finish,
            facts={"frames": MINUS_ONE_TO_ONE.facts("bilinear, by Pillow in 8 bit")},
        )

    def _prediction(self, aggregate: Tensor, slices: Tensor, size: tuple[int, ...]) -> Prediction:
        """Maps `[1, h, w]` and `[T, h, w]` as the published code writes them, before rounding."""
        if self.options.blur:
            aggregate, slices = maps.blurred(torch.cat([aggregate, slices]), size).tensor_split([1])
        if self.options.range != "raw":
            aggregate = maps.stretched(aggregate)
            slices = maps.stretched(slices, together=self.options.range == "common")
        digits = len(str(len(slices)))
        names = (f"slice{number:0{digits}}" for number in range(1, len(slices) + 1))
        return Prediction(aggregate[0], dict(zip(names, slices, strict=True)))

    def losses(self, batch: Batch) -> Iterator[Loss]:
        """KL divergence, CC, SIM, NSS and L1, the mean absolute difference.

        For slices, `density` and `fixations` have one map per slice, with sums relative to each
        other: the maps of a picture are laid end to end and compared as one, so that the relative
        brightness of the slices is learned, too. The full network learns from its aggregate.

        Raises:
            UsageError: There are not as many ground-truth maps as the network gives.
        """
        aggregate, slices = self.network(batch.inputs.flatten(0, 1), batchwide=True)
        predicted = slices if isinstance(self.network, SliceBranch) else aggregate[:, None]
        density, fixations = batch.density.flatten(1, 2), batch.fixations.flatten(1, 2)
        if density.shape[1] != predicted.shape[1]:
            raise UsageError(
                f"the network gives {predicted.shape[1]} maps per picture, and the ground truth "
                f"has {density.shape[1]}; 'salcli tempsal slices' makes that of slices"
            )
        # in SALICON's maps, and in slices of one picture together, the peak is 255
        peak = density.amax(dim=(1, 2, 3), keepdim=True).clamp(min=torch.finfo(density.dtype).tiny)
        peaked = maps.resized(density / peak, predicted.shape[-2:])
        density = maps.resized(density, predicted.shape[-2:])
        parts = maps.compared(maps.end_to_end(predicted), maps.end_to_end(density))
        seen = maps.end_to_end(maps.resized(predicted, fixations.shape[-2:]))
        parts["nss"] = losses.nss(maps.log_density(seen), maps.end_to_end(fixations))
        parts["l1"] = (predicted - peaked).abs()
        yield Loss({name: value.mean() for name, value in parts.items()})

    def recipes(self) -> Mapping[str, Recipe]:
        """How the published code trains this network; for the mixing module branches are frozen."""
        name, recipe = {
            "image": ("image", IMAGE),
            "slices": ("temporal", dataclasses.replace(TEMPORAL, slices=self._slices)),
        }.get(self._wanted, ("mixing", MIXING))
        options = self.options
        terms = {"nss": -options.nss, "sim": -options.sim, "l1": options.l1}
        more = {term: weight for term, weight in terms.items() if weight}
        return {name: dataclasses.replace(recipe, losses={**recipe.losses, **more})}

    def start_epoch(self, epoch: int) -> None:
        """Training mode; the option `norms` says how batch norms of frozen branches behave."""
        self.network.train()
        if self._wanted in ("full", "simple") and self.options.norms == "still":
            for branch in self._branches():
                branch.eval()


def _tell(shared: int, stages: int) -> None:
    """Log how much of the encoders is shared."""
    if shared == stages:
        logger.info("both branches have the same encoder: it is kept once and run once")
    elif shared:
        logger.info(
            "the first %d of %d stages of both encoders are the same: they are kept and run once",
            shared,
            stages,
        )
    else:
        logger.info("the branches have different encoders: both are run")


def _grouped(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Lists of `size` items, in order."""
    iterator = iter(items)
    while group := list(islice(iterator, size)):
        yield group
