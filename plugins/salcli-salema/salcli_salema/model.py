"""SalEMA's preprocessing, prediction and training."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from salcli import Batch, Frame, InputError, Loss, Prediction, Recipe, Stimulus, UsageError
from salcli.authoring import (
    Checkpoint,
    Exportable,
    Model,
    checkpoint,
    devices,
    input_chunks,
    pixels,
    stretch,
)
from salcli_salema import Options, recipes, starts
from salcli_salema.architecture import LAST, LAYERS
from salcli_salema.generator import Kernels
from salcli_salema.network import DROPOUT, AveragingStep, SalCLSTM30, SalCLSTM56, SalEMA, State

__all__ = ["Salema"]

Network: TypeAlias = SalEMA | SalCLSTM30 | SalCLSTM56

PUBLISHED_LOGIT = 0.1
"""`-alpha=0.1` of the published command, through the code's sigmoid: w = 0.525."""

DOUBLE_WEIGHT = 0.3
"""Weight of both averages of the double average."""


def sigmoid(logit: float) -> float:
    """Weight of the moving average for `alpha`, which may be any number."""
    return 0.5 * (1 + math.tanh(logit / 2))


def ground_truth(density: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Maps `[B, T, 1, h, w]` from 0 to 1, and which of them `[B, T]` are not constant."""
    if density.shape[-2:] != size:
        flat = functional.interpolate(density.flatten(0, 1), size=size, mode="area")
        density = flat.view(*density.shape[:3], *size)
    low, high = torch.aminmax(density.flatten(2), dim=2)
    truth = stretch(density.flatten(0, 2)).view_as(density)
    return truth, high > low


def cross_entropy(maps: Tensor, truth: Tensor) -> Tensor:
    """Per pixel, in nats; in float32, since mixed precision does not support it."""
    with torch.autocast(maps.device.type, enabled=False):
        return functional.binary_cross_entropy(maps.float(), truth, reduction="none")


class Salema(Model):
    """One class for all variants: only their networks differ."""

    options: Options
    network: Network
    _prepared: Callable[[], Kernels] | None = None

    @classmethod
    def read(cls, path: Path) -> Checkpoint:
        """Read a file in any format of salcli; a ConvLSTM's variant is inferred from its keys."""
        saved = super().read(path)
        variant = starts.variant_of(saved)
        if variant == "ema":  # or static, whose keys are the same
            return saved
        options = {"variant": variant, **saved.options}
        return dataclasses.replace(saved, metadata={**saved.metadata, "options": options})

    def build(self) -> Network:
        """The network for the options; `auto` is SalEMA until a weights file says otherwise."""
        options = self.options
        match options.variant:
            case "clstm30":
                return SalCLSTM30(residual=options.residual)
            case "clstm56":
                return SalCLSTM56()
            case "static":
                return SalEMA((), weights=())
        return SalEMA(
            options.ema_loc,
            weights=self.average_weights(),
            alpha=options.alpha_start,
            residual=options.residual,
        )

    def average_weights(self) -> tuple[float, ...] | None:
        """The average's weight at each place; `None` if it is learned."""
        options, places = self.options, len(self.options.ema_loc)
        if options.ema_weight is not None:
            return options.ema_weight * (places // len(options.ema_weight))
        if options.alpha_logit is not None:
            return (sigmoid(options.alpha_logit),)
        if options.learn_alpha:
            return None
        return (sigmoid(PUBLISHED_LOGIT),) if places == 1 else (DOUBLE_WEIGHT,) * places

    def load(self, saved: Checkpoint) -> None:
        """Load a file of any variant, and set the options to match."""
        saved = starts.renamed(saved)
        self.options = self._decided(saved, learning=False)
        self.network = self.build()
        state = dict(saved.state)
        if isinstance(self.network, SalEMA) and len(self.network.weights or ()) == 1:
            state.pop("alpha", None)  # it has become an option, or an option overrides it
        checkpoint.load_strict(self.network, dataclasses.replace(saved, state=state))

    def start_from(self, saved: Checkpoint) -> None:
        """Start from own weights, another variant's, SalGAN's generator, or torchvision's VGG-16.

        Parameters that the file lacks, such as a ConvLSTM's gates, keep their initial values.
        """
        saved = starts.renamed(saved)
        self.options = self._decided(saved, learning=True)
        self.network = self.build()
        wanted = self.network.state_dict()
        self.network.load_state_dict({**wanted, **starts.start_state(saved, wanted)})

    def _decided(self, saved: Checkpoint, *, learning: bool) -> Options:
        """The options with the variant and the average's weight resolved for these weights."""
        options, changes = self.options, dict[str, Any]()
        variant = starts.variant_of(saved) if options.variant == "auto" else options.variant
        given = options.alpha_logit is not None or options.ema_weight is not None
        if variant == "ema" and not given:
            if len(options.ema_loc) > 1:
                changes["ema_weight"] = (DOUBLE_WEIGHT,) * len(options.ema_loc)
            elif "alpha" in saved.state and not (learning and options.learn_alpha):
                changes["alpha_logit"] = starts.alpha_of(saved)
            elif not options.learn_alpha:
                changes["alpha_logit"] = PUBLISHED_LOGIT
        try:
            return dataclasses.replace(options, variant=variant, **changes)
        except ValueError as error:
            raise UsageError(f"'{saved.path}' is of variant {variant}: {error}") from error

    def to(self, device: torch.device, precision: torch.dtype) -> None:
        """Move the network, in the fastest memory layout for convolutions."""
        super().to(device, precision)
        if self.options.mode == "fast":
            devices.to_channels_last(self.network)

    def freeze(self) -> None:
        """From now on, what is prepared for the first clip is kept for the next ones."""
        self._prepared = functools.cache(self.network.prepared)

    @property
    def cpu_batch(self) -> int:
        """A frame for each core."""
        return self.chunks_at_once

    def preprocess(self, frames: Sequence[Frame]) -> Tensor:
        """Resized to the input size by OpenCV in 8 bit, as published; BGR minus its mean."""
        size = self.options.input_size[::-1]
        pictures = [
            np.asarray(cv2.resize(frame, size, interpolation=cv2.INTER_AREA), np.uint8)
            for frame in frames
        ]
        found = pixels(pictures, device=self.input_device).flip(1)
        mean = torch.tensor(starts.MEAN, dtype=torch.float64)[:, None, None].to(found.device)
        return (found - mean).float()  # as the original subtracts it

    def predict(self, stimulus: Stimulus) -> Iterator[Prediction]:
        """Maps stretched from minimum to maximum, at the input size; stills have no state.

        With Monte-Carlo dropout, the extra map `deviation` is in the network's own scale.
        """
        for outputs in self._outputs(stimulus, last=LAST):
            maps = outputs[:, :, 0].float()
            deviations = maps.std(dim=0, correction=0)
            for saliency, deviation in zip(stretch(maps.mean(dim=0)), deviations, strict=True):
                more = {"deviation": deviation} if self.options.monte_carlo else {}
                yield Prediction(saliency, more)

    def exportable(self, size: tuple[int, int]) -> Exportable:
        """SalEMA with one average, one frame at a time; maps have the input's size.

        Raises:
            UsageError: The network is another, or uses dropout.
        """
        network, options = self.network, self.options
        single = isinstance(network, SalEMA) and len(network.places) == 1
        if not single or options.monte_carlo or options.dropout == "always":
            raise UsageError("of SalEMA only one average without dropout can be exported")
        assert isinstance(network, SalEMA)
        step = AveragingStep(network).eval()
        with torch.inference_mode():
            averaged, _ = step.before(torch.zeros(1, 3, *options.input_size))
        facts = {"channels": "BGR", "mean": list(starts.MEAN), "std": [1, 1, 1]}
        return Exportable(
            step,
            inputs={"frames": (3, *options.input_size)},
            states={"average": tuple(averaged.shape[1:]), "begun": (1, 1, 1)},
            outputs=["map"],
            finish=lambda maps: stretch(maps[:, 0]),
            facts={"frames": {"resize": "area, by OpenCV in 8 bit", **facts}},
        )

    def feature_maps(self, stimulus: Stimulus, layer: int, *, frame: int) -> Tensor:
        """Output `[C, h, w]` of a layer for the frame at an index (from 0), after those before it.

        Raises:
            UsageError: The network has no such layer.
            InputError: The stimulus has no such frame.
        """
        top = len(self.network.salgan) - 1
        if not 0 <= layer <= top:
            raise UsageError(
                f"there is no layer {layer}: the layers of this network are 0 to {top}"
            )
        seen = 0
        for maps in self._outputs(stimulus, last=layer, stop=frame + 1):
            seen += maps.shape[1]
        if seen <= frame:
            raise InputError(
                f"'{stimulus.name}' has {seen} frames, so there is no frame {frame + 1}"
            )
        return maps.float().mean(dim=0)[-1]

    def _outputs(
        self, stimulus: Stimulus, *, last: int, stop: int | None = None
    ) -> Iterator[Tensor]:
        """Output `[passes, N, C, h, w]` of a layer for consecutive frames; stills have no state."""
        fast, clip = self.options.mode == "fast", stimulus.is_clip
        # for a single frame, preparing takes as long as it saves
        lone = 1 in (stimulus.count, stop)
        prepared = self._prepared or self.network.prepared
        kernels = prepared() if fast and not lone else None
        layout = torch.channels_last if fast else torch.contiguous_format
        frames = itertools.islice(stimulus.frames, stop)
        states: list[State | None] = [None] * max(1, self.options.monte_carlo)
        seen = 0
        for inputs, _ in input_chunks(self, frames, None if fast else 1):
            x = inputs.contiguous(memory_format=layout)
            found, runs = [], x[None] if clip else x[:, None]
            for number, state in enumerate(states):
                masks = self._masks(range(seen, seen + len(x)), number)
                maps, after = self._run(runs, state, kernels=kernels, last=last, masks=masks)
                states[number] = after if clip else None
                found.append(maps.flatten(0, 1))
            seen += len(x)
            yield torch.stack(found)

    def _masks(self, frames: range, number: int) -> Tensor | None:
        """Factors `[n, C, 1, 1]` of one pass of Monte-Carlo dropout, the same whenever it runs."""
        if not self.options.monte_carlo:
            return None
        channels = LAYERS[self.options.ema_loc[0]].cin
        drawn = [np.random.default_rng((number, frame)).random(channels) for frame in frames]
        kept = torch.from_numpy(np.stack(drawn) >= DROPOUT)[:, :, None, None]
        return kept.to(self.device, self.precision) / (1 - DROPOUT)

    def _run(
        self,
        x: Tensor,
        state: State | None = None,
        *,
        kernels: Kernels | None,
        last: int = LAST,
        masks: Tensor | None = None,
    ) -> tuple[Tensor, State]:
        """The network on `[B, T, 3, h, w]`, with the dropout that the options ask for."""
        more: dict[str, Any] = {"kernels": kernels, "last": last}
        # the double average and the other variants do not use dropout
        if isinstance(self.network, SalEMA) and len(self.network.places) == 1:
            wanted = self.options.dropout
            drawn = wanted == "always" or (wanted == "training" and self.network.training)
            more["dropout"] = drawn if masks is None else masks
        found: tuple[Tensor, State] = self.network(x, state, **more)
        return found

    def losses(self, batch: Batch) -> Iterator[Loss]:
        """Binary cross entropy: mean over pixels, sum over a clip's frames, mean over recordings.

        Back-propagation through time is truncated: every `clip_length` frames yield one loss, and
        the state is carried on as a constant. The static network learns frame by frame. Frames with
        a constant ground-truth map are skipped, as they cannot be stretched from minimum to
        maximum.
        """
        static = isinstance(self.network, SalEMA) and not self.network.places
        length = 1 if static else self.options.clip_length
        size = (batch.inputs.shape[-2], batch.inputs.shape[-1])
        truth, known = ground_truth(batch.density, size)
        learned = known.cpu()  # read once: each pass would wait for the device
        state: State | None = None
        for start in range(0, batch.inputs.shape[1], length):
            part = slice(start, start + length)
            maps, state = self._run(batch.inputs[:, part], state, kernels=None)
            state = tuple(value.detach() for value in state)
            if not learned[:, part].any():
                continue
            pixels = cross_entropy(maps, truth[:, part])
            frames = pixels.mean((2, 3, 4)) * known[:, part]
            yield Loss({"bce": frames.sum(1).mean()}, frames=frames.shape[1])

    def recipes(self) -> Mapping[str, Recipe]:
        """The recipes for the options' variant."""
        return recipes.of(self.options)

    def start_epoch(self, epoch: int) -> None:
        """Training mode.

        Raises:
            UsageError: Alpha can be given or learned, not both.
        """
        options = self.options
        if options.learn_alpha and not (options.alpha_logit is None and options.ema_weight is None):
            raise UsageError(
                "the option 'learn_alpha' excludes 'alpha_logit' and 'ema_weight', which fix the "
                "weight; set the initial value of the learned logit by the option 'alpha_start'"
            )
        super().start_epoch(epoch)
