"""Frames as network input."""

import numpy as np
import torch
from PIL import Image

from salcli.inputs import IMAGENET, MINUS_ONE_TO_ONE, pixels, resized

FRAMES = list(np.random.default_rng(0).integers(0, 256, (2, 10, 14, 3), dtype=np.uint8))


def test_pixels_keep_their_levels_and_their_channels() -> None:
    found = pixels(FRAMES)
    assert found.dtype == torch.float32
    assert np.array_equal(found.numpy(), np.stack(FRAMES).transpose(0, 3, 1, 2))


def test_input_is_standardised() -> None:
    white = [np.full((2, 2, 3), 255, np.uint8)]
    mean, std = IMAGENET
    wanted = (1 - torch.tensor(mean)) / torch.tensor(std)
    torch.testing.assert_close(pixels(white, standardised=IMAGENET)[0, :, 0, 0], wanted)
    extremes = pixels([np.array([[[0, 255, 51]]], np.uint8)], standardised=MINUS_ONE_TO_ONE)
    torch.testing.assert_close(extremes.flatten(), torch.tensor([-1, 1, -0.6]))


def test_frames_are_resized_by_pillow_in_8_bit() -> None:
    for resampling in (Image.Resampling.BILINEAR, Image.Resampling.LANCZOS):
        found = resized(FRAMES, (5, 20), resampling=resampling)
        wanted = [Image.fromarray(frame).resize((20, 5), resampling) for frame in FRAMES]
        assert torch.equal(found, pixels([np.asarray(picture) for picture in wanted]))
    assert torch.equal(resized(FRAMES, (5, 20)), resized(FRAMES, (5, 20), resampling=2))
    standard = resized(FRAMES, (5, 20), standardised=IMAGENET)
    assert standard.shape == (2, 3, 5, 20)
    assert standard.min() < 0
