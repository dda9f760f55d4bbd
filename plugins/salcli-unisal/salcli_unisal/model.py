"""UNISAL's preprocessing, prediction and training."""

from __future__ import annotations

import copy
import dataclasses
import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from PIL import Image
from torch import Tensor

from salcli import Batch, Frame, Loss, Prediction, Recipe, Stimulus, TrainingRun, UsageError
from salcli.authoring import (
    IMAGENET,
    Checkpoint,
    Exportable,
    Model,
    RunNetwork,
    batched,
    density_losses,
    in_order,
    on_one_core,
    one_core,
    peaked,
    prefetch,
    resized,
)
from salcli_unisal import DOMAINS, SOURCES, TRAINED_AS, Domain, Options, backbone
from salcli_unisal.network import UNISAL, Step, resize
from salcli_unisal.recipes import RECIPES, SELECTING, SELECTS_FROM, is_published
from salcli_unisal.recurrent import HIDDEN

CELL = 32
"""Input sides are multiples of this."""

SIZES = tuple(
    (CELL * a, CELL * b) for a in range(7, 14) for b in range(7, 14) if 100 <= a * b <= 120
)
"""Candidate input sizes, height and width."""

CLIP_SIZES = {"Hollywood": (224, 416), "UCFSports": (256, 384)}
DHF1K_FRAME, DHF1K_INPUT = (360, 640), (224, 384)

LANES = {"DHF1K": 5, "Hollywood": 4, "UCFSports": 4}
"""How many recurrences take turns: the network was trained on every fifth or fourth frame."""

STATIC = "SALICON"
"""The domain of stills, in which every frame skips the recurrence."""

MIT1003_SIZES = ((256, 416), (288, 416), (288, 384), (384, 288), (416, 288))
"""Input sizes for training on MIT1003, as published: the closest aspect ratio is used."""


def best_size(
    frame_size: tuple[int, int], candidates: Sequence[tuple[int, int]] = SIZES
) -> tuple[int, int]:
    """Network input size (h, w) for a frame (H, W): the candidate with the closest aspect ratio."""
    ratio = frame_size[0] / frame_size[1]

    def likeness(size: tuple[int, int]) -> float:
        other = size[0] / size[1]
        return min(ratio, other) / max(ratio, other)

    return max(candidates, key=likeness)


def input_size(frame_size: tuple[int, int], rules: str) -> tuple[int, int]:
    """Network input size (h, w) for a frame (H, W) by the rules of a dataset."""
    if rules == "MIT1003":
        return best_size(frame_size, MIT1003_SIZES)
    if rules == "DHF1K" and frame_size == DHF1K_FRAME:
        return DHF1K_INPUT
    return CLIP_SIZES.get(rules) or best_size(frame_size)


class EncodedChunk(NamedTuple):
    """What the decoder needs for a chunk of N frames of one size.

    Attributes:
        feature: `[N, 256, h/32, w/32]`, still or recurrent.
        skip_2x, skip_4x: The skip connections at 1/16 and 1/8.
        frame_size: Height and width of the frames.
    """

    feature: Tensor
    skip_2x: Tensor
    skip_4x: Tensor
    frame_size: tuple[int, int]


def finished(logits: Tensor, frame_size: tuple[int, int]) -> Tensor:
    """Maps `[N, H, W]` at the frames' size of logits `[N, 1, h, w]`: divided by their maximum."""
    return peaked(resize(logits.float(), frame_size)[:, 0], logits=True)


def recurred(
    network: UNISAL, chunks: Iterable[EncodedChunk], *, domain: str, lanes: int | None
) -> Iterator[EncodedChunk]:
    """The chunks after the recurrence; without `lanes`, every frame is a still that begins one."""
    state: Tensor | None = None
    for chunk in chunks:
        count = lanes or len(chunk.feature)
        with one_core():  # the others encode and decode
            feature, after = network.recur(chunk.feature, state, lanes=count, domain=domain)
        state = after if lanes else None
        yield chunk._replace(feature=feature)


