"""Laws of streams, for any stream."""

import itertools
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from salcli.errors import PluginError
from salcli.stream import FrameTap, batched, checked, in_order, paired, prefetch, sliding
from salcli.types import Frame, Prediction

items = st.lists(st.integers(), max_size=20)
frames = st.lists(
    st.sampled_from([(2, 3, 3), (3, 2, 3)]).map(lambda shape: np.zeros(shape, np.uint8)),
    max_size=20,
)


@given(frames, st.integers(1, 6))
def test_batches_keep_every_frame_in_order_and_fit_together(some: list[Frame], size: int) -> None:
    batches = list(batched(some, size))

    assert [id(f) for f in itertools.chain(*batches)] == [id(f) for f in some]
    for batch in batches:
        assert 1 <= len(batch) <= size
        assert len({frame.shape for frame in batch}) == 1
    for one, following in itertools.pairwise(batches):
        assert len(one) == size or one[0].shape != following[0].shape


def test_a_full_batch_does_not_wait_for_the_next_frame() -> None:
    def endless() -> Iterator[Frame]:
        yield from [np.zeros((2, 2, 3), np.uint8)] * 2
        raise AssertionError("it read on")

    assert len(next(batched(endless(), 2))) == 2


@given(items, st.integers(1, 6))
def test_windows_are_all_runs(some: list[int], length: int) -> None:
    windows = list(sliding(some, length))

    assert windows == [tuple(some[i : i + length]) for i in range(len(some) - length + 1)]


@given(items)
def test_pairs_are_one_for_each_item(some: list[int]) -> None:
    assert list(paired(some)) == [(some[max(i - 1, 0)], item) for i, item in enumerate(some)]


@given(items, st.integers(1, 4))
def test_prefetching_changes_nothing(some: list[int], depth: int) -> None:
    assert list(prefetch(some, depth)) == some


@pytest.mark.parametrize("call", [batched, sliding, prefetch])
def test_sizes_below_one_are_refused(call: object) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        list(call([1], 0))  # type: ignore[operator]  # three functions of one form


def test_prefetching_is_bounded_and_ends_its_thread() -> None:
    taken: list[int] = []

    def source() -> Iterator[int]:
        for number in itertools.count():
            taken.append(number)
            yield number

    ahead = prefetch(source(), 3)
    assert next(ahead) == 0
    time.sleep(0.05)
    assert len(taken) <= 1 + 3 + 1
    ahead.close()  # type: ignore[attr-defined]  # it is a generator
    assert "salcli-prefetch" not in [thread.name for thread in threading.enumerate()]


def test_an_error_arrives_after_the_items_before_it() -> None:
    def source() -> Iterator[int]:
        yield 1
        raise KeyError("x")

    ahead = prefetch(source(), 2)
    assert next(ahead) == 1
    with pytest.raises(KeyError):
        next(ahead)


@given(items, st.integers(1, 4))
def test_what_is_computed_at_once_stays_in_order(some: list[int], workers: int) -> None:
    assert list(in_order(lambda item: -item, some, workers=workers)) == [-item for item in some]


def test_chunks_are_computed_at_once_and_bounded() -> None:
    together, taken = threading.Barrier(2, timeout=20), []

    def chunks() -> Iterator[int]:
        for number in range(100):
            taken.append(number)
            yield number

    def compute(number: int) -> bool:
        if number < 2:
            together.wait()  # both threads must be here
        return torch.is_inference_mode_enabled()

    with torch.inference_mode():
        results = in_order(compute, chunks(), workers=2)
        assert next(results) is True
        assert len(taken) <= 3
        results.close()
    assert not [t for t in threading.enumerate() if t.name.startswith("salcli-chunk")]


def test_an_error_of_a_chunk_is_raised_in_its_place() -> None:
    results = in_order(lambda item: 1 // item, [1, 1, 0, 1], workers=2)
    assert [next(results), next(results)] == [1, 1]
    with pytest.raises(ZeroDivisionError):
        next(results)


@pytest.mark.parametrize(
    ("bad", "text"),
    [
        (torch.zeros(2, 2), "a Tensor for frame 1, not a salcli.Prediction"),
        (Prediction(torch.zeros(2, 2).double()), "a tensor of torch.float64 as saliency"),
        (Prediction(torch.zeros(1, 2, 2)), r"a tensor of shape \[1, 2, 2\] as saliency"),
        (Prediction(torch.zeros(0, 2)), r"a tensor of shape \[0, 2\] as saliency"),
        (Prediction(torch.zeros(2, 2), {"early": torch.zeros(2).int()}), "as early of frame 1"),
        (Prediction(np.zeros((2, 2))), "a ndarray as saliency"),  # type: ignore[arg-type]
    ],
)
def test_what_is_no_map_is_refused(bad: Prediction, text: str) -> None:
    with pytest.raises(PluginError, match=text):
        list(checked([bad], "model 'm'"))


def test_a_tap_remembers_what_has_no_map_yet() -> None:
    some = [np.full((2, 3 + n, 3), n, np.uint8) for n in range(4)]
    tap = FrameTap(some, np.shape)
    reading = iter(tap)
    next(reading)
    next(reading)

    assert tap.taken == 2
    assert list(tap.pending) == [(2, 3, 3), (2, 4, 3)]
    tap.pending.popleft()
    assert len(list(tap)) == 4  # a second time from the start
    assert [width for _, width, _ in tap.pending] == [4, 5, 6]
    assert not tap.has_more()


def test_a_tap_sees_what_is_left() -> None:
    some = [np.zeros((2, 2, 3), np.uint8)] * 2
    untouched, begun = FrameTap(iter(some), id), FrameTap((f for f in some), id)
    next(iter(begun))

    assert untouched.has_more()
    assert begun.has_more()
    assert not FrameTap([], id).has_more()
