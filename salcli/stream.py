"""Iterator tools: batches, windows, pairs, checks, frames under way, background threads."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from queue import SimpleQueue
from typing import TYPE_CHECKING, Generic, TypeVar

from salcli.errors import PluginError
from salcli.types import Frame, Prediction

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController
    from torch import Tensor

__all__ = [
    "FrameTap",
    "batched",
    "checked",
    "in_order",
    "on_one_core",
    "one_core",
    "paired",
    "prefetch",
    "sliding",
]

T = TypeVar("T")
R = TypeVar("R")


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
    """Each of `items` with the one before it: `(previous, item)`, one pair per item.

    The first item is paired with itself, which optical flow sees as no motion.
    """
    previous: T | None = None
    for item in items:
        yield (item if previous is None else previous), item
        previous = item


class FrameTap(Generic[T]):
    """Passes frames on, and remembers something of each until its map comes back.

    Memory is bounded by how far whoever makes the maps looks ahead. The frames may be iterated more
    than once; each is remembered when it is first taken.

    Attributes:
        taken: How many frames were taken.
        pending: What `remember` gave for each frame without a map. Whoever receives a map pops the
            first.

    Args:
        frames: RGB uint8 `[H, W, 3]`.
        remember: Called with each frame in order, once.
    """

    def __init__(self, frames: Iterable[Frame], remember: Callable[[Frame], T]) -> None:
        self._frames, self._remember = frames, remember
        self._latest: Iterator[Frame] = iter(())
        self.taken = 0
        self.pending: deque[T] = deque()

    def __iter__(self) -> Iterator[Frame]:
        self._latest = iter(self._frames)
        return _TappedFrames(self, self._latest)

    def take(self, index: int, frame: Frame) -> None:
        """Note that the frame at `index` is being taken, unless it was taken before."""
        if index == self.taken:
            self.taken += 1
            self.pending.append(self._remember(frame))

    def has_more(self) -> bool:
        """Whether frames were left unread; call this once the maps have ended."""
        if self.taken == 0:
            self._latest = iter(self._frames)
        return next(self._latest, None) is not None

    def close(self) -> None:
        """Stop the decoding."""
        if isinstance(self._latest, Generator):
            self._latest.close()


class _TappedFrames(Iterator["Frame"]):
    """Not a generator: dropping one would close the source before `FrameTap.has_more` reads it."""

    def __init__(self, tap: FrameTap[T], frames: Iterator[Frame]) -> None:
        self._take, self._frames, self._index = tap.take, frames, 0

    def __next__(self) -> Frame:
        frame = next(self._frames)
        self._take(self._index, frame)
        self._index += 1
        return frame


def checked(predictions: Iterable[Prediction], who: str) -> Iterator[Prediction]:
    """The predictions of a model or filter, such as `model 'x'`, after checking types and shapes.

    Nothing here waits for the device; `salcli.prediction.loop` checks the values of maps in
    groups.

    Raises:
        PluginError: An item is not a `Prediction`, or a map is not float32 `[h, w]`.
    """
    for index, prediction in enumerate(predictions):
        if not isinstance(prediction, Prediction):
            raise PluginError(
                f"{who} gave a {type(prediction).__name__} for frame {index + 1}, "
                "not a salcli.Prediction"
            )
        for what, map_ in (("saliency", prediction.saliency), *prediction.extras.items()):
            complaint = _complaint(map_)
            if complaint:
                raise PluginError(
                    f"{who} gave {complaint} as {what} of frame {index + 1}, "
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


def prefetch(
    iterable: Iterable[T], depth: int = 2, *, weigh: Callable[[T], int] = lambda _: 1
) -> Iterator[T]:
    """Yield the items of `iterable`, computed in a background thread at most `depth` ahead.

    The thread starts when the first item is requested. An exception of `iterable` is raised here,
    after the items that precede it. Closing or dropping this generator ends the thread, and
    closes `iterable` if it is a generator.

    Args:
        iterable: What is computed.
        depth: Another item is computed as long as those that wait weigh less than this.
        weigh: What an item counts, such as its bytes.

    Raises:
        ValueError: `depth` is below 1.
    """
    if depth < 1:
        raise ValueError(f"depth must be at least 1, not {depth}")
    return _prefetched(iterable, depth, weigh)


def _prefetched(iterable: Iterable[T], depth: int, weigh: Callable[[T], int]) -> Iterator[T]:
    room, waiting, stopped = threading.Condition(), 0, False
    ready: SimpleQueue[tuple[T, int] | BaseException | None] = SimpleQueue()

    def may_go_on() -> bool:
        with room:
            room.wait_for(lambda: stopped or waiting < depth)
        return not stopped

    def weigh_in(change: int) -> None:
        nonlocal waiting
        with room:
            waiting += change
            room.notify()

    def produce() -> None:
        try:
            source = iter(iterable)
            try:
                while may_go_on():
                    item = next(source)
                    weight = weigh(item)
                    weigh_in(weight)
                    ready.put((item, weight))
                    del item  # the consumer's alone from now on
            except StopIteration:
                pass
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
            weigh_in(-entry[1])
            yield entry[0]
        if entry is not None:
            raise entry
    finally:
        stopped = True
        weigh_in(0)
        if thread is not threading.current_thread():  # the garbage collector runs in any thread
            thread.join()


def on_one_core(items: Iterable[T]) -> Iterator[T]:
    """The items, for `prefetch`: in the thread that takes them, PyTorch uses one core from then on.

    Small operations, such as those of preprocessing, would start a team of threads that takes the
    cores of the network.
    """
    _on_one_core()
    yield from items


@contextmanager
def one_core() -> Iterator[None]:
    """PyTorch uses one core in this thread within the block: for what is too small for a team."""
    import torch

    torch.get_num_threads()  # a new thread's first question sets its number, to that of all cores
    with _openmp().limit(limits=1):
        yield


def in_order(function: Callable[[T], R], items: Iterable[T], *, workers: int) -> Iterator[R]:
    """`function` of each item, in the order of the items, computed by `workers` threads at once.

    For chunks of frames that do not depend on each other: each thread computes on one core, which
    wastes less than all cores on one small chunk, and gives the same bits however many threads
    there are. At most `workers` items are taken ahead, in the calling thread. An exception of
    `function` is raised in its item's place. Inference mode is passed on to the threads. One worker
    is the calling thread, with all cores.
    """
    import torch

    if workers == 1:
        yield from map(function, items)
        return
    inference = torch.is_inference_mode_enabled()

    def compute(item: T) -> R:
        with torch.inference_mode(inference):
            return function(item)

    pending: deque[Future[R]] = deque()
    with ThreadPoolExecutor(workers, "salcli-chunk", initializer=_on_one_core) as threads:
        try:
            for item in items:
                pending.append(threads.submit(compute, item))
                if len(pending) > workers:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            threads.shutdown(cancel_futures=True)


def _on_one_core() -> None:
    """Let OpenMP's parallel regions of this thread, which are PyTorch's, use one core."""
    import torch

    torch.get_num_threads()  # a new thread's first question sets its number, to that of all cores
    _openmp().limit(limits=1)


@cache
def _openmp() -> ThreadpoolController:
    """OpenMP, once PyTorch has loaded it; to find it takes some milliseconds."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api="openmp")
