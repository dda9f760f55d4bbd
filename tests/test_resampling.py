"""Frames resized as Pillow does, by products of matrices."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from salcli import resampling
from salcli.resampling import FILTERS, resize

SIDES = st.integers(1, 90)


@given(st.tuples(SIDES, SIDES), st.tuples(SIDES, SIDES), st.sampled_from([*FILTERS]), st.booleans())
def test_no_pixel_differs_from_pillow(
    before: tuple[int, int], after: tuple[int, int], filter_: Image.Resampling, extreme: bool
) -> None:
    random = np.random.default_rng([*before, *after])
    frames = random.integers(0, 256, (2, *before, 3), dtype=np.uint8)
    if extreme:
        frames = frames // 128 * np.uint8(255)
    found = resize(torch.from_numpy(frames), after, filter_)
    wanted = [Image.fromarray(frame).resize(after[::-1], filter_) for frame in frames]
    assert found is not None
    assert np.array_equal(found.numpy(), np.stack([np.asarray(picture) for picture in wanted]))


def test_many_frames_are_resized_part_by_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resampling, "ROOM", 2 * 9 * 7 * 3)  # two of the three frames
    frames = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (3, 9, 7, 3), np.uint8))
    together = resize(frames, (4, 5), Image.Resampling.LANCZOS)
    assert together is not None
    for frame, found in zip(frames, together, strict=True):
        alone = resize(frame[None], (4, 5), Image.Resampling.LANCZOS)
        assert alone is not None
        assert torch.equal(alone[0], found)


def test_other_filters_are_left_to_pillow() -> None:
    assert resize(torch.zeros(1, 4, 4, 3, dtype=torch.uint8), (2, 2), Image.Resampling.BOX) is None