class Unisal(Model):
    """One network for stills and clips."""

    runs_in_engines = True
    options: Options
    network: UNISAL
    _fused: Callable[[str], UNISAL] | None = None

    def build(self) -> UNISAL:
        """The network for the domains that the weights support."""
        off = self.options.ablate
        switches: dict[str, Any] = {name: False for name in off if name != "gaussians"}
        if "gaussians" in off:
            switches["n_gaussians"] = 0
        first = 1 if self.options.padding == "same" else 0
        return UNISAL(self.options.sources, first=first, **switches)

    def start_from(self, saved: Checkpoint) -> None:
        """Start from a whole network, or a MobileNetV2 file of torchvision or of the original."""
        if backbone.is_mobilenet(saved):
            backbone.load(self.network, saved, inputs_from_minus_one=self.options.padding == "same")
        else:
            self.load(saved)

    def to(self, device: torch.device, precision: torch.dtype) -> None:
        """Move the network; what makes logits stays in float32."""
        super().to(device, precision)
        self.network.keep_logits_exact()

    def freeze(self) -> None:
        """From now on, predict with networks whose layers are fused, one for each domain."""
        self._fused = functools.cache(self.network.fused)

    def domain(self, *, clip: bool) -> Domain:
        """The domain that the option, or the kind of stimulus, selects."""
        if self.options.domain != "auto":
            return self.options.domain
        preferred = DOMAINS if clip else ("SALICON", *DOMAINS)
        return next(domain for domain in preferred if domain in self.options.sources)

    def in_domain(self, domain: str) -> Unisal:
        """This model for a dataset of the published training, or for MIT1003.

        Raises:
            UsageError: The weights do not support its domain.
        """
        if not domain:
            return self
        wanted = TRAINED_AS.get(domain, domain)
        if wanted not in self.options.sources:
            raise UsageError(
                f"these weights support {', '.join(self.options.sources)}, not {wanted}; choose "
                "others, or train without weights and set the option 'sources'"
            )
        return self._with(domain=wanted, rules=domain)

    def for_dataset(self, name: str) -> Unisal:
        """This model with rules and domain of a published training dataset, unless they are chosen.

        The weights must support the domain; those with a single one use it for everything.
        """
        source = SOURCES.get(name)
        if source is None:
            return self
        wanted, sources = TRAINED_AS.get(source, source), self.options.sources
        known = wanted if wanted in sources else sources[0] if len(sources) == 1 else "auto"
        return self._decided(domain=known, rules=wanted)

    def for_stimulus(self, stimulus: Stimulus) -> Unisal:
        """This model with domain and rules decided."""
        clip = stimulus.is_clip
        return self._decided(domain=self.domain(clip=clip), rules="DHF1K" if clip else "SALICON")

    def _decided(self, **decisions: str) -> Unisal:
        """This model with these options where they are open."""
        chosen = {name: value for name, value in vars(self.options).items() if value != "auto"}
        return self._with(**{**decisions, **chosen})

    def _with(self, **options: Any) -> Unisal:
        other = copy.copy(self)
        other.options = dataclasses.replace(self.options, **options)
        return other

    @property
    def cpu_batch(self) -> int:
        """What was measured to be fastest."""
        return 3

    def preprocess(self, frames: Sequence[Frame]) -> Tensor:
        """Lanczos-resized by Pillow, as published, then standardised: `[N, 3, h, w]`."""
        size = input_size((frames[0].shape[0], frames[0].shape[1]), self.options.rules)
        return resized(
            frames,
            size,
            standardised=IMAGENET,
            resampling=Image.Resampling.LANCZOS,
            device=self.input_device,
        )

    def predict(self, stimulus: Stimulus) -> Iterator[Prediction]:
        """Density divided by its maximum, at the frame's size."""
        decided = self.for_stimulus(stimulus)
        domain = decided.options.domain
        recurrent = domain != STATIC or not self.network.bypass_rnn
        lanes = LANES.get(decided.options.rules) if stimulus.is_clip and recurrent else None
        # Each chunk has the same number of frames for every recurrence.
        size = self.batch_size if lanes is None else -(-self.batch_size // lanes) * lanes
        chunks = ((decided.inputs(c), c[0].shape[:2]) for c in batched(stimulus.frames, size))
        if self.engine:
            for maps in decided._engine_maps(chunks, recurrent=recurrent, lanes=lanes):
                yield from map(Prediction, maps)
            return
        network, workers = decided._network(domain), self.chunks_at_once

        def encode(chunk: tuple[Tensor, tuple[int, int]]) -> EncodedChunk:
            inputs, frame_size = chunk
            return EncodedChunk(*network.encode(inputs, domain), frame_size)

        def decode(encoded: EncodedChunk) -> Tensor:
            feature, skip_2x, skip_4x, frame_size = encoded
            return finished(network.decode(feature, skip_2x, skip_4x, domain), frame_size)

        encoded = in_order(encode, prefetch(on_one_core(chunks)), workers=workers)
        if recurrent:
            encoded = recurred(network, encoded, domain=domain, lanes=lanes)
        for maps in in_order(decode, encoded, workers=workers):
            yield from map(Prediction, maps)

    def _engine_maps(
        self,
        chunks: Iterable[tuple[Tensor, tuple[int, int]]],
        *,
        recurrent: bool,
        lanes: int | None,
    ) -> Iterator[Tensor]:
        """Maps `[N, H, W]` of consecutive chunks of input and frame size, by another engine."""
        ready = ((*chunk, self.runner(chunk[1])) for chunk in prefetch(on_one_core(chunks)))

        def compute(chunk: tuple[Tensor, tuple[int, int], RunNetwork]) -> Tensor:
            inputs, frame_size, run = chunk
            return finished(run(inputs)[0], frame_size)

        if not recurrent:
            yield from in_order(compute, ready, workers=self.chunks_at_once)
            return
        state: Tensor | None = None
        for inputs, frame_size, run in ready:
            for frames in torch.split(inputs, lanes or len(inputs)):
                if state is None or not lanes:
                    cells = (side // CELL for side in frames.shape[-2:])
                    state = frames.new_zeros(len(frames), HIDDEN, *cells)
                logits, state = run(frames, state[: len(frames)])
                yield finished(logits, frame_size)

    def exportable(self, size: tuple[int, int]) -> Exportable:
        """One time step; for a domain of clips, with the state of each recurrence.

        The option `domain` chooses; `auto` means stills where the weights support them.
        """
        domain = self.domain(clip=False)
        decided = self._decided(rules="SALICON" if domain == STATIC else "DHF1K")
        height, width = input_size(size, decided.options.rules)
        recurrent = domain != STATIC or not self.network.bypass_rnn
        lanes = LANES.get(decided.options.rules, 1) if recurrent else 1
        return Exportable(
            Step(self._network(domain), domain).eval(),
            inputs={"frames": (3, height, width)},
            states={"state": (HIDDEN, height // CELL, width // CELL)} if recurrent else {},
            outputs=["logits"],
            finish=functools.partial(finished, frame_size=size),
            facts={"frames": IMAGENET.facts("Lanczos, by Pillow in 8 bit"), "lanes": lanes},
        )

    def _network(self, domain: str) -> UNISAL:
        return self._fused(domain) if self._fused else self.network

    def losses(self, batch: Batch) -> Iterator[Loss]:
        """KLD, NSS and CC at the size of the ground truth (section 3.6 of the paper)."""
        domain = TRAINED_AS.get(batch.domain, batch.domain)
        domain = domain or self.domain(clip=batch.inputs.shape[1] > 1)
        log_density, _ = self.network(
            batch.inputs,
            domain=domain,
            static=domain == STATIC,
            size=(batch.density.shape[-2], batch.density.shape[-1]),
        )
        yield Loss(density_losses(log_density, batch))

    def recipes(self) -> Mapping[str, Recipe]:
        """`open` and `open-finish` produced the bundled weights; `published` is the paper's."""
        return RECIPES

    def finish(self, run: TrainingRun) -> None:
        """Write what the published code writes after a training on its datasets, and its scores."""
        from salcli_unisal import artefacts  # only training needs it

        if run.scores is None:
            artefacts.write(run, self.network)
        else:
            artefacts.write_scores(run, run.scores)

    def selecting_score(
        self, scores: Mapping[str, Mapping[str, float]], recipe: Recipe, epoch: int
    ) -> float | None:
        """As `Model.selecting_score`; of the recipe `published` the loss on DHF1K, not at once."""
        if not is_published(recipe):
            return super().selecting_score(scores, recipe, epoch)
        if epoch < min(SELECTS_FROM, recipe.epochs - 1):
            return None
        return scores.get(SELECTING, scores["all"])[recipe.select]

    def start_epoch(self, epoch: int) -> None:
        """Training mode, with the encoder's batch norms frozen, as published."""
        self.network.train()
        self.network.cnn.eval()
