"""Fixations per pixel, and which of other stimuli's are drawn as negatives."""

import numpy as np
import pytest

from salcli.gaze.kernels import count_map
from salcli.protocols import Negatives, protocol
from salcli.scoring.otherfixations import Points, Pool

SIZE = (6, 8)

Read = tuple[Points, tuple[int, int]]


class Frames:
    """Frame i has one fixation in pixel i, twice over; remembers what was read."""

    def __init__(self, size: tuple[int, int] = SIZE) -> None:
        self.size, self.seen = size, list[int]()

    def __call__(self, index: int) -> Read:
        self.seen.append(index)
        y, x = divmod(index, self.size[1])
        return np.array([[x + 0.5, y + 0.5]] * 2), self.size


VIDEOS = [f"v{n // 4}" for n in range(40)]
"""Ten videos of four frames."""


def pixels(counts: np.ndarray) -> set[int]:
    return set(np.flatnonzero(counts).tolist())


def test_repeats_are_counted() -> None:
    points = np.array([[0.0, 0.0], [7.9, 5.9], [0.99, 0.2]])
    counts = count_map(points, SIZE)
    assert counts[0, 0] == 2
    assert counts[5, 7] == 1
    assert counts.sum() == 3
    assert count_map(np.empty((0, 2)), SIZE).sum() == 0


@pytest.mark.parametrize("point", [(8.0, 0.0), (0.0, 6.0), (-0.1, 0.0), (0.0, -0.1)])
def test_a_fixation_outside_is_refused(point: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="outside the frame of 8 x 6"):
        count_map(np.array([point]), SIZE)


def test_all_others_are_all_but_the_own_video_with_repeats() -> None:
    frames = Frames()
    pool = Pool(protocol("tuebingen").negatives or Negatives(None), VIDEOS, frames)

    negatives = pool.negatives(9, SIZE)

    assert pixels(negatives) == set(range(40)) - {8, 9, 10, 11}
    assert negatives.max() == 2
    assert pool.negatives(0, SIZE).sum() == 2 * 36
    assert sorted(frames.seen) == list(range(40))  # each once
    once = Pool(Negatives(None), VIDEOS, Frames()).negatives(9, SIZE)
    assert once.max() == 1


def test_fixations_of_other_sizes_are_scaled() -> None:
    pool = Pool(Negatives(None, repeats=True), ["a", "b"], Frames((3, 4)))
    assert pixels(pool.negatives(0, (6, 8))) == {11}  # its centre, twice as far away
    assert pixels(pool.negatives(1, (3, 4))) == {0}


def test_drawn_frames_are_others_and_drawn_anew() -> None:
    frames = Frames()
    pool = Pool(Negatives(10), VIDEOS, frames, seed=3)

    drawn = pixels(pool.negatives(9, SIZE))

    assert len(drawn) == 10
    assert drawn.isdisjoint({8, 9, 10, 11})
    assert set(frames.seen) == drawn  # no other frame is read
    assert drawn == pixels(Pool(Negatives(10), VIDEOS, Frames(), seed=3).negatives(9, SIZE))
    assert drawn != pixels(pool.negatives(10, SIZE))
    assert drawn != pixels(Pool(Negatives(10), VIDEOS, Frames(), seed=4).negatives(9, SIZE))


def test_the_own_video_may_be_among_the_drawn() -> None:
    pool = Pool(Negatives(10, own=True), VIDEOS, Frames())
    own = [pixels(pool.negatives(n, SIZE)) & {n - n % 4 + k for k in range(4)} for n in range(40)]
    assert any(own)


def test_one_frame_of_each_of_some_videos() -> None:
    pool = Pool(Negatives(5, one_per_video=True, redrawn="video"), VIDEOS, Frames())

    drawn = pixels(pool.negatives(8, SIZE))

    videos = [n // 4 for n in drawn]
    assert len(set(videos)) == len(videos) == 5
    assert 2 not in videos
    assert drawn == pixels(pool.negatives(11, SIZE))  # the same video
    assert drawn != pixels(pool.negatives(0, SIZE))


def test_fewer_frames_than_wanted_are_all_taken() -> None:
    pool = Pool(Negatives(100), VIDEOS, Frames())
    assert len(pixels(pool.negatives(0, SIZE))) == 36
    assert pixels(Pool(Negatives(10), ["a"], Frames()).negatives(0, SIZE)) == set()
