"""STSNet's preprocessing, prediction and training."""

from __future__ import annotations

import dataclasses
import logging
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from salcli import (
    Batch,
    Frame,
    InputError,
    Loss,
    Prediction,
    Recipe,
    Stimulus,
    UsageError,
    WeightsError,
)
from salcli.authoring import (
    Checkpoint,
    Exportable,
    Model,
    batched,
    devices,
    in_order,
    load_strict,
    pixels,
    prefetch,
)
from salcli_stsnet import SMALLEST, Options, caffemodel, flow, pictures, training
from salcli_stsnet.flow import METHODS, RAFT
from salcli_stsnet.flowfiles import FlowFolder
from salcli_stsnet.joining import joined
from salcli_stsnet.maps import finish
from salcli_stsnet.network import LAYERS, SINGLE, Streams, STSNet, net_of
from salcli_stsnet.settings import Settings
from salcli_stsnet.streams import (
    Pair,
    for_training,
    twice,
    with_estimated_flow,
    with_flow_from,
    without_flow,
)

__all__ = ["Stsnet"]

logger = logging.getLogger(__name__)

CPU_PIXELS = 512 * 512
"""Pixels processed at once on a CPU: more would take memory and save no time."""


class Stsnet(Model):
    """All nets of the paper; each map depends on one frame and one picture of flow."""

    options: Options
    network: STSNet
    settings = Settings()
    """Of the published script."""
    _raft: nn.Module | None = None

    @property
    def context(self) -> int | None:
        """The frame before, for the flow; all of them where a clip's maps share their peak."""
        return None if self.options.stretch == "video" else self.spec.context

    @classmethod
    def read(cls, path: Path) -> Checkpoint:
        """Read Caffe's files and all formats of salcli; the net is inferred from the keys.

        Raises:
            WeightsError: The file is damaged, or contains something else.
        """
        if path.suffix == ".caffemodel":
            found = caffemodel.read(path, LAYERS)
            saved, name = Checkpoint(found.state, path), found.name
            shown = [*found.state, *found.strangers]
        else:
            saved, name = super().read(path), ""
            shown = list(saved.state)
        net = net_of(saved.state, name=name)
        if net is None:
            raise WeightsError(
                f"'{path}' holds no net of STSNet, whose layers are conv1 to conv9 and deconv1; "
                f"it has {', '.join(shown[:5]) or 'none'}"
            )
        options = {"net": net, **saved.options}
        return dataclasses.replace(saved, metadata={**saved.metadata, "options": options})

    def build(self) -> STSNet:
        """The net selected by the options or the weights.

        Raises:
            UsageError: The option `flow` is neither a method nor a folder.
        """
        names = ("auto", *METHODS, "none", "frame")
        if self.options.flow not in names and not Path(self.options.flow).is_dir():
            raise UsageError(
                f"the option 'flow' is '{self.options.flow}': there is no such folder, and it is "
                "not one of "
                f"{', '.join(names)}"
            )
        return STSNet(self.options.net)

    def load(self, saved: Checkpoint) -> None:
        """Load the network's weights, and RAFT's if it computes the flow."""
        super().load(saved)
        if self.options.flow in RAFT and self.options.net != "ssnet":
            self._raft = flow.load_raft(self.spec, self.options.flow, offline=self.offline)

    def start_from(self, saved: Checkpoint) -> None:
        """Start from a whole net; or both streams from a single one, such as SalNet."""
        state = saved.state
        if self.options.net not in SINGLE and net_of(state) in SINGLE:
            state = joined(self.network, state, state)
        load_strict(self.network, dataclasses.replace(saved, state=state))

    def to(self, device: torch.device, precision: torch.dtype) -> None:
        """Move the networks."""
        super().to(device, precision)
        if self._raft is not None:
            self._raft.to(device)

    def freeze(self) -> None:
        """On a CPU, prepare the wide convolutions, unless the options forbid it."""
        exact = self.device.type == "cpu" and self.precision == torch.float32
        if exact and self.options.convolution == "frequency":
            self.network.prepare()

    @property
    def cpu_batch(self) -> int:
        """One frame, as each core computes one."""
        return 1

    def preprocess(self, frames: Sequence[Frame]) -> Tensor:
        """Resized by OpenCV, mean subtracted, scaled, blue first: `[N, 3, h, w]`.

        Raises:
            InputError: A frame is too thin for the net.
        """
        small = [self._resized(frame) for frame in frames]
        found = pixels(small, device=self.input_device).contiguous()
        if self.settings.channels == "bgr":
            found = found.flip(1)
        mean = torch.tensor(self.settings.mean)[:, None, None].to(found.device)
        return found.sub_(mean).mul_(self.settings.input_scale)

    def _resized(self, frame: Frame) -> Frame:
        size, bound = self.options.input_size, self.settings.max_input_size
        height, width = frame.shape[:2]
        if size is not None:
            return np.asarray(cv2.resize(frame, size[::-1], interpolation=cv2.INTER_AREA), np.uint8)
        factor = min(1.0, bound[0] / height, bound[1] / width) if bound else 1.0
        if min(round(height * factor), round(width * factor)) < SMALLEST:
            raise InputError(
                f"a frame of {width} x {height} pixels is too thin for the net, which needs "
                f"{SMALLEST} each way; to resize it, set the option 'input_size', for example to "
                "240,320"
            )
        if factor == 1:
            return frame
        # by factors, not to a size: OpenCV then samples at different positions
        return np.asarray(cv2.resize(frame, None, fx=factor, fy=factor), np.uint8)

    def predict(self, stimulus: Stimulus) -> Iterator[Prediction]:
        """Saliency divided by its maximum, at the frame's size."""
        stretch = self.options.stretch
        peak = self._peak(stimulus) if stretch == "video" and stimulus.is_clip else None
        for maps in self._maps(stimulus, stretched=stretch != "none", peak=peak):
            yield from map(Prediction, maps)

    def _maps(self, stimulus: Stimulus, **how: Any) -> Iterator[Tensor]:
        """Finished maps `[N, H, W]` of consecutive frames; for `how` see `finish`."""

        def compute(chunk: tuple[Tensor, Tensor, tuple[int, int]]) -> Tensor:
            frames, flows, size = chunk
            found = self._forward(frames, flows).float()
            return finish(found, size, settings=self.settings, **how)

        chunks = prefetch(self._chunks(stimulus))
        yield from in_order(compute, chunks, workers=self.chunks_at_once)

    def _peak(self, stimulus: Stimulus) -> Tensor | None:
        """The largest value in all maps of a clip, in [0, 1]; `None` if there are none."""
        peak: Tensor | None = None
        for maps in self._maps(stimulus, stretched=False):
            peak = maps.amax() if peak is None else torch.maximum(peak, maps.amax())
        return peak

    def _chunks(self, stimulus: Stimulus) -> Iterator[tuple[Tensor, Tensor, tuple[int, int]]]:
        """Inputs of both streams `[N, 3, h, w]`, and the frames' size."""
        pictures: deque[Frame] = deque()

        def frames() -> Iterator[Frame]:
            for frame, picture in self._pairs(stimulus):
                pictures.append(picture)
                yield frame

        for chunk in batched(frames(), self.batch_size):
            inputs = self.inputs(chunk)
            seen = [pictures.popleft() for _ in chunk]
            flows = inputs
            if seen[0] is not chunk[0]:
                flows = devices.beside(self.device, partial(self._flow_inputs, seen, inputs))
            yield inputs, flows, (chunk[0].shape[0], chunk[0].shape[1])

    def _pairs(self, stimulus: Stimulus) -> Iterator[Pair]:
        """Each frame with the second stream's input: a picture of flow, or the frame itself."""
        source = self._source(clip=stimulus.is_clip)
        if source == "frame":
            return twice(stimulus.frames)
        encode = partial(pictures.encode, encoding=self.options.flow_encoding)
        forward = self.options.flow_direction == "forward"
        if source not in ("none", *METHODS):
            folder = FlowFolder(Path(source), stimulus.name)
            return with_flow_from(folder, stimulus, encode=encode, forward=forward)
        if source == "none" or not stimulus.is_clip:
            return without_flow(stimulus.frames, encode)
        raft = self._raft
        estimator = flow.opencv(source) if raft is None else flow.raft(raft, self.device)
        return with_estimated_flow(
            stimulus.frames, estimator, encode=encode, forward=forward, cuts=self.options.cuts
        )

    def _source(self, *, clip: bool) -> str:
        """The option `flow`, with `auto` resolved."""
        if self.options.net == "ssnet":
            return "frame"
        if self.options.flow == "auto" and not clip:
            logger.info("an image has no motion: both streams see the image itself")
            return "frame"
        return "dis" if self.options.flow == "auto" else self.options.flow

    def _flow_inputs(self, pictures: Sequence[Frame], inputs: Tensor) -> Tensor:
        """Pictures as network input, resized like the frames."""
        if self.options.input_size is None:
            size = (inputs.shape[-1], inputs.shape[-2])
            pictures = [np.asarray(cv2.resize(picture, size), np.uint8) for picture in pictures]
        return self.preprocess(pictures).to(inputs)

    def _forward(self, frames: Tensor, flows: Tensor) -> Tensor:
        """The net's output; on a CPU, large batches are processed in parts."""
        count, streams = len(frames), self._streams()
        if frames.device.type == "cpu":
            count = max(1, CPU_PIXELS // (frames.shape[-2] * frames.shape[-1]))
        parts = zip(torch.split(frames, count), torch.split(flows, count), strict=True)
        return torch.cat([streams(*part)[0] for part in parts])

    def _streams(self) -> Streams:
        swapped = self.settings.swap_streams
        return Streams(self.network, pad=self.options.pad, swapped=swapped).eval()

    def exportable(self, size: tuple[int, int]) -> Exportable:
        """The net: frames and pictures of their flow give maps; a single stream has one input."""
        height, width, _ = self._resized(np.zeros((*size, 3), np.uint8)).shape
        net, settings = self.options.net, self.settings
        names = {"ssnet": ["frames"], "tsnet": ["flows"]}.get(net, ["frames", "flows"])
        how = {
            "resize": "by OpenCV in 8 bit",
            "channels": settings.channels.upper(),
            "mean": list(settings.mean),
            "std": [1 / settings.input_scale] * 3,
        }
        flow = {"picture": self.options.flow_encoding, "of": self.options.flow_direction}
        return Exportable(
            self._streams(),
            inputs=dict.fromkeys(names, (3, height, width)),
            outputs=["saliency"],
            finish=partial(
                finish, size=size, settings=settings, stretched=self.options.stretch != "none"
            ),
            facts={"frames": how, "flows": {**how, **flow}},
        )

    def training_inputs(self, frames: Sequence[Frame], random: np.random.Generator) -> Tensor:
        """Successive frames and the flow into each, `[T, 6, h, w]`; for ssnet `[T, 3, h, w]`.

        A sample may have a lower resolution than the net's; its flow is divided by the same factor.

        Raises:
            UsageError: Training cannot compute this flow.
        """
        factor = int(random.choice(training.LOWER_RESOLUTIONS))
        frames = [training.coarse(self._resized(frame), factor) for frame in frames]
        inputs = self.preprocessed(frames)
        source = self._source(clip=len(frames) > 1)
        if self.options.net == "ssnet":
            return inputs
        if source == "frame":
            return torch.cat([inputs, inputs], dim=1)
        encode = partial(
            pictures.encode,
            encoding=self.options.flow_encoding,
            scale=pictures.LEVELS_PER_PIXEL / factor,
        )
        pairs = for_training(
            frames,
            source,
            encode=encode,
            forward=self.options.flow_direction == "forward",
            cuts=self.options.cuts,
        )
        flows = self._flow_inputs([picture for _, picture in pairs], inputs)
        return torch.cat([inputs, flows], dim=1)

    def losses(self, batch: Batch) -> Iterator[Loss]:
        """Caffe's Euclidean loss on grey levels, for the last frames that have ground truth."""
        inputs = batch.inputs[:, -batch.density.shape[1] :].flatten(0, 1)
        frames, flows = inputs[:, :3], inputs[:, -3:]  # identical if there is no flow
        if self.settings.swap_streams:
            frames, flows = flows, frames
        size = (inputs.shape[-2], inputs.shape[-1])
        wanted = training.target(batch.density.flatten(0, 1), size)
        yield Loss({"euclidean": training.euclidean(self.network(frames, flows), wanted)})

    def recipes(self) -> Mapping[str, Recipe]:
        """`paper`, and `finetune`, which starts from its result or from a published file."""
        if self.options.net == "ssnet":  # single frames are enough
            return {
                name: dataclasses.replace(recipe, clip_length=1)
                for name, recipe in training.RECIPES.items()
            }
        return training.RECIPES
