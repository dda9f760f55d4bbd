"""Iterator tools: batches, sliding windows, pairs, checks, and computing in the background."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from queue import SimpleQueue
from typing import TYPE_CHECKING, TypeVar

from salcli.errors import PluginError
from salcli.types import Frame, Prediction

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["batched", "checked", "paired", "prefetch", "sliding"]

T = TypeVar("T")


def batched(frames: Iterable[Frame], size: int) -> Iterator[list[Frame]]:
    """Consecutive frames of one shape, at most `size` at a time; none is skipped or reordered.

    A frame of a different shape starts a new batch, so every batch can be stacked.

    Raises:
        ValueError: `size` is below 1.
    """
    if size < 1:
        raise ValueError(f"size must be at least 1, not {size}")
    batch: list[Frame] = []
    for frame in frames:
        if batch and frame.shape != batch[0].shape:
            yield batch
            batch = []
        batch.append(frame)
        if len(batch) == size:  # at once: waiting for the next frame would hold this batch back
            yield batch
            batch = []
    if batch:
        yield batch


def sliding(items: Iterable[T], length: int) -> Iterator[tuple[T, ...]]:
    """Every window of `length` consecutive items: n items give n - length + 1, or none.

    Raises:
        ValueError: `length` is below 1.
    """
    if length < 1:
        raise ValueError(f"length must be at least 1, not {length}")
    window: deque[T] = deque(maxlen=length)
    for item in items:
        window.append(item)
        if len(window) == length:
            yield tuple(window)


def paired(items: Iterable[T]) -> Iterator[tuple[T, T]]:
    """Each item with the one before it: `(previous, item)`, one pair per item.

    The first item is paired with itself, which optical flow sees as no motion.
    """
    previous: T | None = None
    for item in items:
        yield (item if previous is None else previous), item
        previous = item


def checked(predictions: Iterable[Prediction], name: str) -> Iterator[Prediction]:
    """The predictions of the model `name`, after checking their types and shapes.

    Nothing here waits for the device; `salcli.prediction.loop` checks the values of maps in
    groups.

    Raises:
        PluginError: An item is not a `Prediction`, or a map is not float32 `[h, w]`.
    """
    for index, prediction in enumerate(predictions):
        if not isinstance(prediction, Prediction):
            raise PluginError(
                f"model '{name}' gave a {type(prediction).__name__} for frame {index + 1}, "
                "not a salcli.Prediction"
            )
        for what, map_ in (("saliency", prediction.saliency), *prediction.extras.items()):
            complaint = _complaint(map_)
            if complaint:
                raise PluginError(
                    f"model '{name}' gave {complaint} as {what} of frame {index + 1}, "
                    "not a float32 tensor [h, w]"
                )
        yield prediction


def _complaint(map_: Tensor) -> str:
    """What is wrong with the type or shape of a map; empty if nothing is."""
    import torch  # here, so that using only `prefetch` does not import torch

    if not isinstance(map_, torch.Tensor):
        return f"a {type(map_).__name__}"
    if map_.dtype != torch.float32:
        return f"a tensor of {map_.dtype}"
    if map_.ndim != 2 or 0 in map_.shape:
        return f"a tensor of shape {list(map_.shape)}"
    return ""


def prefetch(iterable: Iterable[T], depth: int = 2) -> Iterator[T]:
    """Yield the items of `iterable`, computed in a background thread at most `depth` ahead.

    The thread starts when the first item is requested. An exception of `iterable` is raised here,
    after the items that precede it. Closing or dropping this generator ends the thread, and
    closes `iterable` if it is a generator.

    Raises:
        ValueError: `depth` is below 1.
    """
    if depth < 1:
        raise ValueError(f"depth must be at least 1, not {depth}")
    return _prefetched(iterable, depth)


def _prefetched(iterable: Iterable[T], depth: int) -> Iterator[T]:
    room = threading.Semaphore(depth)
    ready: SimpleQueue[tuple[T] | BaseException | None] = SimpleQueue()
    stopped = threading.Event()

    def produce() -> None:
        try:
            source = iter(iterable)
            try:
                room.acquire()
                for item in source:
                    ready.put((item,))
                    room.acquire()
                    if stopped.is_set():
                        break
            finally:
                if isinstance(source, Generator):
                    source.close()  # only the thread that runs a generator may close it
        except BaseException as error:  # whatever it is, raise it in the consumer
            ready.put(error)
        else:
            ready.put(None)

    thread = threading.Thread(target=produce, name="salcli-prefetch", daemon=True)
    thread.start()
    try:
        while isinstance(entry := ready.get(), tuple):
            room.release()
            yield entry[0]
        if entry is not None:
            raise entry
    finally:
        stopped.set()
        room.release()
        if thread is not threading.current_thread():  # the garbage collector runs in any thread
            thread.join()
