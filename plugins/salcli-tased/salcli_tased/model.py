"""TASED-Net's preprocessing, prediction and training."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from salcli import (
    Augmentation,
    Batch,
    Frame,
    Loss,
    ParameterGroup,
    Prediction,
    Recipe,
    Source,
    Stimulus,
    UsageError,
    WeightsError,
)
from salcli.authoring import (
    MINUS_ONE_TO_ONE,
    Checkpoint,
    Exportable,
    Model,
    input_chunks,
    losses,
    pixels,
    resize,
)
from salcli_tased import Options, s3d
from salcli_tased.clips import WindowSchedule, interpolated
from salcli_tased.finishing import finish
from salcli_tased.folded import Folded
from salcli_tased.network import ClipMap, TasedNet
from salcli_tased.streaming import Naive, Sliding, Streaming

EPSILON = 2.220446049250313e-16
"""Keeps the published loss from dividing by zero: the machine epsilon of float64."""

PILE = 5
"""Batches of a step. The authors add up their gradients; a recipe takes the mean, so that SGD makes
the same steps at a rate this many times higher, with a decay this many times lower."""

DHF1K = Recipe(
    epochs=40,
    epoch_steps=25,
    batch_size=8,
    accumulation=PILE,
    optimiser="sgd",
    momentum=0.9,
    learning_rate=PILE * 0.1,
    weight_decay=2e-7 / PILE,
    groups=(
        ParameterGroup("base", rate=0.01, weight_decay=2e-7 / PILE, scheduled=False, encoder=True),
    ),
    schedule="milestones",
    milestones=(30, 38),
    gamma=0.1,
    losses={"kld": 1.0},
    augmentation=Augmentation(flip=0.5),
    select="loss",
    validation_frames=62,
    sources=(Source("dhf1k"),),
    clip_length=32,
    targets="last",
    truth="brightness",
)
"""As published, from S3D: 1000 steps of 5 batches; the decoder's rate falls after 750 and 950.

The authors did not validate. Predicting all validation frames would take many times longer than the
training itself; the loss needs one clip of each video.
"""

DHF1K_SMALL = replace(DHF1K, batch_size=2, epochs=70, milestones=(40, 60))
"""The author's advice for small GPUs: batches of 2, 1750 steps, rate drops at 1000 and 1500."""


class Tased(Model):
    """A map for each frame from the 32 frames that end with it."""

    options: Options
    network: TasedNet

    @property
    def context(self) -> int | None:
        """A window, and the one before it that begins a clip backwards: then a clip goes on."""
        return None if self.options.stride > 1 else 2 * self.options.clip_length - 2

    def build(self) -> TasedNet:
        """The network for the clip length of the options."""
        return TasedNet(self.options.clip_length)

    def load(self, saved: Checkpoint) -> None:
        """Load a whole network.

        Raises:
            WeightsError: The file is an S3D, or not a TASED-Net.
        """
        if s3d.is_s3d(saved):
            raise WeightsError(
                f"'{saved.path}' is an S3D, without TASED-Net's decoder: it is only a start for "
                "training, by salcli train"
            )
        super().load(saved)

    def start_from(self, saved: Checkpoint) -> None:
        """Start from a whole network, or from an S3D file of its author or of torchvision."""
        if s3d.is_s3d(saved):
            s3d.load(self.network, saved)
        else:
            self.load(saved)

    def preprocess(self, frames: Sequence[Frame]) -> Tensor:
        """Resized by OpenCV in 8 bit, as published, then scaled to [-1, 1]: `[N, 3, h, w]`."""
        size = self.options.input_size[::-1]
        pictures = [np.asarray(cv2.resize(frame, size), np.uint8) for frame in frames]
        return pixels(pictures, standardised=MINUS_ONE_TO_ONE, device=self.input_device)

    def predict(self, stimulus: Stimulus) -> Iterator[Prediction]:
        """Maps as the original writes them, before it rounds to 8 bit.

        The extra map `raw` is the network's own.
        """
        schedule = WindowSchedule(
            self.options.clip_length,
            stride=self.options.stride,
            most=self.batch_size,
            sliding=self.sliding(),
            finish=finish,
        )
        inputs = (inputs for inputs, _ in input_chunks(self, stimulus.frames))
        yield from interpolated(schedule.maps(inputs, self.options.short))

    def sliding(self) -> Callable[[], Sliding]:
        """The window predictor for a pass over a video."""
        length, most = self.options.clip_length, self.batch_size
        if self.options.mode == "naive":
            return lambda: Naive(self.network, length, most=most)
        folded = Folded(self.network)
        return lambda: Streaming(folded, length, most=most)

    def exportable(self, size: tuple[int, int]) -> Exportable:
        """The network on whole clips; a map has the input's size."""
        length, (height, width) = self.options.clip_length, self.options.input_size
        order = f"frame t is predicted by the {length} frames that end with it, the first frames by"
        return Exportable(
            ClipMap(self.network).eval(),
            inputs={"clips": (3, length, height, width)},
            outputs=["raw"],
            finish=lambda raw: finish(raw)[:, 0],
            facts={
                "clips": MINUS_ONE_TO_ONE.facts("bilinear, by OpenCV in 8 bit"),
                "order": f"{order} those that begin with it, backwards",
            },
        )

    def losses(self, batch: Batch) -> Iterator[Loss]:
        """KLD of the last frames' maps: `kld` as published, `kld_each` the mean over the maps.

        `kld` treats the whole batch as one distribution, so that a map with a brighter annotation
        weighs more. A batch of blank annotations has no loss and is skipped.

        Raises:
            UsageError: The clips do not have the network's length.
        """
        length = batch.inputs.shape[1]
        if length != self.options.clip_length:
            raise UsageError(
                f"model 'tased' is trained with clips of {self.options.clip_length} frames, not "
                f"{length}; change the recipe, or the option 'clip_length'"
            )
        sums = batch.density[:, -1].flatten(1).sum(dim=1).tolist()  # waits for the device, once
        seen = [number for number, total in enumerate(sums) if total > 0]
        if not seen:
            return
        saliency = self.network(batch.inputs.transpose(1, 2)).float()
        density = resize(batch.density[:, -1, 0], (saliency.shape[1], saliency.shape[2]))
        each = [kld(saliency[i], density[i]) for i in seen]
        yield Loss({"kld": kld(saliency, density), "kld_each": torch.stack(each).mean()})

    def recipes(self) -> Mapping[str, Recipe]:
        """`dhf1k` as published; `dhf1k-small` for a GPU of little memory, as the author advises."""
        losses = {"kld" if self.options.loss == "batch" else "kld_each": 1.0}
        return {
            name: replace(recipe, clip_length=self.options.clip_length, losses=losses)
            for name, recipe in (("dhf1k", DHF1K), ("dhf1k-small", DHF1K_SMALL))
        }

    def start_epoch(self, epoch: int) -> None:
        """Training mode, except for the batch norms that the options freeze."""
        super().start_epoch(epoch)
        beginning = {"none": None, "encoder": "base", "all": ""}[self.options.frozen_norms]
        for name, module in self.network.named_modules():
            if beginning is not None and name.startswith(beginning):
                module.train(not isinstance(module, nn.BatchNorm3d))


def kld(saliency: Tensor, density: Tensor) -> Tensor:
    """Kullback-Leibler divergence in nats of maps `[..., h, w]`, all as one distribution."""
    p, g = (maps.flatten(0, -2) / maps.sum() for maps in (saliency, density))
    return losses.kld((p + EPSILON).log(), g)
