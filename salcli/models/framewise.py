"""Usual ways to predict: frames in chunks, frame by frame, with a carried state."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from torch import Tensor

from salcli.models.model import Model
from salcli.stream import batched, on_one_core, prefetch
from salcli.types import Frame, Prediction, Stimulus

__all__ = ["framewise", "input_chunks", "one_by_one"]

S = TypeVar("S")


def input_chunks(
    model: Model, frames: Iterable[Frame], size: int | None = None
) -> Iterator[tuple[Tensor, tuple[int, int]]]:
    """Network input `[n, ...]` of consecutive frames, and their size (H, W).

    Preprocessed in a background thread while the network computes.

    Args:
        model: Preprocesses the frames.
        frames: Any number of them; frames of another size begin a new chunk.
        size: Maximum number of frames of a chunk; the model's `batch_size` by default.
    """
    chunks = (
        (model.inputs(chunk), (chunk[0].shape[0], chunk[0].shape[1]))
        for chunk in batched(frames, size or model.batch_size)
    )
    return prefetch(on_one_core(chunks))


def framewise(
    model: Model, stimulus: Stimulus, compute: Callable[[Tensor], Tensor] | None = None
) -> Iterator[Prediction]:
    """Predictions of a model that sees each frame by itself: the whole `predict` of such a model.

    Args:
        model: Preprocesses the frames.
        stimulus: A still or a clip.
        compute: Turns network input `[n, ...]` into finished maps, `[n, h, w]` or `[n, 1, h, w]`;
            the model's network by default. With `peaked`, for a network without a range of its own:
            `framewise(self, stimulus, lambda x: peaked(self.network(x)))`.
    """
    compute = model.network if compute is None else compute
    for inputs, _ in input_chunks(model, stimulus.frames):
        for saliency in compute(inputs).float():
            yield Prediction(saliency.flatten(0, -2))


def one_by_one(
    model: Model,
    stimulus: Stimulus,
    compute: Callable[[Tensor, S | None], tuple[Tensor, S]] | None = None,
) -> Iterator[Prediction]:
    """Predictions of a model whose frames pass on a state: the whole `predict` of such a model.

    Args:
        model: Preprocesses the frames.
        stimulus: A still or a clip; stills do not follow each other, so each begins anew.
        compute: Takes the network input of one frame `[1, ...]` and the state after the frame
            before, `None` for the first; gives the frame's finished map, `[1, h, w]` or `[1, 1, h,
            w]`, and its state. The model's network by default.
    """
    compute = model.network if compute is None else compute
    state: S | None = None
    for inputs, _ in input_chunks(model, stimulus.frames, 1):
        saliency, after = compute(inputs, state)
        state = after if stimulus.is_clip else None
        yield Prediction(saliency[0].float().flatten(0, -2))
