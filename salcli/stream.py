"""Laws of streams: how frames are grouped, looked ahead at, and computed in the background."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterable, Iterator
from queue import SimpleQueue
from typing import TypeVar

__all__ = ["prefetch"]

T = TypeVar("T")


def prefetch(iterable: Iterable[T], depth: int) -> Iterator[T]:
    """The items of `iterable`, computed in a background thread at most `depth` ahead.

    The thread starts with the first item asked for. An exception of `iterable` is raised here, after
    the items that came before it. Closing or dropping this generator ends the thread, and closes
    `iterable` if it is a generator.

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
                    source.close()  # here, because only the thread that runs it may close it
        except BaseException as error:  # whatever it is, it belongs to the consumer
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
