"""ViNet's preprocessing, prediction and training."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image
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
from salcli.authoring import IMAGENET, Checkpoint, Model, input_chunks, load_strict, pixels, resize
from salcli.authoring import resized as resized_by_pillow
from salcli_vinet import PAVEN_OPTIONS, Options
from salcli_vinet.clips import CLIP, windows
from salcli_vinet.finishing import finish
from salcli_vinet.losses import cc, kld, sim
from salcli_vinet.network import VinetNet
from salcli_vinet.weightsfile import backbone_of, is_s3d, unwrapped

logger = logging.getLogger(__name__)

DHF1K = Recipe(
    epochs=40,
    batch_size=8,
    optimiser="adam",
    learning_rate=1e-4,
    groups=(ParameterGroup("backbone.", encoder=True),),
    losses={"kld": 1.0},
    select="loss",
    validation_frames=62,
    sources=(Source("dhf1k", sampling="salcli_vinet.clips:DHF1K_VALIDATION"),),
    clip_length=CLIP,
    targets="last",
    truth="brightness",
)
"""As published, from S3D: one random clip of each video in an epoch, nothing augmented or frozen.

Predicting all validation frames would take many times longer than the training itself; the loss,
by which the authors chose the epoch, too, needs few clips of each video.
"""

DHF1K_CC_SIM = replace(DHF1K, losses={"kld": 1.0, "cc": -1.0, "sim": -1.0})
"""With the optional losses of the published script, at its default coefficients."""


class Vinet(Model):
    """A map for each frame from the 32 frames that end with it."""

    options: Options
    network: VinetNet

    @classmethod
    def read(cls, path: Path) -> Checkpoint:
        """Read a weights file; one that is PAVEN's by its name states its rule of input."""
        saved = super().read(path)
        if not saved.metadata and "paven" in path.name.lower():
            return replace(saved, metadata={"options": PAVEN_OPTIONS})
        return saved

    def build(self) -> VinetNet:
        """The standard network."""
        return VinetNet()

    def load(self, saved: Checkpoint) -> None:
        """Load a whole network, bare or in PAVEN's wrapper.

        Raises:
            WeightsError: The file does not hold the standard ViNet.
        """
        super().load(unwrapped(saved))
        known = saved.metadata or "vinet" in saved.path.name.lower()
        if not known and self.options.input_rule == "vinet":
            logger.warning(
                "neither '%s' nor its name says what input its network takes; it gets that of "
                "ViNet, and the option 'input_rule' changes that",
                saved.path,
            )

    def start_from(self, saved: Checkpoint) -> None:
        """Start from a whole network, or from the S3D file of its author."""
        if is_s3d(saved):
            load_strict(self.network.backbone, backbone_of(saved))
        else:
            self.load(saved)

    def preprocess(self, frames: Sequence[Frame]) -> Tensor:
        """Colours, standardised, or brightness three times, by the rule of the options."""
        size, device = self.options.input_size, self.input_device
        if self.options.input_rule == "vinet":
            return resized_by_pillow(frames, size, standardised=IMAGENET, device=device)
        lumas = [np.asarray(cv2.cvtColor(f, cv2.COLOR_RGB2YUV)[..., 0], np.uint8) for f in frames]
        if self.options.input_rule == "train":
            bicubic = Image.Resampling.BICUBIC
            return (
                resized_by_pillow([_grey(luma) for luma in lumas], size, resampling=bicubic) / 255
            )
        planes = [np.asarray(cv2.resize(luma, size[::-1]), np.uint8) for luma in lumas]
        return pixels([_grey(plane) for plane in planes], device=device) / 127.5 - 1

    def predict(self, stimulus: Stimulus) -> Iterator[Prediction]:
        """Maps as the original writes them, before it rounds to 8 bit.

        The extra map `raw` is the network's own.
        """
        frames = (
            (frame, size)
            for inputs, size in input_chunks(self, stimulus.frames)
            for frame in inputs
        )
        # one window at a time: the same bytes whatever the batch size, and after an interruption
        for predicted, window in windows(frames, self.options.windows):
            raw = self.network(torch.stack([frame for frame, _ in window], dim=1)[None])[0]
            for _, size in predicted:
                yield Prediction(finish(raw, size), {"raw": raw})

    def losses(self, batch: Batch) -> Iterator[Loss]:
        """`kld`, `cc` and `sim` of the last frames' maps, each the mean over those annotated.

        A batch of blank annotations has no loss and is skipped.

        Raises:
            UsageError: The clips do not have the network's length.
        """
        length = batch.inputs.shape[1]
        if length != CLIP:
            raise UsageError(
                f"model 'vinet' is trained with clips of {CLIP} frames, not {length}; change the "
                "recipe"
            )
        seen = batch.density[:, -1, 0].flatten(1).sum(dim=1) > 0
        if not seen.any():
            return
        saliency = self.network(batch.inputs.transpose(1, 2))
        density = resize(batch.density[:, -1, 0].float(), (saliency.shape[1], saliency.shape[2]))
        pairs = [(saliency[i], density[i]) for i in seen.nonzero()[:, 0].tolist()]
        each = {"kld": kld, "cc": cc, "sim": sim}
        yield Loss(
            {name: torch.stack([f(*pair) for pair in pairs]).mean() for name, f in each.items()}
        )

    def recipes(self) -> Mapping[str, Recipe]:
        """`dhf1k` as published, and with the script's optional losses."""
        return {"dhf1k": DHF1K, "dhf1k-cc-sim": DHF1K_CC_SIM}


def _grey(plane: Frame) -> Frame:
    """A plane `[H, W]` as a picture `[H, W, 3]`."""
    return np.repeat(plane[:, :, None], 3, axis=2)
